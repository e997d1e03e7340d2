"""Real footage through the whole pipeline with a public detector: nothing lost, and counted what people counted."""

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import pytest

from cli.system import System

pytestmark = [pytest.mark.e2e, pytest.mark.shared_data, pytest.mark.timeout(300)]

ROAD = "road_vehicle_survaillance_640x352_vfr.mp4"
PERSONS = "one-by-one-person-detection.mp4"
OTHERS = (
    "bottle-detection.mp4",
    "Retail02_short_hevc1080p.mp4",
    "highway_video02_320x240.avi",
    "vtest_480x360.mp4",
    "woman-walking_720p.mp4",
)


def analyze(system: System, clip: Path, *options: str) -> dict[str, Any]:
    """One object on stdout, whatever the outcome."""
    command = [sys.executable, "-m", "cli.main", "analyze", str(clip), "--json", "--gateway", system.gateway_url]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return {**answer, "status": done.returncode}


def pictures(clip: Path) -> int:
    """What FFmpeg decodes by itself."""
    with av.open(str(clip)) as container:
        return sum(1 for _ in container.decode(video=0))


def arrived(frames: dict[str, int], clip: Path) -> None:
    wanted = pictures(clip)
    assert frames["received"] == frames["published"] == frames["decoded"] == wanted
    assert frames["inferred"] + frames["skipped"] == wanted
    assert (frames["lost"], frames["failed"]) == (0, 0)


@pytest.mark.parametrize("name", OTHERS)
def test_every_picture_of_the_clip_arrives(system: System, shared_data: Path, tmp_path: Path, name: str) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("sample_fps: 1\n")
    clip = shared_data / "video" / name
    arrived(analyze(system, clip, "--model", "yolox-nano", "--rules", str(rules))["frames"], clip)


def vehicles(system: System, clip: Path, label: dict[str, Any]) -> dict[str, Any]:
    """The labelled road with its line, every picture inferred."""
    line = ",".join(str(number) for point in label["line"] for number in point)
    return analyze(system, clip, "--model", "yolox-nano", "--line", f"road={line}")


def counted(shared_data: Path, name: str) -> dict[str, Any]:
    labels: dict[str, dict[str, Any]] = json.loads((shared_data / "labelled" / "counts.json").read_text())
    return labels[name]


def test_the_vehicles_that_people_counted_are_counted(system: System, shared_data: Path) -> None:
    clip, label = shared_data / "video" / ROAD, counted(shared_data, ROAD)
    road = vehicles(system, clip, label)
    arrived(road["frames"], clip)
    assert road["counts"] == {"road": label["vehicles"]}
    assert road["events_total"] == label["vehicles"]


def test_the_same_file_gives_the_same_events_again(system: System, shared_data: Path, tmp_path: Path) -> None:
    label = counted(shared_data, ROAD)
    clip = beginning(shared_data / "video" / ROAD, 260, tmp_path / "beginning.mp4")
    first, second = (
        [(e["captured_ns"], e["label"], e["details"], e["box"]["score"]) for e in run["events"]]
        for run in (vehicles(system, clip, label), vehicles(system, clip, label))
    )
    assert len(first) > 2
    assert first == second


def beginning(clip: Path, packets: int, copy: Path) -> Path:
    """The same video, not encoded again, as far as so many packets."""
    with av.open(str(clip)) as source, av.open(str(copy), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in itertools.islice(source.demux(video=0), packets):
            packet.stream = stream
            target.mux(packet)
    return copy


def test_the_six_persons_who_pass_one_by_one_are_found(system: System, shared_data: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("sample_fps: 5\n")
    clip, label = shared_data / "video" / PERSONS, counted(shared_data, PERSONS)
    answer = analyze(system, clip, "--model", "yolox-nano", "--rules", str(rules))
    arrived(answer["frames"], clip)
    assert label["persons_total"] <= answer["tracks"]["person"] <= label["persons_total"] + 2


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"this is a letter, not a video\n" * 200, "could not be opened"), (b"", "")],
    ids=["text", "empty"],
)
def test_what_is_no_video_is_said_so(system: System, tmp_path: Path, content: bytes, why: str) -> None:
    clip = tmp_path / "letter.mp4"
    clip.write_bytes(content)
    answer = analyze(system, clip)
    assert answer["status"] == 1
    assert why in answer["error"]


def test_a_truncated_file_is_said_so(system: System, shared_data: Path, tmp_path: Path) -> None:
    clip = tmp_path / "cut.mp4"
    clip.write_bytes((shared_data / "video" / "vtest_480x360.mp4").read_bytes()[:400_000])
    answer = analyze(system, clip)
    assert answer.get("error")


def test_an_unknown_model_is_said_so(system: System, shared_data: Path) -> None:
    answer = analyze(system, shared_data / "video" / "vtest_480x360.mp4", "--model", "nobody-has-this")
    assert answer["status"] == 1
    assert "nobody-has-this" in answer["error"]
