"""A line as a clip: what goes in comes out, and the truth beside it fits."""

import json
from pathlib import Path

import av
import numpy as np
import pytest
from typer.testing import CliRunner

from cli.main import build
from simulator.clip import truth_path
from simulator.line.clip import read_line_truth, render_line
from simulator.line.part import LineConfig, LineError
from simulator.line.scene import LineScene
from simulator.record import TruthError

pytestmark = pytest.mark.timeout(120)


def small() -> LineScene:
    return LineScene(3, 320, 160, 10, LineConfig(defective=0.5))


def test_round_trip(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    report = render_line(small(), clip, 1.2, truth=truth_path(clip))
    header, frames = read_line_truth(truth_path(clip))
    assert report.frames == len(frames) == 12
    assert header.geometry == small().geometry
    assert report.parts == len({part.id for frame in frames for part in frame.parts})
    assert report.defective == len({part.id for frame in frames for part in frame.parts if part.defects})
    with av.open(str(clip)) as container:
        decoded = list(container.decode(video=0))
    assert len(decoded) == 12
    again, truth = small().frame()
    assert np.abs(decoded[0].to_ndarray(format="rgb24").astype(int) - again).mean() < 8
    assert frames[0].parts == truth.parts
    assert [frame.pts for frame in frames] == [round(k * 9000) for k in range(12)]


def test_equal_seeds_give_equal_clips(tmp_path: Path) -> None:
    clips = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    for clip in clips:
        render_line(small(), clip, 0.5, truth=truth_path(clip))
    assert truth_path(clips[0]).read_bytes() == truth_path(clips[1]).read_bytes()
    packets = []
    for clip in clips:
        with av.open(str(clip)) as container:
            packets.append([bytes(packet) for packet in container.demux(video=0)])
    assert packets[0] == packets[1]


def test_absurd_lengths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LineError, match="seconds"):
        render_line(small(), tmp_path / "clip.mp4", 0.0)
    assert list(tmp_path.iterdir()) == []


def test_a_junction_s_truth_is_no_line_s(tmp_path: Path) -> None:
    path = tmp_path / "clip.truth.jsonl"
    path.write_bytes(b'{"format":"rewatch-truth-1"}\n')
    with pytest.raises(TruthError, match=r"clip\.truth\.jsonl, line 1"):
        read_line_truth(path)


def test_command(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    arguments = ["simulate", "--scene", "line", "--size", "320x160", "--seconds", "1", "--fps", "10"]
    arguments += ["--out", str(clip)]
    result = CliRunner().invoke(build("simulate"), [*arguments, "--defective", "1", "--defect-mm", "0.2", "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    _, frames = read_line_truth(truth_path(clip))
    sizes = {round(d.size_mm, 9) for f in frames for p in f.parts for d in p.defects}
    assert sizes == {0.2}
    assert report["defective"] >= report["parts"] - 1 > 0
    readable = CliRunner().invoke(build("simulate"), arguments)
    assert "parts" in readable.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--scene", "factory"], "unknown scene 'factory'"),
        (["--scene", "line", "--defect-mm", "9"], "from 0.05 to 2.0 mm"),
        (["--scene", "line", "--defective", "2"], "defective 2.0"),
        (["--scene", "line", "--belt", "0"], "speed 0.0"),
        (["--scene", "line", "--variant", "night"], "a line has no variants"),
        (["--scene", "line", "--seconds", "0"], "seconds"),
    ],
)
def test_command_says_what_is_wrong(tmp_path: Path, options: list[str], words: str) -> None:
    base = ["simulate", "--size", "320x160", "--seconds", "1", "--out", str(tmp_path / "clip.mp4")]
    result = CliRunner().invoke(build("simulate"), [*base, *options])
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.split())
    assert list(tmp_path.iterdir()) == []
