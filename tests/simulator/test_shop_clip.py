"""A shop as a clip: what goes in comes out, and the truth beside it fits."""

import json
from pathlib import Path

import av
import numpy as np
import pytest
from typer.testing import CliRunner

from cli.main import build
from simulator.clip import truth_path
from simulator.record import TruthError
from simulator.shop.clip import read_shop_truth, render_shop
from simulator.shop.scene import ShopError, ShopScene

pytestmark = pytest.mark.timeout(120)


def small() -> ShopScene:
    return ShopScene(3, 240, 136, 10)


def test_round_trip(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    report = render_shop(small(), clip, 1.0, truth=truth_path(clip))
    header, frames = read_shop_truth(truth_path(clip))
    assert report.frames == len(frames) == 10
    assert header.geometry == small().geometry
    assert report.people == len({one.id for frame in frames for one in frame.people})
    assert sum(report.activities.values()) == pytest.approx(sum(len(frame.people) for frame in frames) / 10)
    with av.open(str(clip)) as container:
        decoded = list(container.decode(video=0))
    picture, truth = small().frame()
    assert np.abs(decoded[0].to_ndarray(format="rgb24").astype(int) - picture).mean() < 8
    assert frames[0].people == truth.people
    with pytest.raises(ShopError, match="seconds"):
        render_shop(small(), tmp_path / "none.mp4", 0.0)


def test_another_scene_s_truth_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "clip.truth.jsonl"
    path.write_bytes(b'{"format":"rewatch-line-truth-1"}\n')
    with pytest.raises(TruthError, match=r"clip\.truth\.jsonl, line 1"):
        read_shop_truth(path)


def test_command(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    arguments = ["simulate", "--scene", "shop", "--size", "160x120", "--seconds", "1", "--fps", "5", "--out", str(clip)]
    result = CliRunner().invoke(build("simulate"), [*arguments, "--people", "12", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["people"] > 3
    assert len(read_shop_truth(truth_path(clip))[1]) == 5
    assert "people" in CliRunner().invoke(build("simulate"), arguments).stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--people", "0"], "0 people"),
        (["--variant", "night"], "a shop has no variants"),
        (["--fps", "0"], "0.0 frames"),
    ],
)
def test_command_says_what_is_wrong(tmp_path: Path, options: list[str], words: str) -> None:
    base = ["simulate", "--scene", "shop", "--size", "160x120", "--out", str(tmp_path / "clip.mp4")]
    result = CliRunner().invoke(build("simulate"), [*base, *options])
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.split())
    assert list(tmp_path.iterdir()) == []
