"""Groups start only where a decoder can start; what cannot be decoded is dropped and counted."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from ingest.annexb import inspect
from ingest.framing import Coded, Framed, Framer, picture_size
from ingest.timeline import Timeline
from schemas.messages import AccessUnit, Codec
from tests.ingest.clips import decode, write_clip

NS = 10**9
X265 = "log-level=none:scenecut=0"


def stream(path: Path, codec: Codec, **options: Any) -> tuple[list[Coded], Fraction]:
    """A live stream: Annex B with parameter sets in it, each packet arriving at its time."""
    clip = write_clip(path / "stream.ts", {"h264": "libx264", "hevc": "libx265"}[codec], **options)
    with av.open(str(clip)) as container:
        video = container.streams.video[0]
        time_base = video.time_base
        assert time_base is not None
        packets = [packet for packet in container.demux(video) if packet.size]
        coded = [Coded(bytes(p), p.pts, int(p.dts * time_base * NS)) for p in packets if p.dts is not None]
    return coded, time_base


def frame(
    coded: Sequence[Coded], time_base: Fraction, codec: Codec, open_gop_seconds: float | None = 10.0
) -> tuple[list[Framed], dict[str, int]]:
    framer = Framer(codec, time_base, Timeline(time_base, True, Fraction(25)), None, open_gop_seconds)
    framed = [out for one in coded if (out := framer.push(one)) is not None]
    lost: dict[str, int] = {}
    for one in [*(out.lost for out in framed), framer.take_lost()]:
        for reason, count in one.items():
            lost[reason] = lost.get(reason, 0) + count
    return framed, lost


def shown(framed: Sequence[Framed], codec: Codec) -> list[tuple[int, int, int, bool]]:
    units = [
        AccessUnit("c", "s", f.gop, f.index, f.index == 0, codec, f.pts, (1, 1), f.width, f.height, 0, f.data)
        for f in framed
    ]
    return decode(units)


OPEN: list[tuple[Codec, dict[str, Any]]] = [
    ("hevc", {"b_frames": 3, "gop": 12, "options": {"x265-params": f"{X265}:open-gop=1:keyint=12:min-keyint=12"}}),
    ("h264", {"b_frames": 3, "gop": 12, "options": {"preset": "fast", "x264-params": "open-gop=1:scenecut=0"}}),
]


@pytest.mark.parametrize(("codec", "options"), OPEN)
def test_open_entry_points_do_not_cut_a_young_group(tmp_path: Path, codec: Codec, options: dict[str, Any]) -> None:
    coded, time_base = stream(tmp_path, codec, pictures=60, **options)
    assert sum(inspect(one.data, codec).entry == "open" for one in coded) >= 3
    framed, lost = frame(coded, time_base, codec)
    assert {one.gop for one in framed} == {0}
    assert len(framed) == 60
    assert lost == {}


@pytest.mark.parametrize(("codec", "options"), OPEN)
def test_open_entry_points_cut_an_old_group(tmp_path: Path, codec: Codec, options: dict[str, Any]) -> None:
    coded, time_base = stream(tmp_path, codec, pictures=120, **options)
    framed, lost = frame(coded, time_base, codec, open_gop_seconds=1.0)
    gops = sorted({one.gop for one in framed})
    assert len(gops) >= 3
    assert lost["open_gop_leading"] >= len(gops) - 1
    assert len(framed) + lost["open_gop_leading"] == 120
    pictures = shown(framed, codec)
    assert len(pictures) == len(framed), "every access unit left is one picture for a decoder that starts there"
    assert not any(corrupt for *_, corrupt in pictures)


@pytest.mark.parametrize(("codec", "options"), OPEN)
def test_joining_at_an_open_entry_point(tmp_path: Path, codec: Codec, options: dict[str, Any]) -> None:
    coded, time_base = stream(tmp_path, codec, pictures=60, **options)
    entry = next(i for i, one in enumerate(coded) if inspect(one.data, codec).entry == "open")
    framed, lost = frame(coded[entry - 2 :], time_base, codec)
    assert lost["before_keyframe"] == 2
    assert 1 <= lost["open_gop_leading"] <= 4
    assert len(framed) == 60 - entry - lost["open_gop_leading"]
    assert len(shown(framed, codec)) == len(framed)


def test_joining_in_the_middle_of_a_group(tmp_path: Path) -> None:
    coded, time_base = stream(tmp_path, "h264", pictures=50, gop=25)
    framed, lost = frame(coded[10:], time_base, "h264")
    assert framed[0].lost == lost == {"before_keyframe": 15}
    assert [one.index for one in framed] == list(range(25))


def test_a_head_that_comes_alone_waits_for_its_picture(tmp_path: Path) -> None:
    coded, time_base = stream(tmp_path, "h264", pictures=3)
    first = coded[0]
    cut = first.data.index(b"\0\0\1\x65")
    pieces = [Coded(first.data[:cut], first.pts, 0), Coded(first.data[cut:], first.pts, 0), *coded[1:]]
    framed, lost = frame(pieces, time_base, "h264")
    assert [one.data for one in framed] == [one.data for one in coded]
    assert lost == {}


def test_without_parameter_sets_nothing_starts(tmp_path: Path) -> None:
    coded, time_base = stream(tmp_path, "h264", pictures=20, gop=10)
    bare = [Coded(one.data[max(one.data.find(b"\0\0\1\x65"), 0) :], one.pts, one.arrival_ns) for one in coded]
    framed, lost = frame(bare, time_base, "h264")
    assert framed == []
    assert lost == {"before_keyframe": 20}


def test_parameter_sets_from_the_description_are_put_in(tmp_path: Path) -> None:
    coded, time_base = stream(tmp_path, "h264", pictures=20, gop=10)
    head = coded[0].data[: coded[0].data.index(b"\0\0\1\x65")]
    bare = [Coded(one.data[max(one.data.find(b"\0\0\1\x65"), 0) :], one.pts, one.arrival_ns) for one in coded]
    framer = Framer("h264", time_base, Timeline(time_base, True), head, 10.0)
    framed = [out for one in bare if (out := framer.push(one)) is not None]
    assert len(framed) == len(shown(framed, "h264")) == 20
    assert [one.index == 0 for one in framed].count(True) == 2


def test_a_damaged_keyframe_still_tells_its_size(tmp_path: Path) -> None:
    coded, _ = stream(tmp_path, "h264", pictures=2, size=(320, 240))
    data = coded[0].data
    assert picture_size("h264", data) == (320, 240)
    assert picture_size("h264", data[: data.index(b"\0\0\1\x65") + 40]) == (320, 240)
    assert picture_size("h264", b"\0\0\1\x65\x88\x84") is None
