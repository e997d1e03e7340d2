"""Any picture that PyAV decodes, as H.264 that the rest of the system can enter every second or two."""

from fractions import Fraction
from typing import Any, Final

import av
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame

from ingest.framing import Coded
from ingest.source import OpenSource, SourceError
from ingest.timeline import Timeline

_GOP_SECONDS: Final = Fraction(3, 2)
_MOST_ERRORS: Final = 100
"""packets in a row that do not decode, until the source counts as broken"""
_OPTIONS: Final = {
    "preset": "superfast",
    "tune": "zerolatency",
    "crf": "20",
    "forced-idr": "1",
    "x264-params": "scenecut=0:open-gop=0:repeat-headers=1:bframes=0:threads=1:sliced-threads=0",
}


class Transcoder:
    """One picture in, one access unit out: nothing is added to reach a frame rate, and nothing is dropped."""

    def __init__(self, opened: OpenSource, timeline: Timeline) -> None:
        """`timeline` repairs the decoder's timestamps."""
        self.decode_with(opened)
        self._time_base = opened.time_base
        self._rate = opened.rate or Fraction(25)
        self._timeline = timeline
        self._encoder: Any = None
        self._last_pts: int | None = None
        self._next_key: Fraction | int = 0
        self._errors = 0
        self.corrupt = 0
        """packets that did not decode, since the caller last set it to 0"""

    def decode_with(self, opened: OpenSource) -> None:
        """Also when the same file was opened again."""
        self._decoder: Any = opened.decoder
        self._decoder.thread_count = 1
        self._untimed = opened.untimed

    def push(self, packet: "Packet[Any]", arrival_ns: int) -> list[Coded]:
        """Raises SourceError when nothing decodes any more."""
        try:
            frames = self._decoder.decode(packet)
        except FFmpegError as error:
            self.corrupt += 1
            self._errors += 1
            if self._errors >= _MOST_ERRORS:
                raise SourceError("invalid_data", f"{_MOST_ERRORS} packets in a row do not decode") from error
            return []
        self._errors = 0
        return [coded for frame in frames for coded in self._encode(frame, arrival_ns)]

    def flush(self, arrival_ns: int) -> list[Coded]:
        """What the decoder still holds, at the end of the source."""
        try:
            frames = self._decoder.decode(None)
        except FFmpegError:
            frames = []
        return [coded for frame in frames for coded in self._encode(frame, arrival_ns)]

    def _encode(self, frame: VideoFrame, arrival_ns: int) -> list[Coded]:
        # yuv420p wants even sides; one column or row less is less than half a percent
        width, height = max(2, frame.width & ~1), max(2, frame.height & ~1)
        if self._encoder is None or (self._encoder.width, self._encoder.height) != (width, height):
            self._open(width, height)
        # the demuxer's guess at presentation times is in decode order there; the decoder hands pictures out in time
        shown = frame.dts if self._untimed else frame.pts
        pts = self._timeline.place(shown, arrival_ns, entry=False)
        if self._last_pts is not None and pts <= self._last_pts:
            pts = self._last_pts + 1
        self._last_pts = pts
        picture = frame.reformat(width, height, "yuv420p")
        picture.pts, picture.time_base = pts, self._time_base
        key = pts >= self._next_key
        picture.pict_type = PictureType.I if key else PictureType.NONE
        if key:
            self._next_key = pts + _GOP_SECONDS / self._time_base
        return [Coded(bytes(packet), packet.pts, arrival_ns) for packet in self._encoder.encode(picture)]

    def _open(self, width: int, height: int) -> None:
        encoder: Any = av.VideoCodecContext.create("libx264", "w")
        encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
        encoder.time_base, encoder.framerate = self._time_base, self._rate
        encoder.thread_count, encoder.gop_size, encoder.max_b_frames = 1, 1_000_000, 0
        encoder.options = dict(_OPTIONS)
        self._encoder = encoder
        # a new encoder starts with a keyframe whatever the clock says
        self._next_key = -(2**63)
