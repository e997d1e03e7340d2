"""A file that is no video, or only a part of one, ends its camera with a clear word; a live source never does."""

from pathlib import Path

import pytest

from ingest.source import SourceError, kind_of, name_of
from runtime.metrics import REGISTRY
from tests.ingest.clips import check_log, write_clip
from tests.ingest.rig import Rig, wait_until

pytestmark = pytest.mark.integration


def ended(rig: Rig, path: Path) -> str:
    rig.camera(str(path), pace="max", batch=True)
    wait_until(lambda: bool(rig.ends("frames-batch")))
    return rig.ends("frames-batch")[0].error


@pytest.mark.parametrize("name", ["text.mp4", "text.txt", "text.avi", "text"])
def test_a_text_file(rig: Rig, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("This is not a video, whatever its name says.\n" * 200)
    error = ended(rig, path)
    assert name in error
    assert any(word in error for word in ("Invalid data", "reads as text", "no video"))
    assert rig.units("frames-batch") == []


def test_a_truncated_mp4_without_its_index(rig: Rig, tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mp4").read_bytes()
    path = tmp_path / "part.mp4"
    path.write_bytes(whole[: len(whole) // 2])
    assert "Invalid data" in ended(rig, path)


@pytest.mark.parametrize("name", ["part.mp4", "part.mkv"])
def test_a_truncated_file_gives_what_it_has(rig: Rig, tmp_path: Path, name: str) -> None:
    options = {"movflags": "faststart"} if name.endswith("mp4") else {}
    whole = write_clip(tmp_path / f"whole-{name}", pictures=150, container_options=options).read_bytes()
    path = tmp_path / name
    path.write_bytes(whole[: len(whole) * 6 // 10])
    error = ended(rig, path)
    units = rig.units("frames-batch")
    assert 50 <= len(units) < 150
    assert rig.ends("frames-batch")[0].published == len(units)
    if name.endswith("mp4"):
        assert error == f"{path} could not be read: Invalid data found when processing input"


def test_an_empty_file(rig: Rig, tmp_path: Path) -> None:
    path = tmp_path / "empty.mp4"
    path.touch()
    assert ended(rig, path) == f"{path} is empty"


def test_a_missing_file(rig: Rig, tmp_path: Path) -> None:
    assert "No such file" in ended(rig, tmp_path / "nowhere.mp4")


def test_a_directory(rig: Rig, tmp_path: Path) -> None:
    assert "directory" in ended(rig, tmp_path).lower()


def test_sound_only(rig: Rig, tmp_path: Path) -> None:
    import av
    import numpy as np

    path = tmp_path / "sound.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=16_000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert ended(rig, path) == f"{path} has no video stream"


@pytest.mark.parametrize(
    "text",
    ["#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "ffconcat version 1.0\nfile /etc/passwd\n", "\n  #EXTM3U\n"],
)
def test_a_list_of_other_files_is_not_followed(rig: Rig, tmp_path: Path, text: str) -> None:
    path = tmp_path / "upload.mp4"
    path.write_text(text)
    assert ended(rig, path) == f"{path} is not a video but a list of other addresses"


def test_garbage_in_the_middle_loses_only_what_it_hits(rig: Rig, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.ts", "mpeg2video", pictures=100, gop=10)
    data = bytearray(clip.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(3000)
    clip.write_bytes(data)
    ended(rig, clip)
    units = rig.units("frames-batch")
    assert len(units) > 80
    check_log(units)
    ledger = rig.ledger()
    assert sum(entry.published for entry in ledger) == len(units)
    assert all(entry.received == entry.published + entry.lost for entry in ledger)


def test_a_batch_goes_to_its_own_topic_and_its_start_is_respected(rig: Rig, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", pictures=10)
    rig.camera(str(clip), batch=True, start_ns=1_000_000_000)
    wait_until(lambda: bool(rig.ends("frames-batch")))
    assert rig.units("frames") == []
    units = rig.units("frames-batch")
    assert [unit.captured_ns for unit in units] == [10**9 + i * 40_000_000 for i in range(10)]
    # a recording of 1970 must not be deleted at once for its age
    stamps = [kept.timestamp for kept in rig.producer.kept if kept.topic == "frames-batch"]
    assert min(stamps) > 1_700_000_000_000


def test_an_unknown_scheme_is_tried_again_for_ever(rig: Rig) -> None:
    camera = rig.camera("gopher://user:secret@host/stream", id="unknown-scheme")
    wait_until(lambda: failures("unknown-scheme") >= 3)
    assert not camera.ended
    assert rig.ends() == []


def failures(camera: str) -> float:
    return REGISTRY.get_sample_value("rewatch_ingest_failures_total", {"camera": camera}) or 0.0


@pytest.mark.parametrize(
    ("url", "kind"),
    [("rtsp://h/x", "rtsp"), ("rtmp://h/x", "rtmp"), ("http://h/x", "http"), ("https://h/x", "http"),
     ("/dev/video0", "device"), ("/tmp/x.mp4", "file"), ("file:///tmp/x.mp4", "file"), ("x.mp4", "file")],
)  # fmt: skip
def test_kinds(url: str, kind: str) -> None:
    assert kind_of(url) == kind


def test_an_unknown_kind() -> None:
    with pytest.raises(SourceError, match="gopher:// is not served"):
        kind_of("gopher://h/x")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("rtsp://user:pa@ss/secret@10.0.0.1:554/a?token=x", "rtsp://…"),
        ("http://host/a?token=pa@secret", "http://…"),
        ("http://user@host/a?token=secret", "http://host/a"),
        ("rtsp://user:secret@host:554/live", "rtsp://host:554/live"),
        ("http://host/a?token=secret", "http://host/a"),
        ("/data/clip.mp4", "/data/clip.mp4"),
    ],
)
def test_names_hold_no_secret(url: str, name: str) -> None:
    assert name_of(url) == name
