"""The wire of `frames`: what is written is read back, and nothing else is let in."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.analysis import CameraId
from schemas.codec import CodecError, decode, encode
from schemas.examples import RECORDS
from schemas.messages import AccessUnit, End, Gap, LogRecord

_MAX = 2**63 - 1
_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
_camera = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,30}\Z")
_natural = st.integers(0, _MAX)


@st.composite
def access_units(draw: st.DrawFn) -> AccessUnit:
    keyframe = draw(st.booleans())
    return AccessUnit(
        camera=draw(_camera),
        session=draw(_text),
        gop=draw(_natural),
        index=0 if keyframe else draw(st.integers(1, _MAX)),
        keyframe=keyframe,
        codec=draw(st.sampled_from(["h264", "hevc"])),
        pts=draw(st.integers(-_MAX, _MAX)),
        time_base=(draw(st.integers(1, _MAX)), draw(st.integers(1, _MAX))),
        width=draw(st.integers(1, 16_384)),
        height=draw(st.integers(1, 16_384)),
        captured_ns=draw(_natural),
        data=draw(st.binary(min_size=1, max_size=64)),
        analysis=draw(st.binary(max_size=20) if keyframe else st.none() | st.binary(max_size=20)),
        traceparent=draw(st.none() | st.from_regex(r"\A00-[0-9a-f]{32}-[0-9a-f]{16}-01\Z")),
    )


gaps = st.builds(
    Gap, camera=_camera, session=_text, reason=_text, from_ns=_natural, to_ns=_natural, lost=st.integers(-1, _MAX)
)
ends = st.builds(
    End,
    camera=_camera,
    session=_text,
    published=_natural,
    error=_text,
    analysis=st.none() | st.binary(max_size=20),
    captured_ns=_natural,
)


@given(access_units() | gaps | ends)
def test_what_is_written_is_read_back(record: LogRecord) -> None:
    wire = encode(record)
    assert decode(wire.key, wire.value, wire.headers) == record
    assert decode(wire.key, wire.value, dict(wire.headers)) == record


@given(
    key=st.none() | st.binary(max_size=20),
    value=st.none() | st.binary(max_size=20),
    headers=st.none() | st.lists(st.tuples(_text, st.binary(max_size=30))),
)
def test_noise_raises_nothing_but_a_codec_error(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]] | None
) -> None:
    with pytest.raises(CodecError):
        decode(key, value, headers)


@given(st.data())
def test_a_damaged_header_raises_nothing_but_a_codec_error(data: st.DataObject) -> None:
    """Valid records with some headers replaced or removed reach the code behind the first checks."""
    wire = encode(data.draw(st.sampled_from(sorted(RECORDS.items())))[1])
    headers: dict[str, bytes | None] = dict(wire.headers)
    odd = st.sampled_from([b"", b"-", b"-0", b"007", b"1_0", b" 1", b"1e3", b"\xff", "²".encode(), b"0/0", b"1/", b"/"])
    digits = st.integers(1, 6000).map(lambda count: b"9" * count)
    values = st.binary(max_size=30) | odd | digits | digits.map(lambda many: many + b"/" + many) | st.none()
    for name in data.draw(st.lists(st.sampled_from(sorted(headers)), max_size=3)):
        headers[name] = data.draw(values)
    for name in data.draw(st.lists(st.sampled_from(sorted(headers)), max_size=1)):
        del headers[name]
    try:
        record = decode(wire.key, wire.value, headers)  # type: ignore[arg-type]  # Kafka allows header values of null
    except CodecError as error:
        shown = str(error)
    else:
        again = encode(record)
        assert decode(again.key, again.value, again.headers) == record
        return
    assert len(shown) < 200, "an absurd value must not flood the log"


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_every_header_but_the_optional_ones_is_needed(name: str) -> None:
    wire = encode(RECORDS[name])
    optional = {"traceparent"} | ({"analysis"} if name != "keyframe" else set())
    for header, _ in wire.headers:
        rest = [pair for pair in wire.headers if pair[0] != header]
        if header in optional:
            decode(wire.key, wire.value, rest)
            continue
        with pytest.raises(CodecError, match=header):
            decode(wire.key, wire.value, rest)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("v", b"2"),
        ("kind", b"picture"),
        ("codec", b"vp9"),
        ("keyframe", b"2"),
        ("keyframe", b"yes"),
        ("index", b"3"),
        ("gop", b"-1"),
        ("gop", b"9223372036854775808"),
        ("pts", b"9223372036854775808"),
        ("pts", b"1.5"),
        ("pts", b"01"),
        ("time_base", b"1"),
        ("time_base", b"0/1"),
        ("time_base", b"1/0"),
        ("time_base", b"01/25"),
        ("time_base", b"1/" + b"9" * 5000),
        ("width", b"0"),
        ("height", b"16385"),
        ("captured_ns", b"-1"),
        ("session", b"\xff\xfe"),
    ],
)
def test_an_absurd_header_is_named(header: str, value: bytes) -> None:
    wire = encode(RECORDS["keyframe"])
    headers = {**dict(wire.headers), header: value}
    with pytest.raises(CodecError) as caught:
        decode(wire.key, wire.value, headers)
    assert caught.value.field == header


@pytest.mark.parametrize("key", [b"a b", b"-a", b"a/b", b"cam\n", b"\xff", "caméra".encode(), b"a" * 129])
def test_a_key_that_no_camera_can_have_is_named(key: bytes) -> None:
    wire = encode(RECORDS["keyframe"])
    with pytest.raises(CodecError, match="is no camera id") as caught:
        decode(key, wire.value, wire.headers)
    assert caught.value.field == "key"
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(key.decode("utf-8", "replace"), CameraId)


def test_a_record_needs_a_key_and_an_access_unit_bytes() -> None:
    wire = encode(RECORDS["keyframe"])
    for key in (None, b"", b"\xff"):
        with pytest.raises(CodecError, match="key"):
            decode(key, wire.value, wire.headers)
    for value in (None, b""):
        with pytest.raises(CodecError, match="value"):
            decode(wire.key, value, wire.headers)


def test_unknown_headers_are_ignored() -> None:
    wire = encode(RECORDS["gap"])
    assert decode(wire.key, None, [*wire.headers, ("from-the-future", b"\xff")]) == RECORDS["gap"]
