"""What the rules look at, and what they say."""

from typing import Literal

from msgspec import Struct

from schemas.messages import Box
from vision.geometry import Homography

Phase = Literal["red", "amber", "green", "off"]


class Earlier(Struct, frozen=True):
    """Where a track was in a frame in which it was not yet confirmed. Pixels."""

    track: str
    captured_ns: int
    x1: float
    y1: float
    x2: float
    y2: float


class Scene(Struct, frozen=True):
    """One inferred frame, tracked."""

    camera: str
    captured_ns: int
    width: int
    height: int
    boxes: tuple[Box, ...]
    """boxes without a track are not confirmed yet: rules pass them over"""
    signals: dict[str, str]
    """name -> red, amber, green, off; as read from this frame alone"""
    earlier: tuple[Earlier, ...] = ()
    """the way here of the tracks confirmed in this very frame, oldest first (`tracker.earlier`): nothing that happened
    before a confirmation is missed"""
    ground: Homography | None = None
    """fractions of the picture to metres (`geometry.homography`); None: no speeds"""


class Fact(Struct, frozen=True):
    """A rule's finding. `captured_ns` is the time of the frame that decided it; when a line was crossed between two
    frames, `details` says so in `crossed_ns`."""

    kind: str
    rule: str
    track: str
    label: str
    captured_ns: int
    box: Box
    details: dict[str, str | float | int]
