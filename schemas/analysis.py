"""What a person says about a camera: where it is, and what shall be seen in it.

All positions are fractions of the picture (0..1, origin top left), so that they survive a change of resolution.
"""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

# `$` alone would let a line break through at the end
CAMERA_ID: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}(?!\n)$"
CameraId = Annotated[str, Meta(pattern=CAMERA_ID)]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}(?!\n)$")]
Fraction01 = Annotated[float, Meta(ge=0.0, le=1.0)]
_UNKNOWN_SIGNAL: Final = "wants the signal"

Point = tuple[Fraction01, Fraction01]
Polygon = Annotated[tuple[Point, ...], Meta(min_length=3, max_length=64)]


class GroundPoint(Struct, frozen=True, forbid_unknown_fields=True):
    """One point of the road as seen in the picture and as measured on the ground."""

    image: Point
    metres: tuple[float, float]


class Signal(Struct, frozen=True, forbid_unknown_fields=True):
    """A traffic light whose state is read from a region of the picture."""

    name: Name
    region: tuple[Fraction01, Fraction01, Fraction01, Fraction01]
    """left, top, right, bottom of the lamps' housing"""


class LineRule(Struct, frozen=True, forbid_unknown_fields=True, tag="line", tag_field="kind"):
    """Counts what crosses a line; `forward` is the crossing from the line's left side to its right,
    seen when walking from `start` to `end` in the picture."""

    name: Name
    start: Point
    end: Point
    labels: tuple[str, ...] = ()
    """classes that count; empty: all"""
    direction: Literal["forward", "backward", "both"] = "both"


class ZoneRule(Struct, frozen=True, forbid_unknown_fields=True, tag="zone", tag_field="kind"):
    """Says when something enters a zone and stays at least `dwell_seconds`."""

    name: Name
    polygon: Polygon
    labels: tuple[str, ...] = ()
    dwell_seconds: Annotated[float, Meta(ge=0)] = 0.0


class RedLightRule(Struct, frozen=True, forbid_unknown_fields=True, tag="red_light", tag_field="kind"):
    """Says when a vehicle crosses the stop line in the forbidden direction while its signal is red."""

    name: Name
    signal: Name
    start: Point
    end: Point
    direction: Literal["forward", "backward"] = "forward"
    labels: tuple[str, ...] = ()
    grace_seconds: Annotated[float, Meta(ge=0)] = 0.3
    """how long the light must have been red before a crossing counts"""


Rule = LineRule | ZoneRule | RedLightRule


class Tracking(Struct, frozen=True, forbid_unknown_fields=True):
    high_score: Fraction01 = 0.5
    """detections from here on take part in the first association and may open a track"""
    low_score: Fraction01 = 0.1
    """detections from here on may keep a track alive in the second association"""
    min_iou: Fraction01 = 0.2
    max_lost_seconds: Annotated[float, Meta(gt=0)] = 1.0
    confirm_frames: Annotated[int, Meta(ge=1)] = 3


class ActivityWatch(Struct, frozen=True, forbid_unknown_fields=True):
    """Says what the scene as a whole is doing, by a network that remembers earlier pictures; a change is an event."""

    model: Name = "junction-activity"
    hold_seconds: Annotated[float, Meta(ge=0, le=60)] = 0.75
    """how long another activity must have been seen before it is told"""


class Analysis(Struct, frozen=True, forbid_unknown_fields=True):
    """How a camera's access units become results. Travels with every keyframe (header `analysis`)."""

    model: Name = "junction-yolo"
    sample_fps: Annotated[float, Meta(gt=0, le=240)] | None = None
    """frames per second that are inferred; null: every frame, or as many as a model with a memory has learnt from"""
    min_score: Fraction01 = 0.25
    labels: tuple[str, ...] = ()
    """classes kept from the detector; empty: all"""
    tracking: Tracking = Tracking()
    signals: tuple[Signal, ...] = ()
    rules: tuple[Rule, ...] = ()
    ground: tuple[GroundPoint, ...] = ()
    """four points or more make speeds in metres per second; none: no speeds"""
    priority: Annotated[int, Meta(ge=-100, le=100)] | msgspec.UnsetType = msgspec.UNSET
    """a worker that cannot keep up sheds the lowest first; unset: 0, and not a byte of the header"""

    activity: ActivityWatch | msgspec.UnsetType = msgspec.UNSET
    """unset: nobody asks, and not a byte of the header"""

    def __post_init__(self) -> None:
        names = [rule.name for rule in self.rules]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two rules have the name {name}")
        known = [signal.name for signal in self.signals]
        for name in known:
            if known.count(name) > 1:
                raise ValueError(f"two signals have the name {name}")
        for rule in self.rules:
            if isinstance(rule, RedLightRule) and rule.signal not in known:
                raise ValueError(f"rule {rule.name} {_UNKNOWN_SIGNAL} {rule.signal}, which is not among {known}")
        if 0 < len(self.ground) < 4:
            raise ValueError(f"{len(self.ground)} ground points; four or more span the ground")


def changed(analysis: Analysis, changes: dict[str, Any]) -> Analysis:
    """The same with other fields. Raises msgspec.ValidationError."""
    return msgspec.convert({**msgspec.to_builtins(analysis), **changes}, Analysis)


def check_changes(changes: dict[str, Any]) -> None:
    """Raises msgspec.ValidationError for what no camera's analysis could be changed by."""
    try:
        changed(Analysis(), changes)
    except msgspec.ValidationError as error:
        # a rule may want a signal that only the camera's analysis has
        if _UNKNOWN_SIGNAL not in str(error):
            raise


class Source(Struct, frozen=True, forbid_unknown_fields=True):
    url: Annotated[str, Meta(min_length=1)]
    """rtsp://, rtmp://, http(s)://, /dev/videoN, or the path of a file"""
    transport: Literal["tcp", "udp"] = "tcp"
    pace: Literal["live", "max"] = "live"
    """files only: at the speed of their timestamps, or as fast as the log takes them"""
    loop: bool = False
    """files only: start again at the end"""
    start_ns: int | None = None
    """files only: capture time of the first picture; null: the time of opening"""
    open_timeout_seconds: Annotated[float, Meta(gt=0)] = 10.0
    stall_seconds: Annotated[float, Meta(gt=0)] = 10.0
    """no packet for so long means a stalled source: close and connect again"""


class Experiment(Struct, frozen=True, forbid_unknown_fields=True):
    """A camera takes part in a comparison of two models on shares of the cameras."""

    name: Name
    arm: Literal["a", "b"]
    a: Name
    """the model that arm a is analysed with, as all were before"""
    b: Name


class CameraSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """One camera. The value of a record on the compacted topic `cameras`."""

    id: CameraId
    source: Source
    analysis: Analysis = Analysis()
    batch: bool = False
    """an uploaded file: read once, to the topic `frames-batch`, ended by an `end` record"""
    experiment: Experiment | msgspec.UnsetType = msgspec.UNSET
    """unset: none, and not a byte of the record"""
    labels: dict[str, str] = msgspec.field(default_factory=dict)
