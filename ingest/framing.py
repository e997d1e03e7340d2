"""Packets to access units: groups of pictures, parameter sets, picture size, places in time."""

from fractions import Fraction

import av
from av.error import FFmpegError
from msgspec import Struct

from ingest.annexb import Inspection, ParameterSets, inspect
from ingest.timeline import Timeline
from schemas.messages import Codec


class Coded(Struct, frozen=True):
    """One compressed picture in Annex B, or a piece of its head, as it came from the source or the encoder."""

    data: bytes
    pts: int | None
    arrival_ns: int


class Framed(Struct, frozen=True):
    data: bytes
    pts: int
    gop: int
    index: int
    width: int
    height: int
    arrival_ns: int
    lost: dict[str, int]
    """pictures dropped since the access unit before, by reason; on a keyframe also those before it"""


class Framer:
    """Cuts the stream of one open source into groups of pictures that a decoder can enter with nothing else.

    A group starts at a closed entry point. An open one starts one only where there is none yet, where the parameter
    sets change, or where the running group is older than `open_gop_seconds` (None: never); its leading pictures are
    then undecodable and dropped.
    """

    def __init__(
        self,
        codec: Codec,
        time_base: Fraction,
        timeline: Timeline,
        extradata: bytes | None,
        open_gop_seconds: float | None,
    ) -> None:
        self.time_base = time_base
        self._codec = codec
        self._timeline = timeline
        self._sets = ParameterSets(codec)
        self._sets.learn_extradata(extradata)
        self._open_ticks = None if open_gop_seconds is None else open_gop_seconds / time_base
        self._head = b""
        self._gop = -1
        self._index = 0
        self._gop_pts = 0
        self._gop_sets = b""
        self._open = False
        """the group began at an open entry point and no other entry point came since"""
        self._size = (0, 0)
        self._lost: dict[str, int] = {}

    def take_lost(self) -> dict[str, int]:
        lost, self._lost = self._lost, {}
        return lost

    def new_extradata(self, extradata: bytes) -> None:
        """The container announces other parameter sets."""
        self._sets.learn_extradata(extradata)

    def push(self, coded: Coded) -> Framed | None:
        """None: the bytes wait for their picture, or the picture was dropped and counted."""
        data = self._head + coded.data if self._head else coded.data
        found = inspect(data, self._codec)
        if found.sets:
            self._sets.learn(found.sets)
        if found.entry == "none":
            self._head = data
            return None
        self._head = b""
        pts = self._timeline.place(coded.pts, coded.arrival_ns, found.entry == "closed")
        if self._starts(found, pts):
            data = self._sets.in_front(data, found)
            dropped = "" if self._start(data, found, pts) else "before_keyframe"
        elif self._gop < 0:
            dropped = "before_keyframe"
        else:
            dropped = "open_gop_leading" if self._undecodable(found, pts) else ""
            self._index += not dropped
        if dropped:
            self.lose(dropped)
            return None
        width, height = self._size
        return Framed(data, pts, self._gop, self._index, width, height, coded.arrival_ns, self.take_lost())

    def _starts(self, found: Inspection, pts: int) -> bool:
        if found.entry not in ("closed", "open") or not self._sets.complete:
            return False
        if found.entry == "closed" or self._gop < 0 or self._sets.as_bytes != self._gop_sets:
            return True
        return self._open_ticks is not None and pts - self._gop_pts >= self._open_ticks

    def _start(self, data: bytes, found: Inspection, pts: int) -> bool:
        sets = self._sets.as_bytes
        if sets != self._gop_sets:
            size = picture_size(self._codec, data)
            if size is None:
                return False
            self._size, self._gop_sets = size, sets
        self._gop += 1
        self._index = 0
        self._gop_pts = pts
        # leading pictures of a closed H.265 entry point that are not decodable either follow a broken link (BLA)
        self._open = found.entry == "open" or self._codec == "hevc"
        return True

    def _undecodable(self, found: Inspection, pts: int) -> bool:
        if not self._open:
            return False
        if self._codec == "hevc":
            if found.entry in ("closed", "open"):
                self._open = False
            return found.entry == "leading"
        return pts < self._gop_pts

    def lose(self, reason: str, pictures: int = 1) -> None:
        self._lost[reason] = self._lost.get(reason, 0) + pictures


def picture_size(codec: Codec, keyframe: bytes) -> tuple[int, int] | None:
    """Width and height in pixels by decoding the keyframe; None when its parameter sets say nothing sensible."""
    decoder = av.VideoCodecContext.create(codec, "r")
    decoder.thread_count = 1
    try:
        frames = [*decoder.decode(av.Packet(keyframe)), *decoder.decode(None)]
    except FFmpegError:
        frames = []
    if frames:
        return frames[0].width, frames[0].height
    # a damaged picture still tells its size
    width, height = decoder.width, decoder.height
    return (width, height) if width > 0 and height > 0 else None
