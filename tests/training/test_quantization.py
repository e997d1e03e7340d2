"""`rewatch models quantize`: what comes out, and what is refused."""

import json
import shutil
from collections import Counter
from pathlib import Path

import onnx
import pytest
from typer.testing import CliRunner

from cli.demo.clips import View, clips
from cli.main import build
from training.model_repository import load
from training.trial import session

pytestmark = pytest.mark.timeout(240)

BUNDLED = Path(__file__).resolve().parents[2] / "triton_models" / "junction-yolo"
ANY_SPEED = ("--times-faster", "0")
"""tests never assert how fast a machine is"""


@pytest.fixture(scope="module")
def clip() -> Path:
    (found,) = clips((View("crossing", 40, "day"),), 16, (640, 360), 15.0, lambda _: None)
    return found.path


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    shutil.copytree(BUNDLED, tmp_path / "models" / "junction-yolo")
    return tmp_path / "models"


def _run(repository: Path, *words: str) -> tuple[int, str]:
    command = ["models", "quantize", *words, "--repository", str(repository), "--pictures", "48"]
    done = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"}).invoke(build("models"), command)
    return done.exit_code, done.output


def test_the_variant_keeps_the_contract_and_says_what_it_cost(repository: Path, clip: Path) -> None:
    status, said = _run(repository, "junction-yolo", "--clip", str(clip), *ANY_SPEED, "--json")
    assert status == 0, said
    report = json.loads(said[said.index("{") :])
    assert report["after"] >= 0.9 * report["before"] > 0.8
    assert report["bytes_after"] < 0.5 * report["bytes_before"]
    original, variant = load(BUNDLED), load(repository / "junction-yolo-int8")
    assert variant.detector.name == "junction-yolo-int8"
    assert (variant.detector.labels, variant.detector.rows) == (original.detector.labels, original.detector.rows)
    assert variant.card is not None
    assert original.card is not None
    assert variant.card.sha256 == original.card.served_sha256
    assert json.loads(bytes(variant.card.facts["quantization"])) == report
    graph = onnx.load(repository / "junction-yolo-int8" / "1" / "model.onnx").graph
    assert Counter(node.op_type for node in graph.node)["QuantizeLinear"] > 40
    assert session(str(repository / "junction-yolo-int8" / "1" / "model.onnx")).get_inputs()[0].type == "tensor(uint8)"


def test_people_get_a_table(repository: Path, clip: Path) -> None:
    status, said = _run(repository, "junction-yolo", "--clip", str(clip), *ANY_SPEED, "--into", "quick")
    assert status == 0, said
    assert "agreement (AP50-95)" in said
    assert "quick is served from" in said


@pytest.mark.parametrize(
    ("words", "why"),
    [(("--times-faster", "100"), "where 100 was wanted"), ((*ANY_SPEED, "--kept", "1"), "convolutions in float32")],
    ids=["not faster", "not as good"],
)
def test_below_the_floor_nothing_is_published(repository: Path, clip: Path, words: tuple[str, ...], why: str) -> None:
    status, said = _run(repository, "junction-yolo", "--clip", str(clip), *words)
    assert status == 1
    assert why in said
    assert "not published" in said
    assert [folder.name for folder in repository.iterdir()] == ["junction-yolo"]


def test_what_cannot_be_quantised_is_said(repository: Path, clip: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("not a video")
    for words, why in (
        (("junction-yolo",), "--clip FILE"),
        (("junction-yolo", "--camera", "a"), "--from and --to"),
        (("junction-yolo", "--clip", str(text)), "text.mp4"),
        (("junction-yolo", "--clip", str(tmp_path / "none.mp4")), "none.mp4"),
        (("nosuch", "--clip", str(clip)), "nosuch"),
        (("junction-yolo", "--clip", str(clip), "--into", "No Name"), "is no model name"),
        (("junction-yolo", "--clip", str(clip), *ANY_SPEED, "--into", "junction-yolo"), "exists already"),
    ):
        status, said = _run(repository, *words)
        assert (status, why in said) == (1, True), said
    assert [folder.name for folder in repository.iterdir()] == ["junction-yolo"]
