"""Files of every kind become a log that a decoder can enter at each keyframe, with every picture in it."""

import itertools
from fractions import Fraction
from pathlib import Path

import av
import pytest

from ingest.annexb import inspect, nal_units
from tests.ingest.clips import check_log, decoded_by_ffmpeg, write_clip
from tests.ingest.rig import Rig, wait_until

pytestmark = pytest.mark.integration

NS = 10**9


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("plain.mp4", "libx264", {}),
        ("b-frames.mp4", "libx264", {"b_frames": 3, "options": {"preset": "fast"}}),
        ("mpegts.ts", "libx264", {"b_frames": 2, "options": {"preset": "fast"}}),
        ("matroska.mkv", "libx264", {}),
        ("flash.flv", "libx264", {"b_frames": 2}),
        ("hevc.mp4", "libx265", {"b_frames": 2, "options": {"x265-params": "log-level=none:open-gop=0"}}),
        ("hevc.ts", "libx265", {"options": {"x265-params": "log-level=none:open-gop=0"}}),
        (
            "hevc-open.mkv",
            "libx265",
            {"b_frames": 3, "gop": 15, "options": {"x265-params": "log-level=none:open-gop=1"}},
        ),
        (
            "h264-open.mp4",
            "libx264",
            {"b_frames": 3, "gop": 15, "options": {"preset": "fast", "x264-params": "open-gop=1"}},
        ),
    ],
)
def test_passed_through(rig: Rig, tmp_path: Path, name: str, codec: str, options: dict[str, object]) -> None:
    clip = write_clip(tmp_path / name, codec, pictures=60, **options)  # type: ignore[arg-type]
    units = rig.read_all(str(clip))
    assert len(units) == decoded_by_ffmpeg(clip) == 60
    check_log(units)
    assert units[0].codec == ("hevc" if "hevc" in name else "h264")
    # the very bytes of the source, but for start codes and parameter sets
    with av.open(str(clip)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    assert packets[7][-12:] == units[7].data[-12:]
    assert [(end.published, end.error) for end in rig.ends()] == [(60, "")]
    assert sum(entry.published for entry in rig.ledger()) == 60


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("mpeg4.avi", "mpeg4", {"b_frames": 2}),
        ("mjpeg.avi", "mjpeg", {"pix_fmt": "yuvj422p"}),
        ("vp9.webm", "libvpx-vp9", {"options": {"deadline": "realtime", "cpu-used": "8"}}),
        ("untimed.avi", "libx264", {"b_frames": 2, "options": {"preset": "fast"}}),
        ("odd.mkv", "mpeg4", {"size": (321, 241)}),
    ],
)
def test_transcoded(rig: Rig, tmp_path: Path, name: str, codec: str, options: dict[str, object]) -> None:
    clip = write_clip(tmp_path / name, codec, pictures=60, **options)  # type: ignore[arg-type]
    units = rig.read_all(str(clip))
    assert len(units) == decoded_by_ffmpeg(clip) == 60
    check_log(units)
    assert {unit.codec for unit in units} == {"h264"}
    assert [unit.index for unit in units if unit.gop == 0] in ([*range(37)], [*range(38)]), "an entry every 1.5 s"
    steps = [later.captured_ns - earlier.captured_ns for earlier, later in itertools.pairwise(units)]
    assert all(0.035 * NS < step < 0.045 * NS for step in steps), "in the order of showing, at the clip's rate"


def test_variable_frame_rate_keeps_its_times(rig: Rig, tmp_path: Path) -> None:
    times = [0, 40, 50, 300, 310, 1500, 1540, 3000, 3001, 3040]
    clip = write_clip(tmp_path / "vfr.mkv", pictures=10, pts=times)
    units = rig.read_all(str(clip), start_ns=NS)
    assert [(unit.captured_ns - NS) // 1_000_000 for unit in units] == times
    check_log(units)


def test_audio_is_ignored(rig: Rig, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "sound.mp4", audio=True)
    units = rig.read_all(str(clip))
    assert len(units) == 50
    check_log(units)


def test_resolution_changes_in_mid_stream(rig: Rig, tmp_path: Path) -> None:
    small = write_clip(tmp_path / "small.ts", pictures=30, size=(320, 240))
    large = write_clip(tmp_path / "large.ts", pictures=30, size=(640, 360))
    both = tmp_path / "both.ts"
    both.write_bytes(small.read_bytes() + large.read_bytes())
    units = rig.read_all(str(both), start_ns=NS)
    assert [(unit.width, unit.height) for unit in units] == [(320, 240)] * 30 + [(640, 360)] * 30
    check_log(units)
    # the second file's timestamps begin anew; the log's go on
    assert round((units[-1].captured_ns - NS) / NS * 25) == 59


def test_resolution_changes_while_transcoding(rig: Rig, tmp_path: Path) -> None:
    small = write_clip(tmp_path / "small.ts", "mpeg2video", pictures=30, size=(320, 240))
    large = write_clip(tmp_path / "large.ts", "mpeg2video", pictures=30, size=(640, 368))
    both = tmp_path / "both.ts"
    both.write_bytes(small.read_bytes() + large.read_bytes())
    units = rig.read_all(str(both))
    # FFmpeg's decoder gives up its last picture where the size changes
    assert len(units) == decoded_by_ffmpeg(both) >= 59
    sizes = [(unit.width, unit.height) for unit in units]
    assert sizes == [(320, 240)] * (len(units) - 30) + [(640, 368)] * 30
    check_log(units)


def test_parameter_sets_only_once_in_the_stream(rig: Rig, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "once.h264", gop=10)
    stream = clip.read_bytes()
    cuts = [code for code, _ in nal_units(stream)] + [len(stream)]
    parts = [stream[begin:end] for begin, end in itertools.pairwise(cuts)]
    sets = [part for part in parts if inspect(part, "h264").sets]
    assert len(sets) == 10
    clip.write_bytes(b"".join(part for part in parts if part not in sets[2:] or part in sets[:2]))
    units = rig.read_all(str(clip))
    assert len(units) == 50
    assert sum(unit.keyframe for unit in units) == 5
    check_log(units)


def test_loop_goes_on_in_time_and_groups(rig: Rig, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "short.mp4", pictures=20, gop=10, b_frames=2, options={"preset": "fast"})
    rig.camera(str(clip), pace="max", loop=True, start_ns=NS)
    wait_until(lambda: len(rig.units()) >= 70)
    units = rig.units()[:60]
    check_log(units)
    assert len({unit.session for unit in units}) == 1
    assert [unit.gop for unit in units if unit.keyframe] == [0, 1, 2, 3, 4, 5]
    shown = sorted(unit.captured_ns for unit in units)
    assert all(0.02 * NS < later - earlier < 0.15 * NS for earlier, later in itertools.pairwise(shown))
    assert rig.gaps() == []


def test_live_pace_follows_the_timestamps(rig: Rig, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "second.mp4", pictures=25)
    rig.camera(str(clip), pace="live")
    wait_until(lambda: len(rig.units()) >= 3)
    assert not rig.ends()
    wait_until(lambda: bool(rig.ends()))
    units = rig.units()
    assert len(units) == 25
    assert units[-1].captured_ns - units[0].captured_ns == 24 * NS // 25


def test_time_base_and_pts_are_the_sources(rig: Rig, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "plain.mp4", b_frames=2, options={"preset": "fast"})
    units = rig.read_all(str(clip))
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        packets = [(packet.pts, stream.time_base) for packet in container.demux(stream) if packet.size]
    assert [(unit.pts, Fraction(*unit.time_base)) for unit in units] == packets


@pytest.mark.shared_data
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("name", "pictures"),
    [
        ("Retail02_short_hevc1080p.mp4", 603),
        ("bottle-detection.mp4", 1189),
        ("highway_video02_320x240.avi", 748),
        ("one-by-one-person-detection.mp4", 1394),
        ("road_vehicle_survaillance_640x352_vfr.mp4", 905),
        ("vtest_480x360.mp4", 795),
        ("woman-walking_720p.mp4", 303),
    ],
)
def test_real_clips(rig: Rig, shared_data: Path, name: str, pictures: int) -> None:
    units = rig.read_all(str(shared_data / "video" / name))
    assert len(units) == pictures
    check_log(units)
    assert [(end.published, end.error) for end in rig.ends()] == [(pictures, "")]
    assert sum(entry.received for entry in rig.ledger()) == pictures
    assert sum(entry.lost for entry in rig.ledger()) == 0
