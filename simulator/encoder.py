"""Pictures to a compressed clip or a live stream, as an IP camera would send them: no B-frames, fixed GOP."""

from fractions import Fraction
from pathlib import Path
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit, urlunsplit

import av
import av.error
import msgspec
from av.video.stream import VideoStream

from simulator.arrays import Picture

Codec: TypeAlias = Literal["h264", "h265"]
TIME_BASE: Final = Fraction(1, 90_000)
_LIBRARIES: Final[dict[str, str]] = {"h264": "libx264", "h265": "libx265"}
_FORMATS: Final[dict[str, str]] = {
    ".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".ts": "mpegts", ".h264": "h264", ".h265": "hevc"
}  # fmt: skip
_SMPTE170M, _BT709, _LIMITED_RANGE = 6, 1, 1


class EncodeError(RuntimeError):
    """The clip cannot be written or the stream not sent; the text says where to (without password) and why."""


class Encoding(msgspec.Struct, frozen=True):
    """How to compress. `quality` is the codec's constant rate factor; a `bitrate` (bits a second) overrides it."""

    codec: Codec = "h264"
    gop_seconds: float = 1.0
    quality: int = 23
    bitrate: int | None = None
    preset: str = "veryfast"


class Encoder:
    """Writes pictures to a file (.mp4 .mov .mkv .ts .h264 .h265) or to an rtsp:// or rtmp:// address.

    A file appears under its name only when it is complete. Picture k gets pts k/fps in `TIME_BASE`. One encoding
    thread, so that equal pictures give equal bytes on any machine. A context manager; leaving it by an exception
    removes what was written. Raises EncodeError.
    """

    def __init__(self, target: str | Path, width: int, height: int, fps: float, encoding: Encoding) -> None:
        self._target = str(target)
        self.live = "://" in self._target
        self._rate = Fraction(fps).limit_denominator(1001)
        self._count = 0
        self.gop_frames = max(1, round(encoding.gop_seconds * fps))
        self._final = None if self.live else Path(self._target)
        self._path = self._target
        options: dict[str, str] = {}
        if self.live:
            kind, options = _live_format(self._target)
        else:
            assert self._final is not None
            kind = _file_format(self._final)
            self._path = str(self._final.with_name(f".{self._final.name}.part"))
        if encoding.codec not in _LIBRARIES:
            raise EncodeError(f"unknown codec {encoding.codec!r}: choose one of {', '.join(_LIBRARIES)}")
        try:
            self._container = av.open(self._path, "w", format=kind, options=options, timeout=(10.0, 10.0))
            self._stream = self._open(encoding, width, height)
            self._container.start_encoding()
        except (av.error.FFmpegError, OSError) as error:
            self.discard()
            raise EncodeError(f"cannot write to {shown(self._target)}: {_reason(error)}") from error

    def _open(self, encoding: Encoding, width: int, height: int) -> VideoStream:
        gop = self.gop_frames
        common = f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes=0"
        options = {"preset": encoding.preset, "tune": "zerolatency", "g": str(gop), "bf": "0"}
        if encoding.codec == "h264":
            options["x264-params"] = common
        else:
            # x265 starts worker pools of its own, whatever the thread count.
            options["x265-params"] = common + ":repeat-headers=0:log-level=none:pools=1:frame-threads=1"
        if encoding.bitrate is None:
            options["crf"] = str(encoding.quality)
        stream = self._container.add_stream(_LIBRARIES[encoding.codec], rate=self._rate, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.time_base = TIME_BASE
        context.thread_count = 1
        context.max_b_frames = 0
        context.gop_size = gop
        context.colorspace, context.color_range = _SMPTE170M, _LIMITED_RANGE
        context.color_primaries = context.color_trc = _BT709
        if encoding.bitrate is not None:
            stream.bit_rate = encoding.bitrate
        if encoding.codec == "h265" and self._path.endswith((".mp4.part", ".mov.part")):
            context.codec_tag = "hvc1"  # players want it so
        return stream

    def write(self, picture: Picture) -> int:
        """Encode one picture, uint8 [H, W, 3] RGB; returns its pts."""
        pts = round(self._count / self._rate / TIME_BASE)
        self._count += 1
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace=5, dst_color_range=_LIMITED_RANGE, threads=1)
        frame.pts, frame.time_base = pts, TIME_BASE
        self._mux(frame)
        return pts

    def _mux(self, frame: av.VideoFrame | None) -> None:
        try:
            for packet in self._stream.encode(frame):
                self._container.mux(packet)
        except (av.error.FFmpegError, OSError) as error:
            raise EncodeError(f"cannot write to {shown(self._target)}: {_reason(error)}") from error

    def __enter__(self) -> "Encoder":
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        if failure is not None:
            self.discard()
            return
        try:
            self._mux(None)
            self._container.close()
        except (EncodeError, av.error.FFmpegError, OSError) as error:
            self.discard()
            raise EncodeError(f"cannot finish {shown(self._target)}: {error}") from error
        if self._final is not None:
            Path(self._path).replace(self._final)

    def discard(self) -> None:
        """Close and leave nothing behind."""
        try:
            if hasattr(self, "_container"):
                self._container.close()
        except (av.error.FFmpegError, OSError):
            pass  # the failure that brought us here is the one to tell
        if self._final is not None:
            Path(self._path).unlink(missing_ok=True)


def shown(target: str) -> str:
    """The target as it may be shown: without user and password."""
    if "://" not in target:
        return target
    parts = urlsplit(target)
    host = parts.hostname or ""
    if parts.port:
        host += f":{parts.port}"
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def _file_format(path: Path) -> str:
    kind = _FORMATS.get(path.suffix.lower())
    if kind is None:
        raise EncodeError(f"{path}: the name must end in one of {', '.join(_FORMATS)}")
    if not path.parent.is_dir():
        raise EncodeError(f"cannot write to {path}: there is no folder {path.parent}")
    return kind


def _live_format(url: str) -> tuple[str, dict[str, str]]:
    scheme = urlsplit(url).scheme
    if scheme == "rtsp":
        return "rtsp", {"rtsp_transport": "tcp"}
    if scheme == "rtmp":
        return "flv", {}
    raise EncodeError(f"{shown(url)}: streams go out to rtsp:// or rtmp:// addresses")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
