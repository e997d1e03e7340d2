"""The only code that knows the wire of the `frames` topics.

Key: camera id. Value: the access unit's bytes; empty for a gap and an end. Everything else is a header with an ASCII
value, so that kcat shows it. Version 1.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from schemas.analysis import CAMERA_ID
from schemas.messages import AccessUnit, Codec, End, Gap, LogRecord

VERSION: Final = b"1"
Headers = list[tuple[str, bytes]]

_CAMERA: Final = re.compile(CAMERA_ID)
_MAX_SIDE = 16_384
_MAX_INT = 2**63 - 1
_CODECS: Final[dict[bytes, Codec]] = {b"h264": "h264", b"hevc": "hevc"}


class CodecError(ValueError):
    """A record that does not follow the wire format; names the header at fault."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"header {field}: {why}")
        self.field = field
        self.why = why


class WireRecord(msgspec.Struct, frozen=True):
    """What Kafka carries. `timestamp_ms` is the capture time."""

    key: bytes
    value: bytes
    headers: Headers
    timestamp_ms: int


def encode(record: LogRecord) -> WireRecord:
    headers: Headers = [("v", VERSION)]
    match record:
        case AccessUnit():
            _put(headers, "kind", "au")
            _put(headers, "session", record.session)
            _put(headers, "codec", record.codec)
            _put(headers, "keyframe", int(record.keyframe))
            _put(headers, "gop", record.gop)
            _put(headers, "index", record.index)
            _put(headers, "pts", record.pts)
            _put(headers, "time_base", f"{record.time_base[0]}/{record.time_base[1]}")
            _put(headers, "width", record.width)
            _put(headers, "height", record.height)
            _put(headers, "captured_ns", record.captured_ns)
            if record.analysis is not None:
                headers.append(("analysis", record.analysis))
            if record.traceparent is not None:
                _put(headers, "traceparent", record.traceparent)
            return WireRecord(record.camera.encode(), record.data, headers, record.captured_ns // 1_000_000)
        case Gap():
            _put(headers, "kind", "gap")
            _put(headers, "session", record.session)
            _put(headers, "reason", record.reason)
            _put(headers, "from_ns", record.from_ns)
            _put(headers, "to_ns", record.to_ns)
            _put(headers, "lost", record.lost)
            return WireRecord(record.camera.encode(), b"", headers, record.to_ns // 1_000_000)
        case End():
            _put(headers, "kind", "end")
            _put(headers, "session", record.session)
            _put(headers, "published", record.published)
            _put(headers, "error", record.error)
            _put(headers, "captured_ns", record.captured_ns)
            if record.analysis is not None:
                headers.append(("analysis", record.analysis))
            return WireRecord(record.camera.encode(), b"", headers, record.captured_ns // 1_000_000)


def camera_of(key: bytes | None) -> str:
    """Raises CodecError for what no camera can be called."""
    if not key:
        raise CodecError("key", "a frames record needs the camera id as its key")
    try:
        camera = key.decode("ascii")
    except UnicodeDecodeError as error:
        raise CodecError("key", f"{key[:32]!r} is no camera id") from error
    if not _CAMERA.match(camera):
        raise CodecError("key", f"{key[:32]!r} is no camera id")
    return camera


def decode(
    key: bytes | None, value: bytes | None, headers: Mapping[str, bytes] | Iterable[tuple[str, bytes]] | None
) -> LogRecord:
    """Raises CodecError for anything that `encode` could not have written."""
    fields = _Fields(dict(headers or ()))
    if fields.raw("v") != VERSION:
        raise CodecError("v", f"version {fields.raw('v')[:32]!r} is not known here")
    camera = camera_of(key)
    data = value or b""
    kind = fields.raw("kind")
    if kind == b"au":
        return _access_unit(camera, data, fields)
    if kind == b"gap":
        return Gap(
            camera=camera,
            session=fields.text("session"),
            reason=fields.text("reason"),
            from_ns=fields.integer("from_ns"),
            to_ns=fields.integer("to_ns"),
            lost=fields.integer("lost", low=-1),
        )
    if kind == b"end":
        return End(
            camera=camera,
            session=fields.text("session"),
            published=fields.integer("published"),
            error=fields.text("error"),
            analysis=fields.optional("analysis"),
            captured_ns=fields.integer("captured_ns"),
        )
    raise CodecError("kind", f"{kind[:32]!r} is not known here")


def _access_unit(camera: str, data: bytes, fields: "_Fields") -> AccessUnit:
    codec = _CODECS.get(fields.raw("codec"))
    if codec is None:
        raise CodecError("codec", f"{fields.raw('codec')[:32]!r} is not known here")
    if not data:
        raise CodecError("value", "an access unit without bytes")
    keyframe = fields.integer("keyframe", high=1) == 1
    index = fields.integer("index")
    if keyframe != (index == 0):
        raise CodecError("index", "the keyframe, and only the keyframe, is number 0 of its GOP")
    analysis = fields.optional("analysis")
    if keyframe and analysis is None:
        raise CodecError("analysis", "missing on a keyframe")
    trace = fields.optional("traceparent")
    return AccessUnit(
        camera=camera,
        session=fields.text("session"),
        gop=fields.integer("gop"),
        index=index,
        keyframe=keyframe,
        codec=codec,
        pts=fields.integer("pts", low=-_MAX_INT),
        time_base=fields.ratio("time_base"),
        width=fields.integer("width", low=1, high=_MAX_SIDE),
        height=fields.integer("height", low=1, high=_MAX_SIDE),
        captured_ns=fields.integer("captured_ns"),
        data=data,
        analysis=analysis,
        traceparent=None if trace is None else trace.decode("ascii", "ignore"),
    )


def _put(headers: Headers, name: str, value: str | int) -> None:
    headers.append((name, str(value).encode()))


class _Fields:
    def __init__(self, headers: dict[str, bytes]) -> None:
        self._headers = headers

    def optional(self, name: str) -> bytes | None:
        return self._headers.get(name)

    def raw(self, name: str) -> bytes:
        value = self._headers.get(name)
        if value is None:
            raise CodecError(name, "missing")
        return value

    def text(self, name: str) -> str:
        try:
            return self.raw(name).decode()
        except UnicodeDecodeError as error:
            raise CodecError(name, "not UTF-8") from error

    def integer(self, name: str, low: int = 0, high: int = _MAX_INT) -> int:
        raw = self.raw(name)
        # int() would also take "1_0", spaces and other alphabets' digits
        if not raw.removeprefix(b"-").isdigit() or len(raw) > 20:
            raise CodecError(name, f"{raw[:32]!r} is not an integer")
        value = int(raw)
        if str(value).encode() != raw:
            raise CodecError(name, f"{raw[:32]!r} is not how {value} is written")
        if not low <= value <= high:
            raise CodecError(name, f"{value} is not within {low}..{high}")
        return value

    def ratio(self, name: str) -> tuple[int, int]:
        raw = self.raw(name)
        numerator, slash, denominator = raw.partition(b"/")
        # the length first: int() itself refuses thousands of digits, with another exception
        if not slash or len(raw) > 40 or not numerator.isdigit() or not denominator.isdigit():
            raise CodecError(name, f"{raw[:32]!r} is not a ratio")
        pair = int(numerator), int(denominator)
        if f"{pair[0]}/{pair[1]}".encode() != raw:
            raise CodecError(name, f"{raw[:32]!r} is not how {pair[0]}/{pair[1]} is written")
        if not (0 < pair[0] <= _MAX_INT and 0 < pair[1] <= _MAX_INT):
            raise CodecError(name, "must be positive")
        return pair
