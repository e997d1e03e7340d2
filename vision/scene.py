"""What the rules look at, and what they say."""

from typing import Literal

from msgspec import Struct

from schemas.messages import Box
from vision.geometry import Homography, Vec

Phase = Literal["red", "amber", "green", "off"]
GroundPath = tuple[tuple[int, float, float], ...]
"""capture time and metres on the ground, over the last second"""


class Earlier(Struct, frozen=True):
    """Where a track was in a frame in which it was not yet confirmed. Pixels."""

    track: str
    captured_ns: int
    x1: float
    y1: float
    x2: float
    y2: float


class Move(Struct, frozen=True):
    """One track from where it was seen last to where it is."""

    box: Box
    """of the scene's frame"""
    place: Box | Earlier
    """where it got to: that box, or one before its confirmation"""
    captured_ns: int
    at: Vec
    """anchor of the place, in fractions of the picture"""
    path: GroundPath
    """up to here"""
    before_ns: int = 0
    before: Vec | None = None
    """None: seen for the first time"""


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
    moves: tuple[Move, ...] = ()
    """of every confirmed track in the frame, in order of time for each (`trajectories.step`)"""
    gone: tuple[str, ...] = ()
    """tracks that the trajectories have forgotten: should one come back, it is new"""


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
