"""Clips: what goes in comes out, and the truth beside them fits."""

import json
import socket
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import PictureType
from typer.testing import CliRunner

from cli.main import build
from simulator.clip import render_clip, truth_path
from simulator.encoder import TIME_BASE, Codec, EncodeError, Encoder, Encoding, shown
from simulator.record import TruthError, events_of, read_truth
from simulator.scene import Scene, SceneError

pytestmark = pytest.mark.timeout(120)

SECONDS, FPS = 1.5, 12.0


def small(seed: int = 3) -> Scene:
    return Scene(seed, "day", 320, 180, fps=FPS)


@pytest.mark.parametrize(("codec", "suffix"), [("h264", ".mp4"), ("h264", ".ts"), ("h265", ".mp4"), ("h265", ".mkv")])
def test_round_trip(tmp_path: Path, codec: Codec, suffix: str) -> None:
    clip = tmp_path / f"clip{suffix}"
    truth = truth_path(clip)
    report = render_clip(small(), clip, SECONDS, Encoding(codec=codec, gop_seconds=0.5), truth)
    header, frames = read_truth(truth)
    assert report.frames == len(frames) == 18
    assert header.codec == codec
    assert header.gop_frames == 6
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == {"h264": "h264", "h265": "hevc"}[codec]
        decoded = list(container.decode(stream))
    assert len(decoded) == 18
    first = decoded[0].time
    assert first is not None
    for number, (picture, seen) in enumerate(zip(decoded, frames, strict=True)):
        assert seen.frame == number
        assert picture.time is not None
        assert picture.time - first == pytest.approx(seen.pts * float(TIME_BASE), abs=2e-3)
        assert seen.time_s == pytest.approx(number / FPS)
        assert picture.key_frame == (number % 6 == 0)
        assert picture.pict_type != PictureType.B
    again, _ = small().frame()
    assert np.abs(decoded[0].to_ndarray(format="rgb24").astype(int) - again).mean() < 8


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_equal_seeds_give_equal_clips(tmp_path: Path, codec: Codec) -> None:
    clips = [tmp_path / "a.mkv", tmp_path / "b.mkv"]
    packets = []
    for clip in clips:
        render_clip(small(), clip, 0.5, Encoding(codec=codec), truth_path(clip))
        with av.open(str(clip)) as container:
            packets.append([bytes(packet) for packet in container.demux(video=0)])
    assert packets[0] == packets[1]
    assert truth_path(clips[0]).read_bytes() == truth_path(clips[1]).read_bytes()


def test_a_bitrate_is_kept_to(tmp_path: Path) -> None:
    sizes = []
    for kilobits in (100, 800):
        clip = tmp_path / f"{kilobits}.mp4"
        render_clip(small(), clip, 2.0, Encoding(bitrate=kilobits * 1000))
        sizes.append(clip.stat().st_size)
    assert sizes[1] > 2 * sizes[0]


def test_a_clip_that_fails_leaves_nothing(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(done: int, _: int) -> None:
        if done == 3:
            raise Stop

    with pytest.raises(Stop):
        render_clip(small(), tmp_path / "clip.mp4", SECONDS, truth=tmp_path / "clip.truth.jsonl", progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_a_truth_file_that_cannot_be_written_leaves_no_clip(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"clip\.truth"):
        render_clip(small(), tmp_path / "clip.mp4", SECONDS, truth=tmp_path / "nowhere" / "clip.truth.jsonl")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("clip.avi", "must end in one of"),
        ("nowhere/clip.mp4", "there is no folder"),
        ("http://127.0.0.1/clip", "rtsp:// or rtmp://"),
    ],
)
def test_targets_that_cannot_be_written(tmp_path: Path, target: str, words: str) -> None:
    path = target if "://" in target else str(tmp_path / target)
    with pytest.raises(EncodeError, match=words):
        Encoder(path, 320, 180, 15.0, Encoding())


def test_no_server_is_a_clear_error_without_the_password() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with pytest.raises(EncodeError) as caught:
        Encoder(f"rtsp://user:secret@127.0.0.1:{port}/cam", 320, 180, 15.0, Encoding())
    assert f"rtsp://127.0.0.1:{port}/cam" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_addresses_are_shown_without_credentials() -> None:
    assert shown("rtmp://u:p@host:1935/live/cam?key=1") == "rtmp://host:1935/live/cam"
    assert shown("some/clip.mp4") == "some/clip.mp4"


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e9, float("nan")])
def test_absurd_lengths_are_refused(tmp_path: Path, seconds: float) -> None:
    with pytest.raises(SceneError, match="seconds"):
        render_clip(small(), tmp_path / "clip.mp4", seconds)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [b"", b"not json\n", b'{"format":"rewatch-truth-1"}\n', b"\x00\xff\n"],
    ids=["empty", "text", "short", "bytes"],
)
def test_what_is_no_truth_file_is_said_so(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "clip.truth.jsonl"
    path.write_bytes(text)
    with pytest.raises(TruthError, match=r"clip\.truth\.jsonl, line 1"):
        read_truth(path)


def test_a_truth_file_of_another_format_or_cut_short(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    truth = truth_path(clip)
    render_clip(small(), clip, 0.5, truth=truth)
    header, *frames = truth.read_bytes().splitlines(keepends=True)
    truth.write_bytes(header + frames[0] + frames[1][:40])
    with pytest.raises(TruthError, match="line 3"):
        read_truth(truth)
    truth.write_bytes(header.replace(b"rewatch-truth-1", b"rewatch-truth-9"))
    with pytest.raises(TruthError, match="rewatch-truth-9"):
        read_truth(truth)


def test_command(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    arguments = ["simulate", "--seed", "7", "--variant", "night", "--seconds", "1", "--size", "320x180"]
    result = CliRunner().invoke(build("simulate"), [*arguments, "--fps", "10", "--out", str(clip), "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["frames"] == 10
    assert report["truth"] == str(tmp_path / "clip.truth.jsonl")
    header, frames = read_truth(truth_path(clip))
    assert header.geometry.seed == 7
    assert header.geometry.variant == "night"
    assert report["violations"] == sum(e.kind == "red_light" for e in events_of(frames))
    readable = CliRunner().invoke(build("simulate"), [*arguments, "--fps", "10", "--out", str(clip)])
    assert readable.exit_code == 0
    assert "10 frames" in readable.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--variant", "snow"], "unknown variant"),
        (["--size", "big"], "write it like 1280x720"),
        (["--size", "7680x4320"], "1920x1080"),
        (["--codec", "vp9"], "unknown codec"),
        (["--seconds", "0"], "seconds"),
        (["--out", "clip.doc"], "must end in"),
    ],
)
def test_command_says_what_is_wrong(tmp_path: Path, options: list[str], words: str) -> None:
    base = ["simulate", "--size", "320x180", "--seconds", "1", "--out", str(tmp_path / "clip.mp4")]
    result = CliRunner().invoke(build("simulate"), [*base, *options])
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.split())
    assert list(tmp_path.iterdir()) == []
