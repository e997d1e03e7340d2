"""What is true of a scene: geometry once, objects and signal phases per frame, events as they happen."""

from typing import Literal, TypeAlias

import msgspec

from simulator.actors import Label
from simulator.junction import Phase
from simulator.look import Variant

#: x, y; normalised picture coordinates, 0..1 from the top left corner.
Point: TypeAlias = tuple[float, float]
#: x1, y1, x2, y2 in pixels.
Box: TypeAlias = tuple[float, float, float, float]


class GroundPoint(msgspec.Struct, frozen=True):
    """One pair of the ground calibration: a picture point (0..1) and the ground point (metres) it shows."""

    picture: Point
    metres: Point


class Line(msgspec.Struct, frozen=True):
    """A counting line from `start` to `end`; `forward` is the crossing from its left to its right in the picture.

    `way` is the direction of a forward crossing on the ground (unit vector, metres).
    """

    name: str
    start: Point
    end: Point
    way: Point


class Geometry(msgspec.Struct, frozen=True):
    """A scene's fixed geometry, normalised picture coordinates unless stated."""

    seed: int
    variant: Variant
    width: int
    height: int
    fps: float
    stop_line: Line
    approach: tuple[Point, ...]
    lanes: dict[str, tuple[Point, ...]]
    lines: tuple[Line, ...]
    zones: dict[str, tuple[Point, ...]]
    signal_region: tuple[float, float, float, float]
    ground: tuple[GroundPoint, ...]
    horizon: float


class ObjectTruth(msgspec.Struct, frozen=True):
    """One object in one frame.

    `box` is the outline's extent cut at the picture's edge, `full_box` the whole of it, `visible_box` the extent of
    what can be seen (None if nothing can); pixels. `visible` is the share of the outline that can be seen (0..1),
    `occluded` the share of what lies inside the picture that others hide. `speed` m/s; `ground` metres.
    """

    track: int
    label: Label
    box: Box
    full_box: Box
    visible_box: Box | None
    visible: float
    occluded: float
    speed: float
    ground: Point
    heading: float
    braking: bool = False


class EventTruth(msgspec.Struct, frozen=True):
    """A violation or a line crossing; `kind` and `rule` as in the events of the analysis that `spec` gives.

    `time_s` is when the vehicle's front crosses the line on the ground, `frame` the first frame after that;
    `box_time_s` is when the middle of its box's lower edge crosses, which is what a camera system measures (None
    if it left the picture before). `time_s` and `frame` are negative where the front crossed before the first frame.
    `speed` m/s; `phase` the signal's phase at `time_s`.
    """

    kind: Literal["red_light", "line_crossed"]
    track: int
    label: Label
    rule: str
    frame: int
    time_s: float
    speed: float
    direction: Literal["forward", "backward"]
    phase: Phase
    box_time_s: float | None = None


class Truth(msgspec.Struct, frozen=True):
    """One frame. `pts` is its presentation time in the clip (time base in the clip's header)."""

    frame: int
    time_s: float
    objects: tuple[ObjectTruth, ...]
    phases: dict[str, Phase]
    events: tuple[EventTruth, ...] = ()
    pts: int = 0
