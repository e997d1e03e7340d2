"""`rewatch models quantize`: what comes out, and what is refused."""

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from typer.testing import CliRunner

from cli.demo.clips import View, clips
from cli.main import build
from tests.training.tables import network
from training.importing import import_detector
from training.int8 import read_served
from training.model_repository import card_of, load
from training.quantization import Data, Floor, between_convolutions, quantize
from training.trial import pictures, session

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
    command = ["models", "quantize", *words, "--repository", str(repository), "--pictures", "24"]
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


def test_people_get_a_table_and_a_variant_may_be_the_next_version(repository: Path, clip: Path) -> None:
    shutil.copytree(repository / "junction-yolo", repository / "quick")
    config = repository / "quick" / "config.pbtxt"
    config.write_text(config.read_text().replace('name: "junction-yolo"', 'name: "quick"', 1))
    words = ("--into", "quick", "--as-version")
    status, said = _run(repository, "junction-yolo", "--clip", str(clip), *ANY_SPEED, *words)
    assert status == 0, said
    assert "agreement (AP50-95)" in said
    assert "quick has version 2; live with: rewatch models promote quick 2" in said
    stored, card = load(repository / "quick"), card_of(repository / "quick", 2)
    assert (stored.live, stored.served, stored.versions) == (1, (1,), (1, 2))
    assert card is not None
    assert (card.name, card.origin) == ("quick", "int8 of junction-yolo 1")
    assert "quantization" in card.facts


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
        (("junction-yolo", "--clip", str(clip), "--into", "nosuch", "--as-version"), "nosuch"),
    ):
        status, said = _run(repository, *words)
        assert (status, why in said) == (1, True), said
    assert [folder.name for folder in repository.iterdir()] == ["junction-yolo"]


def test_networks_older_than_scales_per_channel(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = np.zeros((84, 7), np.float32)
    table[19] = [0.5, 0.25, 0.7, 1.1, 0.9, 0.1, 0.8]
    old = network({"output": table}, opset=11)
    old.graph.node[0].input[0] = "convolved"
    old.graph.node.insert(0, helper.make_node("Conv", ["images", "weights"], ["convolved"], name="convolution"))
    weights = np.random.default_rng(3).normal(size=(3, 3, 3, 3)).astype(np.float32)
    old.graph.initializer.append(numpy_helper.from_array(weights, "weights"))
    onnx.save(old, tmp_path / "old.onnx")
    (tmp_path / "labels.txt").write_text("car\nbus\n")
    folder = import_detector(tmp_path / "old.onnx", "old", "yolox", tmp_path / "models", labels=tmp_path / "labels.txt")
    model = read_served(load(folder))
    seen = pictures(model.detector, 8)
    made, report = quantize(model, "new", Data(seen, "", "", ""), lambda _: 1.0, Floor(times_faster=0))
    assert (report.convolutions, report.in_float32) == (1, ())
    assert any(node.op_type == "DequantizeLinear" and node.attribute for node in made.graph.graph.node)
    assert not caplog.records


def test_what_joins_scores_and_sides_stays_in_float32() -> None:
    """In one INT8 tensor they would have one scale."""
    nodes = onnx.load(load(BUNDLED).graph).graph
    chosen = set(between_convolutions(nodes))
    left = [node for node in nodes.node if node.name.startswith("network/") and node.name not in chosen]
    assert {node.op_type for node in nodes.node if node.name in chosen} == {"Conv", "Relu", "Concat", "Resize", "Add"}
    assert sum(node.op_type == "Concat" for node in left) == 4
    made = {name for node in left for name in node.output}
    assert not [node.name for node in nodes.node if node.op_type == "Conv" and node.input[0] in made]
