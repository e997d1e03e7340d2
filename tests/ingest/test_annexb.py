from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.annexb import ParameterSets, exp_golomb, inspect, nal_units
from schemas.messages import Codec
from tests.ingest.clips import write_clip

CODECS: tuple[Codec, ...] = ("h264", "hevc")

C = b"\0\0\0\1"
SPS, PPS, IDR = b"\x67\x64\x00\x1e\xac", b"\x68\xee\x3c\x80", b"\x65\x88\x84\x00"
# first_mb_in_slice 0, slice_type 7 (I): 1 0001000; slice_type 5 (P): 1 00110
I_SLICE, P_SLICE = b"\x41\x88\x80", b"\x41\x9a\x21"
SEI_RECOVERY = b"\x06\x06\x01\xc4\x80"
SEI_OTHER = b"\x06\x05\x02\xaa\xbb\x80"


@pytest.mark.parametrize(
    ("data", "entry"),
    [
        (C + SPS + C + PPS + C + IDR, "closed"),
        (C + IDR, "closed"),
        (C + P_SLICE, "plain"),
        (C + I_SLICE, "open"),
        (C + SEI_RECOVERY + C + P_SLICE, "open"),
        (C + SEI_OTHER + C + P_SLICE, "plain"),
        (C + SPS + C + PPS, "none"),
        (C + SEI_OTHER, "none"),
        (b"", "none"),
        (b"\0\0\1", "none"),
        (b"no start code at all", "none"),
    ],
)
def test_h264_entries(data: bytes, entry: str) -> None:
    assert inspect(data, "h264").entry == entry


@pytest.mark.parametrize(
    ("kind", "entry"),
    [(0, "plain"), (1, "plain"), (6, "plain"), (7, "plain"), (8, "leading"), (9, "leading"), (16, "closed"),
     (17, "closed"), (18, "closed"), (19, "closed"), (20, "closed"), (21, "open"), (39, "none"), (32, "none")],
)  # fmt: skip
def test_hevc_entries(kind: int, entry: str) -> None:
    assert inspect(C + bytes([kind << 1, 1, 0x80, 0x55]), "hevc").entry == entry


def test_the_sets_of_a_keyframe() -> None:
    found = inspect(C + b"\x09\xf0" + C + SPS + b"\0" + b"\0\0\1" + PPS + C + IDR, "h264")
    assert found.sets == ((7, SPS), (8, PPS))
    assert found.body == 6


def test_missing_sets_go_behind_the_delimiter() -> None:
    sets = ParameterSets("h264")
    sets.learn(inspect(C + SPS + C + PPS, "h264").sets)
    bare = C + b"\x09\xf0" + C + IDR
    assert sets.in_front(bare, inspect(bare, "h264")) == C + b"\x09\xf0" + C + SPS + C + PPS + C + IDR
    full = C + SPS + C + PPS + C + IDR
    assert sets.in_front(full, inspect(full, "h264")) is full


def test_new_sets_replace_old_ones() -> None:
    sets = ParameterSets("h264")
    sets.learn(((7, SPS),))
    assert not sets.complete, "no picture can be decoded by that"
    sets.learn(((7, SPS), (8, PPS)))
    other = b"\x68\x52\x00"
    sets.learn(((8, other),))
    assert sets.as_bytes == C + SPS + C + PPS + C + other, "another number: both are in force"
    sets.learn(((7, SPS + b"\1"), (8, PPS)))
    assert sets.as_bytes == C + SPS + b"\1" + C + PPS


@pytest.mark.parametrize("name", CODECS)
def test_sets_of_a_container(tmp_path: Path, name: Codec) -> None:
    encoder = {"h264": "libx264", "hevc": "libx265"}[name]
    options = {"x265-params": "log-level=none"} if name == "hevc" else {}
    clip = write_clip(tmp_path / "clip.mp4", encoder, pictures=2, options=options)
    with av.open(str(clip)) as container:
        extradata = container.streams.video[0].codec_context.extradata
    sets = ParameterSets(name)
    sets.learn_extradata(extradata)
    assert sets.complete
    assert inspect(sets.as_bytes, name).entry == "none"


@given(st.binary(max_size=200), st.sampled_from(CODECS))
def test_any_bytes_are_looked_at_without_harm(data: bytes, name: Codec) -> None:
    sets = ParameterSets(name)
    for piece in (data, C + data, b"\1" + data):
        found = inspect(piece, name)
        sets.learn(found.sets)
        sets.learn_extradata(piece)
        assert sets.in_front(piece, found).endswith(piece[found.body :])
        assert all(code < at for code, at in nal_units(piece))


@given(st.integers(0, 2**16 - 2), st.integers(0, 30))
def test_exp_golomb(value: int, behind: int) -> None:
    size = 2 * (value + 1).bit_length() - 1
    assert exp_golomb((value + 1) << behind, size + behind) == (value, behind)
