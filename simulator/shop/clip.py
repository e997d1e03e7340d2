"""A shop as a clip or live stream, with its truth beside it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from simulator.encoder import TIME_BASE, Encoder, Encoding
from simulator.film import Film, FilmError, shoot
from simulator.record import TruthError, read_lines
from simulator.shop.gesture import ACTIVITIES
from simulator.shop.scene import ShopError, ShopScene
from simulator.shop.truth import ShopGeometry, ShopTruth

FORMAT: Final = "rewatch-shop-truth-1"


class ShopHeader(msgspec.Struct, frozen=True):
    """First line of the truth file. `time_base` is (numerator, denominator) of a second; `pts` counts in it.

    `analysis` is the configuration a camera with this view needs: no rules.
    """

    format: str
    codec: str
    time_base: tuple[int, int]
    gop_frames: int
    geometry: ShopGeometry
    analysis: dict[str, Any]


class ShopReport(msgspec.Struct, frozen=True):
    """What was rendered: people that were seen, those of them that paid, and the seconds that all of them together
    were seen at each activity; `elapsed` seconds of the wall clock."""

    clip: str
    truth: str | None
    frames: int
    seconds: float
    people: int
    bought: int
    activities: dict[str, float]
    elapsed: float


def render_shop(
    scene: ShopScene,
    target: str | Path,
    seconds: float,
    encoding: Encoding | None = None,
    truth: Path | None = None,
    paced: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ShopReport:
    """Render `seconds` of a shop to a file or address; truth to `truth` if given.

    `paced` and `progress` as for a junction's clip. Raises ShopError, EncodeError, OSError.
    """
    encoding = encoding or Encoding()
    bought: dict[int, bool] = {}
    frames_at = dict.fromkeys(ACTIVITIES, 0)

    def header(encoder: Encoder) -> ShopHeader:
        return ShopHeader(
            format=FORMAT,
            codec=encoding.codec,
            time_base=(TIME_BASE.numerator, TIME_BASE.denominator),
            gop_frames=encoder.gop_frames,
            geometry=scene.geometry,
            analysis={"rules": []},
        )

    def watch(seen: ShopTruth) -> None:
        for one in seen.people:
            bought[one.id] = one.bought
            frames_at[one.activity] += 1

    try:
        frames, elapsed = shoot(scene, Film(target, seconds, encoding, truth, paced, progress), header, watch)
    except FilmError as error:
        raise ShopError(str(error)) from error
    return ShopReport(
        clip=str(target),
        truth=str(truth) if truth else None,
        frames=frames,
        seconds=frames / scene.fps,
        people=len(bought),
        bought=sum(bought.values()),
        activities={name: round(count / scene.fps, 1) for name, count in frames_at.items()},
        elapsed=elapsed,
    )


def read_shop_truth(path: Path) -> tuple[ShopHeader, list[ShopTruth]]:
    """Header and frames of a shop's truth file. Raises TruthError, or OSError where there is none."""
    header, frames = read_lines(path, ShopHeader, ShopTruth)
    if header.format != FORMAT:
        raise TruthError(f"{path}: format {header.format!r}, this version reads {FORMAT!r}")
    return header, frames
