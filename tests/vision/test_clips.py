"""Real clips, demuxed and decoded as the pipeline does it."""

import av
import pytest
from msgspec.structs import replace

from schemas.messages import AccessUnit
from tests.vision.video import CLIPS, demux
from vision.bitstream import entry_point
from vision.decoder import GopDecoder

pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.timeout(180),
    pytest.mark.usefixtures("shared_data"),
]

FRAMES = {
    "Retail02_short_hevc1080p.mp4": 603,
    "bottle-detection.mp4": 1189,
    "one-by-one-person-detection.mp4": 1394,
    "road_vehicle_survaillance_640x352_vfr.mp4": 905,
    "vtest_480x360.mp4": 795,
    "woman-walking_720p.mp4": 303,
}


def joined(units: list[AccessUnit]) -> list[AccessUnit]:
    """New GOPs at closed entry points only, as the edge makes them."""
    out: list[AccessUnit] = []
    gop, index = -1, 0
    for unit in units:
        if entry_point(unit.codec, unit.data) == "closed":
            gop, index = gop + 1, 0
        out.append(replace(unit, gop=gop, index=index, keyframe=index == 0))
        index += 1
    return out


@pytest.mark.parametrize("name", sorted(FRAMES))
def test_as_many_pictures_as_access_units_in_order_and_equal_to_ffmpegs(name: str) -> None:
    units = joined(list(demux(CLIPS / name)))
    assert len(units) == FRAMES[name]
    decoder = GopDecoder(units[0].codec)
    seen: list[int] = []
    with av.open(str(CLIPS / name)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        expected = ((frame.pts, bytes(frame.planes[0])[::997]) for frame in container.decode(video=0))
        for unit in [*units, None]:
            pictures = decoder.flush() if unit is None or unit.keyframe else []
            for picture in [*pictures, *(decoder.decode(unit) if unit is not None else [])]:
                pts, luma = next(expected)
                assert picture.pts == pts
                assert bytes(picture.frame.planes[0])[::997] == luma, f"pts {pts}"
                seen.append(picture.pts)
        assert next(expected, None) is None
    assert len(seen) == FRAMES[name]
    assert seen == sorted(seen)
    assert decoder.undecodable == 0


def test_the_open_gops_of_a_clip_can_each_be_entered() -> None:
    """Cut where the container says, not where a decoder needs it: only leading pictures are missing then."""
    decoder = GopDecoder("hevc")
    decoded = undecodable = 0
    for unit in demux(CLIPS / "Retail02_short_hevc1080p.mp4"):
        if unit.keyframe:
            decoded += len(decoder.flush())
            undecodable += decoder.undecodable
        decoded += len(decoder.decode(unit))
    decoded += len(decoder.flush())
    assert (decoded, undecodable + decoder.undecodable) == (597, 6)
