"""What is true of a shop's pictures: who is where, at what, and where each keypoint lies."""

import msgspec

from simulator.shop.floor import Spot
from simulator.shop.gesture import Activity


class ShopperTruth(msgspec.Struct, frozen=True):
    """One person. `box`: the extent of the whole figure with all it holds, within the picture, pixels (x1, y1, x2,
    y2); `visible`: the share of its pixels in the picture that nothing else hides; `x`, `y`, `heading` on the floor
    (metres, radians); `bought`: has paid.

    `keypoints`: 18 rows of x, y (pixels, fractions, a pixel's centre at .5) and 2 seen, 1 hidden (by himself, by
    another, by a fixture) or 0 outside of the picture; order: simulator.shop.skeleton.KEYPOINTS.
    """

    id: int
    activity: Activity
    box: tuple[float, float, float, float]
    visible: float
    keypoints: tuple[tuple[float, float, int], ...]
    x: float
    y: float
    heading: float
    bought: bool


class ShopTruth(msgspec.Struct, frozen=True):
    """One frame. `gain` is the lamps' brightness; `pts` the presentation time in the clip."""

    frame: int
    time_s: float
    gain: float
    people: tuple[ShopperTruth, ...]
    pts: int = 0


class ShopGeometry(msgspec.Struct, frozen=True):
    """What does not change. `room`: left, near, right and far wall; `counter`: where the first of the queue stands;
    `homography`: floor (x, y, 1) in metres to homogeneous pixels, row by row."""

    seed: int
    width: int
    height: int
    fps: float
    room: tuple[float, float, float, float]
    counter: Spot
    door: Spot
    keypoints: tuple[str, ...]
    homography: tuple[float, ...]
