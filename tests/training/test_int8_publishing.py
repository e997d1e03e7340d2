"""An INT8 variant of a network that is no detector: published where it pays, noted where it does not."""

import shutil
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest

from simulator.line.pictures import part_pictures
from tests.models.asking import Feed
from training.contract import ModelError
from training.inspection.contract import config_text, parse_config
from training.int8_publishing import store_variant
from training.int8_variant import QUANTIZATION, REFUSED, SUFFIX, Int8Trial, in_bytes, tried
from training.model_card import read_card
from training.speed import Speed
from training.trial import session

BUNDLED = Path(__file__).resolve().parents[2] / "triton_models"
NAME = "inspection-locator"
PAYS = Int8Trial(8, "overlap of pixels", 0.5, 0.495, Speed(2.0, 1.0, 2.0), 1000, 300)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    shutil.copytree(BUNDLED / NAME, tmp_path / NAME)
    return tmp_path


@pytest.fixture(scope="module")
def graph() -> onnx.ModelProto:
    return onnx.load(BUNDLED / NAME / "1" / "model.onnx")


@pytest.fixture(scope="module")
def feeds() -> list[Feed]:
    return [{"image": part.pixels[None]} for part in part_pictures(4444, 8, per_line=1)]


def variant_config() -> str:
    served = parse_config((BUNDLED / NAME / "config.pbtxt").read_text())
    return config_text(msgspec.structs.replace(served, name=NAME + SUFFIX))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({}, None),
        ({"after": 0.489}, "overlap of pixels falls from 0.500 to 0.489; 0.01 may be lost"),
        ({"speed": Speed(1.1, 1.0, 1.1)}, "1.1 times as fast; 1.2 times is the least"),
    ],
)
def test_what_loses_too_much_or_is_hardly_faster_does_not_pay(change: dict[str, object], complaint: str | None) -> None:
    assert msgspec.structs.replace(PAYS, **change).objection == complaint


def test_a_variant_is_made_judged_and_stored_beside_its_original(
    repository: Path, graph: onnx.ModelProto, feeds: list[Feed]
) -> None:
    variant = in_bytes(graph, feeds, NAME + SUFFIX)
    wanted = [session(graph.SerializeToString()).run(None, dict(feed))[0] for feed in feeds]

    def judge(model: onnx.ModelProto) -> float:
        running = session(model.SerializeToString())
        return float(np.mean([np.mean(running.run(None, dict(f))[0] == w) for f, w in zip(feeds, wanted, strict=True)]))

    trial = tried(graph, variant, feeds, feeds, "agreement", judge)
    assert trial.before == 1.0
    assert trial.bytes_after < 0.5 * trial.bytes_before
    paying = msgspec.structs.replace(trial, after=1.0, speed=PAYS.speed)
    assert (
        store_variant(repository, NAME, variant_config(), variant, paying, {"calibration": {"threshold": 0.3}}) is None
    )
    card = read_card(repository / (NAME + SUFFIX) / "card.json")
    assert msgspec.json.decode(card.facts[QUANTIZATION], type=Int8Trial) == paying
    assert msgspec.json.decode(card.facts["calibration"]) == {"threshold": 0.3}
    original = read_card(repository / NAME / "card.json")
    assert card.facts["result"] == original.facts["result"]
    assert REFUSED not in original.facts
    assert card.served_sha256 != original.served_sha256


def test_one_that_does_not_pay_is_noted_on_the_originals_card(repository: Path, graph: onnx.ModelProto) -> None:
    before = read_card(repository / NAME / "card.json")
    poor = msgspec.structs.replace(PAYS, after=0.3)
    assert "falls from 0.500 to 0.300" in str(store_variant(repository, NAME, variant_config(), graph, poor))
    assert {path.name for path in repository.iterdir() if path.is_dir()} == {NAME}
    card = read_card(repository / NAME / "card.json")
    assert msgspec.json.decode(card.facts[REFUSED], type=Int8Trial) == poor
    assert {key: value for key, value in card.facts.items() if key != REFUSED}.keys() == before.facts.keys()
    for file in ("1/model.onnx", "config.pbtxt", "1/curves.png"):
        assert (repository / NAME / file).read_bytes() == (BUNDLED / NAME / file).read_bytes()


def test_there_must_be_an_original(tmp_path: Path, graph: onnx.ModelProto) -> None:
    with pytest.raises(ModelError, match="holds no published model"):
        store_variant(tmp_path, NAME, variant_config(), graph, PAYS)


def test_what_is_quantised_can_be_named(graph: onnx.ModelProto, feeds: list[Feed]) -> None:
    first = next(node.name for node in graph.graph.node if node.op_type == "Conv")
    one = in_bytes(graph, feeds[:2], "one", [first])
    every = in_bytes(graph, feeds[:2], "every")
    count = [sum(node.op_type == "QuantizeLinear" for node in model.graph.node) for model in (one, every)]
    assert 0 < count[0] < count[1]
