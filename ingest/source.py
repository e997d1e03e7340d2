"""Opening and reading what PyAV can open, with every failure mapped once to `SourceError`."""

import os
import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Final, Literal

import av
from av.bitstream import BitStreamFilterContext
from av.error import FFmpegError
from av.packet import Packet

from schemas.analysis import Source
from schemas.messages import Codec

Kind = Literal["rtsp", "rtmp", "http", "device", "file"]

_SCHEMES: Final[dict[str, Kind]] = {
    "rtsp": "rtsp",
    "rtsps": "rtsp",
    "rtmp": "rtmp",
    "rtmps": "rtmp",
    "http": "http",
    "https": "http",
    "file": "file",
    "": "file",
}
_PASSED_THROUGH: Final[dict[str, Codec]] = {"h264": "h264", "hevc": "hevc"}
_FILTERS: Final[dict[Codec, str]] = {"h264": "h264_mp4toannexb", "hevc": "hevc_mp4toannexb"}
_TEXT_FORMATS: Final = frozenset({"tty", "bin", "xbin", "adf", "idf"})
"""demuxers that take any bytes for a picture of text"""
_UNTIMED_FORMATS: Final = frozenset({"avi", "h264", "hevc"})
"""containers without presentation times: only a decoder knows the order of reordered pictures"""
_LISTS: Final = (b"#EXTM3U", b"ffconcat", b"<?xml", b"<MPD", b"<SmoothStreamingMedia")
"""a file that only names other files: reading it would let an upload read them"""


class SourceError(Exception):
    """The source cannot be opened or read further. `reason` is a word for metrics and gap records."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def kind_of(url: str) -> Kind:
    """Raises SourceError for a scheme that is not served."""
    if re.match(r"^/dev/video\d+$", url):
        return "device"
    scheme, separator, _ = url.partition("://")
    kind = _SCHEMES.get(scheme.lower() if separator else "")
    if kind is None:
        raise SourceError("bad_url", f"{scheme}:// is not served; known are rtsp, rtmp, http, https, file, /dev/videoN")
    return kind


def name_of(url: str) -> str:
    """The address without user, password and query, for logs."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    if rest.count("@") > 1:
        # a password with such a character in it, not escaped: nobody can tell where it ends
        return f"{scheme}://…"
    before, _, after = rest.rpartition("@")
    if "?" in before:
        return f"{scheme}://…"
    return f"{scheme}://{after.partition('?')[0]}"


class OpenSource:
    """An open container and its video stream. Use as a context manager; only one thread may use it."""

    def __init__(self, source: Source) -> None:
        """Blocks until the stream is known, up to `source.open_timeout_seconds`. Raises SourceError."""
        self.kind = kind_of(source.url)
        self.name = name_of(source.url)
        path = source.url.removeprefix("file://") if self.kind == "file" else source.url
        if self.kind == "file":
            _check_file(path)
        try:
            self._container = av.open(
                path,
                format="v4l2" if self.kind == "device" else None,
                options=_options(self.kind, source),
                timeout=(source.open_timeout_seconds, source.stall_seconds),
                metadata_errors="replace",
            )
        except (FFmpegError, OSError, ValueError) as error:
            raise _failed("opened", self.name, error) from error
        try:
            self._choose()
        except BaseException:
            self._container.close()
            raise

    def _choose(self) -> None:
        if self._container.format.name in _TEXT_FORMATS:
            raise SourceError("invalid_data", f"{self.name} is not a video: it reads as text")
        streams = [s for s in self._container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
        if not streams:
            raise SourceError("no_video", f"{self.name} has no video stream")
        self.stream = streams[0]
        if self.stream.codec_context is None or not self.stream.codec_context.name:
            raise SourceError("unknown_codec", f"{self.name}: no decoder for its video")
        self.finite = self.kind == "file" or (
            self.kind == "http" and self._container.duration is not None and self._container.size > 0
        )
        """has an end, and can wait while Kafka does not take more"""
        context = self.stream.codec_context
        self.untimed = self._container.format.name in _UNTIMED_FORMATS
        """only decoding times are known"""
        reordered = self.untimed and context.has_b_frames
        self.codec: Codec | None = None if reordered else _PASSED_THROUGH.get(context.name)
        """None: has to be transcoded"""
        self.decoder: Any = context
        self.codec_name: str = context.name
        self.time_base: Fraction = self.stream.time_base or Fraction(1, 90_000)
        rate = self.stream.average_rate or self.stream.guessed_rate
        self.rate: Fraction | None = Fraction(rate) if rate and 0.1 <= rate <= 240 else None
        self.extradata: bytes | None = context.extradata
        boxed = bool(self.extradata) and not (self.extradata or b"").startswith((b"\0\0\1", b"\0\0\0\1"))
        self._packets, self._last_pts = 0, 0
        self._filter = BitStreamFilterContext(_FILTERS[self.codec], self.stream) if self.codec and boxed else None

    def packets(self) -> "Iterator[Packet[Any]]":
        """Packets of the video stream until the source ends; H.264 and H.265 in Annex B. Raises SourceError."""
        try:
            for packet in self._container.demux(self.stream):
                if packet.size == 0:
                    continue
                self._packets += 1
                if packet.pts is not None:
                    self._last_pts = max(self._last_pts, packet.pts)
                if self._filter is None:
                    yield packet
                else:
                    yield from self._filter.filter(packet)
        except (FFmpegError, OSError, ValueError) as error:
            raise _failed("read", self.name, error) from error

    def check_complete(self) -> None:
        """After the last packet of a file: raises SourceError when its index promises more than it holds."""
        promised = self.stream.frames
        if not promised or self._packets >= promised or self.stream.duration is None:
            return
        missing = (self.stream.start_time or 0) + self.stream.duration - self._last_pts
        # an edit list may leave out pictures of the index, and then the duration leaves them out too
        if missing * self.time_base > 1:
            raise SourceError("truncated", f"{self.name} ends early: {self._packets} of {promised} pictures are there")

    def close(self) -> None:
        self._container.close()

    def __enter__(self) -> "OpenSource":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _options(kind: Kind, source: Source) -> dict[str, str]:
    """What was measured: `nobuffer` throws away the packets that opening has read, so it is never used."""
    stall = str(int(source.stall_seconds * 1_000_000))
    if kind == "rtsp":
        # the description names the codec: nothing has to be waited for
        return {
            "rtsp_transport": source.transport,
            "timeout": stall,
            "allowed_media_types": "video",
            "analyzeduration": "1",
            "probesize": "32",
            "fpsprobesize": "0",
        }
    if kind == "rtmp":
        return {"rw_timeout": stall, "analyzeduration": "500000", "rtmp_live": "live"}
    if kind == "http":
        return {
            "rw_timeout": stall,
            "analyzeduration": "1000000",
            "protocol_whitelist": "http,https,tcp,tls,crypto,hls",
        }
    if kind == "file":
        return {"protocol_whitelist": "file"}
    return {}


def _check_file(path: str) -> None:
    try:
        with open(path, "rb") as file:
            head = file.read(512).lstrip(b"\xef\xbb\xbf \t\r\n")
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise SourceError("unreadable", f"{path}: {error.strerror}") from error
    if size == 0:
        raise SourceError("invalid_data", f"{path} is empty")
    if head.startswith(_LISTS):
        raise SourceError("invalid_data", f"{path} is not a video but a list of other addresses")


def _failed(what: str, name: str, error: Exception) -> SourceError:
    """PyAV's errors, seen on real servers; the texts of FFmpeg may hold the address with its password."""
    text = getattr(error, "strerror", None) or type(error).__name__
    kinds: tuple[tuple[type[Exception], str], ...] = (
        (av.error.HTTPUnauthorizedError, "unauthorized"),
        (av.error.HTTPForbiddenError, "unauthorized"),
        (av.error.HTTPNotFoundError, "not_found"),
        (av.error.FileNotFoundError, "not_found"),
        (av.error.ConnectionRefusedError, "refused"),
        (av.error.TimeoutError, "stalled"),
        (av.error.ExitError, "stalled"),
        (av.error.InvalidDataError, "invalid_data"),
    )
    reason = next((reason for kind, reason in kinds if isinstance(error, kind)), "unreachable")
    if reason == "stalled":
        text = "no data in time"
    return SourceError(reason, f"{name} could not be {what}: {text}")
