"""Where tracked boxes will be: a constant-velocity Kalman filter for all tracks at once.

The centre has a velocity; width and height have none, they drift. All noise is proportional to the object's size, the
square root of its area: what is near and large moves and jitters by more pixels. The centre's two axes share one
covariance, because their noise is the same. Elementwise arithmetic only: no library's order of summation matters.
"""

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Motion: TypeAlias = tuple[float, float, float, float, float, float, float, float, float, float]
"""centre x, y; velocity x, y (per second); width, height; variances: position, position with velocity, velocity,
size. Pixels."""

_PLACE_JITTER: Final = 0.05
"""sizes: how far a detector's centre is off"""
_SIZE_JITTER: Final = 0.1
_FIRST_SPEED: Final = 5.0
"""sizes per second: what a thing seen for the first time may be doing"""
_AGILITY: Final = 1.0
"""sizes per second, gained or lost within one second"""
_GROWTH: Final = 0.3
_DECIMALS: Final = 6
"""Kept in the state: far below what decides, and every value comes back from JSON as it was."""


def table_of(motions: list[Motion]) -> Floats:
    """float64 [n, 10]."""
    return np.array(motions, np.float64).reshape(-1, 10)


def motions_of(table: Floats) -> list[Motion]:
    rows: list[Motion] = [
        (a, b, c, d, e, f, g, h, i, j) for a, b, c, d, e, f, g, h, i, j in table.round(_DECIMALS).tolist()
    ]
    return rows


def centred(corners: Floats) -> Floats:
    """[n, 4] x1, y1, x2, y2 to centre x, y, width, height."""
    size = corners[:, 2:] - corners[:, :2]
    return np.concatenate([corners[:, :2] + size / 2, size], axis=1)


def corners_of(table: Floats) -> Floats:
    """[n, 10] to x1, y1, x2, y2 [n, 4]."""
    half = table[:, 4:6] / 2
    return np.concatenate([table[:, :2] - half, table[:, :2] + half], axis=1)


def started(places: Floats) -> Floats:
    """Centred boxes [n, 4] seen for the first time to [n, 10]."""
    area = _area(places[:, 2:])
    table = np.zeros((len(places), 10))
    table[:, 0:2] = places[:, 0:2]
    table[:, 4:6] = places[:, 2:4]
    table[:, 6] = _PLACE_JITTER**2 * area
    table[:, 8] = _FIRST_SPEED**2 * area
    table[:, 9] = _SIZE_JITTER**2 * area
    return table


def predicted(table: Floats, seconds: float) -> Floats:
    """All tracks `seconds` later. White acceleration noise in continuous time (Bar-Shalom, Li, Kirubarajan, Estimation
    with Applications to Tracking and Navigation, 6.2.2): ten steps of 0.1 s are as uncertain as one of a second."""
    area = _area(table[:, 4:6])
    noise = _AGILITY**2 * area
    later = table.copy()
    later[:, 0:2] += table[:, 2:4] * seconds
    later[:, 6] += 2 * seconds * table[:, 7] + seconds**2 * table[:, 8] + noise * (seconds**3 / 3)
    later[:, 7] += seconds * table[:, 8] + noise * (seconds**2 / 2)
    later[:, 8] += noise * seconds
    later[:, 9] += _GROWTH**2 * area * seconds
    return later


def place_variance(table: Floats) -> Floats:
    """[n]: variance of the distance, along one axis, between the predicted centre and a box's."""
    variance: Floats = table[:, 6] + _PLACE_JITTER**2 * _area(table[:, 4:6])
    return variance


def corrected(table: Floats, rows: list[int], places: Floats) -> Floats:
    """The tracks in `rows` after seeing the centred boxes `places` [len(rows), 4]; the others unchanged."""
    if not rows:
        return table
    after = table.copy()
    old = table[rows]
    new = old.copy()
    innovation = places[:, :2] - old[:, :2]
    total = place_variance(old)
    gain, speed_gain = old[:, 6] / total, old[:, 7] / total
    new[:, 0:2] += gain[:, None] * innovation
    new[:, 2:4] += speed_gain[:, None] * innovation
    new[:, 6] = (1 - gain) * old[:, 6]
    new[:, 7] = (1 - gain) * old[:, 7]
    new[:, 8] = old[:, 8] - speed_gain * old[:, 7]
    size_gain = old[:, 9] / (old[:, 9] + _SIZE_JITTER**2 * _area(old[:, 4:6]))
    new[:, 4:6] += size_gain[:, None] * (places[:, 2:4] - old[:, 4:6])
    new[:, 9] = (1 - size_gain) * old[:, 9]
    after[rows] = new
    return after


def _area(sizes: Floats) -> Floats:
    # a box of no extent still jitters by a pixel
    area: Floats = np.maximum(sizes[:, 0] * sizes[:, 1], 1.0)
    return area
