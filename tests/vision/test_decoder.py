import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.messages import AccessUnit, Codec
from tests.vision.video import encode, without_reordering_info
from vision.decoder import CorruptAccessUnit, GopDecoder, Picture

OPEN_HEVC = {"x265-params": "log-level=none:open-gop=1:repeat-headers=1:pools=none"}


def decode_all(units: list[AccessUnit]) -> list[Picture]:
    decoder = GopDecoder(units[0].codec)
    pictures: list[Picture] = []
    for unit in units:
        if unit.keyframe:
            pictures += decoder.flush()
        pictures += decoder.decode(unit)
    return pictures + decoder.flush()


def digest(pictures: list[Picture]) -> str:
    sha = hashlib.sha256()
    for picture in pictures:
        sha.update(f"{picture.gop} {picture.offset_index} {picture.pts} {picture.captured_ns}".encode())
        sha.update(picture.frame.to_ndarray().tobytes())
    return sha.hexdigest()


def outcome(units: list[AccessUnit]) -> tuple[str, str]:
    """What one GOP comes to: its pictures' digest and the error, if any."""
    decoder = GopDecoder(units[0].codec)
    pictures: list[Picture] = []
    try:
        for unit in units:
            pictures += decoder.decode(unit)
        pictures += decoder.flush()
    except CorruptAccessUnit as error:
        return digest(pictures), str(error)
    return digest(pictures), ""


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("h264", {"bf": "0"}),
        ("h264", {"bf": "3"}),
        ("h264", {"bf": "5", "b-pyramid": "normal"}),
        ("h264", {"tune": "zerolatency", "slices": "4"}),
        ("hevc", {"bf": "0"}),
        ("hevc", {"tune": "zerolatency"}),
    ],
)
def test_every_access_unit_becomes_one_picture_in_presentation_order(codec: Codec, options: dict[str, str]) -> None:
    units = encode(codec, options=options)
    pictures = decode_all(units)
    assert [picture.pts for picture in pictures] == sorted(unit.pts for unit in units)
    by_pts = {unit.pts: unit for unit in units}
    for picture in pictures:
        unit = by_pts[picture.pts]
        assert (picture.captured_ns, picture.gop, picture.offset_index) == (unit.captured_ns, unit.gop, unit.index)
        assert picture.frame.pts == unit.pts
        assert (picture.frame.width, picture.frame.height) == (unit.width, unit.height)


def test_streams_without_reordering_have_no_delay() -> None:
    decoder = GopDecoder("h264")
    for unit in encode(bf="0", count=10):
        assert [picture.pts for picture in decoder.decode(unit)] == [unit.pts]


@pytest.mark.parametrize("options", [{"bf": "1"}, {"bf": "3", "b-pyramid": "none"}, {"bf": "7", "b-pyramid": "normal"}])
def test_a_stream_that_does_not_say_how_far_it_reorders_loses_no_picture(options: dict[str, str]) -> None:
    units = encode(count=60, keyframe_every=20, options=options, b_strategy="0")
    silent = [replace(unit, data=without_reordering_info(unit.data)) for unit in units]
    assert silent[0].data != units[0].data
    assert digest(decode_all(silent)) == digest(decode_all(units))


def test_a_stream_that_does_not_say_how_far_it_reorders_but_never_does_has_no_delay() -> None:
    decoder = GopDecoder("h264")
    for unit in encode(bf="0", count=10):
        unit = replace(unit, data=without_reordering_info(unit.data))
        assert [picture.pts for picture in decoder.decode(unit)] == [unit.pts]


def test_a_gop_gives_the_same_pictures_whatever_came_before() -> None:
    units = encode(count=30, bf="3")
    alone = digest(decode_all([unit for unit in units if unit.gop == 2]))
    after = digest([picture for picture in decode_all(units) if picture.gop == 2])
    assert alone == after


def test_timestamps_of_the_source_decide_nothing() -> None:
    units = encode(count=10, bf="3")
    broken = [replace(unit, pts=7) for unit in units]
    assert [p.offset_index for p in decode_all(broken)] == [p.offset_index for p in decode_all(units)]


def test_the_resolution_may_change_at_a_keyframe() -> None:
    small = encode(count=10)
    large = [replace(unit, gop=unit.gop + 1) for unit in encode(count=10, size=(160, 128))]
    pictures = decode_all(small + large)
    assert [picture.frame.width for picture in pictures] == [96] * 10 + [160] * 10


def test_a_new_keyframe_without_a_flush_discards_what_was_held() -> None:
    units = encode(count=20, bf="3")
    decoder = GopDecoder("h264")
    pictures = [picture for unit in units for picture in decoder.decode(unit)]
    assert [picture.pts for picture in pictures if picture.gop == 1] == list(range(10, 10 + len(pictures) - 8))


def test_leading_pictures_of_an_open_gop_are_left_out_and_counted() -> None:
    units = encode("hevc", count=30, bf="3", options=OPEN_HEVC)
    second = [unit for unit in units if unit.gop == 1]
    decoder = GopDecoder("hevc")
    pictures = [picture for unit in second for picture in decoder.decode(unit)] + decoder.flush()
    leading = [unit for unit in second if unit.pts < second[0].pts]
    assert leading
    assert decoder.undecodable == len(leading)
    assert [picture.pts for picture in pictures] == sorted(unit.pts for unit in second if unit not in leading)


def test_an_open_entry_point_inside_a_gop_keeps_its_leading_pictures() -> None:
    units = encode("hevc", count=30, bf="3", options=OPEN_HEVC)
    one = [replace(unit, gop=0, index=index, keyframe=index == 0) for index, unit in enumerate(units)]
    decoder = GopDecoder("hevc")
    pictures = [picture for unit in one for picture in decoder.decode(unit)] + decoder.flush()
    assert decoder.undecodable == 0
    assert [picture.pts for picture in pictures] == list(range(30))


def test_leading_pictures_after_an_h264_keyframe_that_is_no_idr_are_left_out() -> None:
    options = {"x264-params": "open-gop=1:keyint=10"}
    units = [unit for unit in encode(count=30, bf="3", b_strategy="0", options=options) if unit.gop == 1]
    leading = [unit for unit in units if unit.pts < units[0].pts]
    assert leading
    decoder = GopDecoder("h264")
    pictures = [picture for unit in units for picture in decoder.decode(unit)] + decoder.flush()
    assert decoder.undecodable == len(leading)
    assert [picture.pts for picture in pictures] == sorted(unit.pts for unit in units if unit not in leading)


# --- damage ----------------------------------------------------------------------------------------------------------


def test_no_keyframe() -> None:
    decoder = GopDecoder("h264")
    with pytest.raises(CorruptAccessUnit, match="no keyframe to start from"):
        decoder.decode(encode(count=3)[1])
    assert decoder.flush() == []


@pytest.mark.parametrize("damage", ["missing", "repeated", "other gop"])
def test_access_units_out_of_sequence(damage: str) -> None:
    units = encode(count=10)
    decoder = GopDecoder("h264")
    for unit in units[:4]:
        decoder.decode(unit)
    wrong = {"missing": units[5], "repeated": units[3], "other gop": replace(units[4], gop=9)}[damage]
    with pytest.raises(CorruptAccessUnit, match="expected access unit 4 of GOP 0"):
        decoder.decode(wrong)
    with pytest.raises(CorruptAccessUnit, match="no keyframe"):
        decoder.decode(units[4])


def test_another_codec_in_the_middle() -> None:
    decoder = GopDecoder("h264")
    decoder.decode(encode(count=1)[0])
    with pytest.raises(CorruptAccessUnit, match="hevc where h264 was expected"):
        decoder.decode(replace(encode(count=2)[1], codec="hevc"))


@pytest.mark.parametrize("data", [b"x", b"\0\0\1", b"\0\0\0\1\x06\x05\x01\x00\x80", b"\xff" * 400])
def test_bytes_without_a_picture(data: bytes) -> None:
    with pytest.raises(CorruptAccessUnit, match="access unit 0 of GOP 0: no coded picture") as raised:
        GopDecoder("h264").decode(replace(encode(count=1)[0], data=data))
    assert (raised.value.gop, raised.value.index) == (0, 0)


@pytest.mark.parametrize("index", [0, 4, 9])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_a_truncated_access_unit_is_an_error_not_a_painted_over_picture(index: int, share: float) -> None:
    units = encode(count=10, size=(192, 128), bf="0", crf="18")
    damaged = list(units)
    damaged[index] = replace(units[index], data=units[index].data[: int(len(units[index].data) * share)])
    with pytest.raises(CorruptAccessUnit):
        decode_all(damaged)


@pytest.mark.parametrize("index", [0, 4])
@pytest.mark.parametrize("slice_number", [0, 2, 3])
def test_a_lost_slice_is_an_error(index: int, slice_number: int) -> None:
    units = encode(count=6, size=(192, 128), tune="zerolatency", slices="4")
    parts = units[index].data.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")
    slices = [place for place, part in enumerate(parts) if part[:1] and part[0] & 31 in (1, 5)]
    assert len(slices) == 4
    del parts[slices[slice_number]]
    damaged = [*units[:index], replace(units[index], data=b"\0\0\1".join(parts)), *units[index + 1 :]]
    with pytest.raises(CorruptAccessUnit):
        decode_all(damaged)


def test_missing_parameter_sets() -> None:
    unit = encode(count=1)[0]
    slice_only = unit.data[unit.data.rindex(b"\0\0\1\x65") :]
    with pytest.raises(CorruptAccessUnit, match="decoder: "):
        GopDecoder("h264").decode(replace(unit, data=slice_only))


def test_a_decoder_goes_on_at_the_next_keyframe_after_damage() -> None:
    units = encode(count=20)
    decoder = GopDecoder("h264")
    decoder.decode(units[0])
    with pytest.raises(CorruptAccessUnit):
        decoder.decode(replace(units[1], data=units[1].data[:16]))
    rest = [picture for unit in units[10:] for picture in decoder.decode(unit)] + decoder.flush()
    assert digest(rest) == digest(decode_all(units[10:]))


def damaged(units: list[AccessUnit], seed: int) -> list[AccessUnit]:
    rng = random.Random(seed)
    index = rng.randrange(len(units))
    data = bytearray(units[index].data)
    if seed % 4 == 0:
        del data[rng.randrange(len(data) // 4, len(data)) :]
    else:
        for _ in range(rng.choice((1, 3, 20))):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return [*units[:index], replace(units[index], data=bytes(data)), *units[index + 1 :]]


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_picture_that_is_too_large_is_refused(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    units = encode(codec, 5, options={"bf": "0"} if codec == "h264" else OPEN_HEVC)
    assert decode_all(units)
    monkeypatch.setattr("vision.decoder.MOST_PIXELS", 100)
    with pytest.raises(CorruptAccessUnit):
        decode_all(units)


@pytest.mark.timeout(120)
def test_damaged_bytes_come_to_the_same_end_every_time() -> None:
    """Also where nobody can notice the damage: what passes, passes with the same pixels."""
    units = encode(count=8, size=(256, 192), keyframe_every=8, bf="3")
    others = encode(count=8, size=(256, 192), keyframe_every=8, bf="0", crf="40")
    noticed = 0
    for seed in range(80):
        first = outcome(damaged(units, seed))
        outcome(others)  # other pictures in the memory that comes next
        assert outcome(damaged(units, seed)) == first, f"seed {seed}"
        noticed += first[1] != ""
    assert noticed > 60


@pytest.mark.timeout(120)
def test_damaged_hevc_fails_or_gives_every_picture() -> None:
    units = encode("hevc", count=8, size=(256, 192), keyframe_every=8, bf="0")
    noticed = 0
    for seed in range(80):
        decoder = GopDecoder("hevc")
        try:
            pictures = [p for unit in damaged(units, seed) for p in decoder.decode(unit)] + decoder.flush()
        except CorruptAccessUnit:
            noticed += 1
        else:
            assert [picture.offset_index for picture in pictures] == list(range(8))
    assert noticed > 20


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_bytes_do_more_than_fail(data: st.DataObject) -> None:
    units = encode(count=4, keyframe_every=4)
    index = data.draw(st.integers(0, 3))
    junk = data.draw(st.binary(min_size=1, max_size=200))
    head = data.draw(st.integers(0, len(units[index].data)))
    damaged = [
        *units[:index],
        replace(units[index], data=units[index].data[:head] + junk),
        *units[index + 1 :],
    ]
    decoder = GopDecoder("h264")
    pictures: list[Picture] = []
    try:
        for unit in damaged:
            pictures += decoder.decode(unit)
        pictures += decoder.flush()
    except CorruptAccessUnit:
        pass
    else:
        assert len(pictures) == 4
