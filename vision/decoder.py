"""Access units in, pictures out: one GOP at a time, the same pictures from the same bytes on every run."""

from typing import Final

import av
from av.codec.context import Flags
from av.error import FFmpegError
from msgspec import Struct

from schemas.messages import AccessUnit, Codec
from vision.bitstream import entry_point, first_slice_type, is_skipped_leading

# FFmpeg hides damage by default: it invents the missing macroblocks and goes on. `explode` makes it say so instead,
# and a picture that it mended all the same comes marked corrupt; `crccheck` makes it compare the picture hashes that
# some HEVC encoders send. What passes all three was decoded by the letter of the standard, which defines every bit of
# the result: the same on every machine. One hole is left: damage that makes an HEVC slice end early, by chance in a
# valid way, is noticed by nobody, and the picture's rest is whatever its memory held before.
# (`ec=0`, concealment off, looks cleaner, but then FFmpeg marks every H.264 picture of several slices corrupt.)
_OPTIONS: Final = {"err_detect": "explode+crccheck"}
MOST_PIXELS: Final = 8192 * 4352
"""the largest picture of level 6.2 of both standards; a header of a few bytes can ask for a hundred times as much
memory"""
# Without its leading pictures an open H.264 GOP names references that never were, harmlessly: here only what FFmpeg had
# to mend counts as damage.
_LENIENT: Final = {"err_detect": "crccheck"}


class Picture(Struct, frozen=True):
    """A decoded picture. `offset_index` is the index of its access unit in the GOP, in decode order."""

    captured_ns: int
    pts: int
    gop: int
    offset_index: int
    frame: av.VideoFrame


class CorruptAccessUnit(Exception):
    """These bytes cannot be decoded, now or ever. `index` is the access unit's place in the GOP."""

    def __init__(self, gop: int, index: int, reason: str) -> None:
        super().__init__(f"access unit {index} of GOP {gop}: {reason}")
        self.gop = gop
        self.index = index
        self.reason = reason


class GopDecoder:
    """Decodes one camera's GOPs. Not thread-safe; successive calls may come from different threads.

    Nothing survives a keyframe, because a replay that starts at any keyframe must see the same pictures as the run
    that has been going for days: so every GOP gets a decoder of its own (opening one takes 0.03 ms).

    Every access unit becomes one picture, or the GOP is corrupt. The one exception: `undecodable` counts a GOP's
    access units that refer to pictures before its keyframe (an open GOP's leading pictures), and pictures found out of
    order too late to be given in order. They are left out.
    """

    def __init__(self, codec: Codec) -> None:
        self.codec: Final = codec
        self.undecodable = 0
        self._decoder: av.VideoCodecContext | None = None
        self._options = _OPTIONS
        self._units: dict[int, AccessUnit] = {}
        """fed, and not yet given out"""
        self._fed: list[AccessUnit] = []
        """everything fed, while it may have to be fed again"""
        self._depth: int | None = None
        """how far pictures are known to be reordered; None: settled"""
        self._held: list[av.VideoFrame] = []
        self._repeats = 0
        """pictures that were given out already and will come again"""
        self._open = False
        """leading pictures may come that cannot be decoded"""
        self._keyframe_pts = 0
        self._gop = 0
        self._next_index = 0
        self._last_index = 0

    def decode(self, unit: AccessUnit) -> list[Picture]:
        """The pictures that are ready, in presentation order.

        Raises CorruptAccessUnit; the GOP is lost from here on, and everything up to the next keyframe is refused
        too. The keyframe of a GOP that follows without a flush discards what was not yet out.
        """
        if unit.keyframe:
            self._start(unit)
        elif self._decoder is None:
            raise CorruptAccessUnit(unit.gop, unit.index, "no keyframe to start from")
        if unit.gop != self._gop or unit.index != self._next_index:
            raise self._corrupt(unit.index, f"expected access unit {self._next_index} of GOP {self._gop}")
        self._next_index += 1
        if unit.codec != self.codec:
            raise self._corrupt(unit.index, f"{unit.codec} where {self.codec} was expected")
        if first_slice_type(self.codec, unit.data) is None:
            raise self._corrupt(unit.index, "no coded picture in it")
        if self._open and not unit.keyframe:
            if self._leads(unit):
                self.undecodable += 1
                return []
            self._open = self.codec == "h264" or entry_point(self.codec, unit.data) == "none"
        self._units[unit.index] = unit
        self._last_index = unit.index
        frames = self._feed(unit)
        if self._depth is not None:
            frames = self._watch_order(unit, frames)
        return self._give(frames)

    def flush(self) -> list[Picture]:
        """The GOP's remaining pictures. Raises CorruptAccessUnit if an access unit has not become one."""
        if self._decoder is None:
            return []
        try:
            frames = self._decoder.decode(None)
        except FFmpegError as error:
            raise self._corrupt(self._last_index, _reason(error)) from error
        pictures = self._give(self._held + frames)
        if self._units:
            raise self._corrupt(min(self._units), "the decoder made no picture of it")
        self._decoder = None
        return pictures

    def _start(self, unit: AccessUnit) -> None:
        # a broken link (BLA) is a closed entry point whose RASL pictures are lost all the same
        closed = entry_point(self.codec, unit.data) == "closed"
        self._open = self.codec == "hevc" or not closed
        self._options = _OPTIONS if closed or self.codec == "hevc" else _LENIENT
        self._decoder = _open(self.codec, self._options)
        self._units = {}
        self._fed = []
        self._depth = 0 if self.codec == "h264" else None
        self._held = []
        self._repeats = 0
        self._keyframe_pts = unit.pts
        self._gop = unit.gop
        self._next_index = 0
        self.undecodable = 0

    def _leads(self, unit: AccessUnit) -> bool:
        if self.codec == "hevc":
            return is_skipped_leading(self.codec, unit.data)
        # H.264 does not mark leading pictures: after a keyframe that is no IDR, all that is shown before it counts
        return unit.pts < self._keyframe_pts

    def _feed(self, unit: AccessUnit) -> list[av.VideoFrame]:
        assert self._decoder is not None
        packet = av.Packet(unit.data)
        # The index stands in for pts: unique whatever the source's timestamps are, and H.264 and HEVC decoders
        # order pictures by the bitstream's own count, never by pts.
        packet.pts = packet.dts = unit.index
        try:
            return self._decoder.decode(packet)
        except FFmpegError as error:
            raise self._corrupt(unit.index, _reason(error)) from error

    def _watch_order(self, unit: AccessUnit, frames: list[av.VideoFrame]) -> list[av.VideoFrame]:
        """An H.264 stream need not say how far it reorders pictures. FFmpeg then guesses: none, until a jump in the
        picture order count shows that one was skipped; two and more when a picture arrives after its turn, and that
        picture it drops. A guess carried over from earlier GOPs would be state that a replay does not have. So here:

        - no sign of reordering: no delay;
        - a first sign: one picture is held back, so that
        - at the second sign nothing wrong is out yet, and the GOP is fed again to a decoder that waits as long as
          the stream's level allows.
        """
        assert self._decoder is not None
        depth = self._decoder.reorder_depth
        if unit.keyframe and depth > 0:
            self._depth = None  # the stream does say it
            return frames
        self._fed.append(unit)
        if depth >= 2:
            self._depth = None
            self._held = []
            self._repeats = sum(fed.index not in self._units for fed in self._fed)
            self._decoder = _open(self.codec, {**self._options, "strict": "strict"})
            fed, self._fed = self._fed, []
            return [frame for again in fed for frame in self._feed(again)]
        self._depth = depth
        if depth == 1:
            frames = self._held + frames
            self._held = frames[-1:]
            return frames[:-1]
        return frames

    def _give(self, frames: list[av.VideoFrame]) -> list[Picture]:
        pictures = []
        for frame in frames:
            unit = None if frame.pts is None else self._units.pop(frame.pts, None)
            if self._repeats > 0:
                if unit is None:
                    self._repeats -= 1
                else:
                    self.undecodable += 1  # belongs before a picture that is out
                continue
            if unit is None:
                raise self._corrupt(self._last_index, "more than one picture in it")
            if frame.is_corrupt:
                raise self._corrupt(unit.index, "damaged picture")
            frame.pts = unit.pts
            pictures.append(Picture(unit.captured_ns, unit.pts, unit.gop, unit.index, frame))
        return pictures

    def _corrupt(self, index: int, reason: str) -> CorruptAccessUnit:
        self._decoder = None
        self._units = {}
        self._fed = []
        self._held = []
        return CorruptAccessUnit(self._gop, index, reason)


def _open(codec: Codec, options: dict[str, str]) -> av.VideoCodecContext:
    decoder = av.CodecContext.create(codec, "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.thread_count = 1  # more threads would hold back one picture each
    decoder.flags |= Flags.low_delay
    decoder.options = {**options, "max_pixels": str(MOST_PIXELS)}
    return decoder


def _reason(error: FFmpegError) -> str:
    return f"decoder: {error.strerror}"
