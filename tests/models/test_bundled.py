"""Every detector of `triton_models/` keeps the contract, and its files say the same."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from google.protobuf import text_format  # type: ignore[import-untyped]
from tritonclient.grpc import model_config_pb2

from simulator.actors import LABELS
from training.contract import INPUT, OUTPUT
from training.label_file import read_labels
from training.model_card import digest
from training.model_repository import load
from training.trial import pictures, session
from training.triton_config import config_text

REPOSITORY = Path(__file__).resolve().parents[2] / "triton_models"
OF_THEIR_OWN = ("inspection-", "junction-activity", "shop-", "junction-temporal", "junction-two-streams")
"""models with another contract than the detectors'"""
FOLDERS = sorted(p for p in REPOSITORY.iterdir() if p.is_dir() and not p.name.startswith(OF_THEIR_OWN))
OTHERS = sorted(p for p in REPOSITORY.iterdir() if p.name.startswith(OF_THEIR_OWN))
every_model = pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: p.name)


def test_the_default_detector_is_bundled() -> None:
    stored = load(REPOSITORY / "junction-yolo")
    assert stored.detector.labels == LABELS
    assert stored.bytes < 10_000_000
    assert stored.card is not None
    assert stored.card.licence == "Apache-2.0"
    assert {"result", "recipe", "learnt_from", "judged_on", "commit"} <= stored.card.facts.keys()


def test_the_repository_holds_models_and_nothing_else() -> None:
    for folder in FOLDERS:
        files = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
        assert {"config.pbtxt", "labels.txt", "card.json", "1/model.onnx"} <= files
        assert files <= {"config.pbtxt", "labels.txt", "card.json", "1/model.onnx", "README.md"}
    for folder in OTHERS:
        files = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
        assert files == {"config.pbtxt", "card.json", "1/model.onnx", "1/curves.png"}


@every_model
def test_config_graph_labels_and_card_agree(folder: Path) -> None:
    stored = load(folder)
    detector = stored.detector
    assert detector.name == folder.name
    assert read_labels(folder / "labels.txt") == detector.labels
    assert stored.card is not None
    assert stored.card.served_sha256 == digest(folder / "1" / "model.onnx")
    assert (folder / "config.pbtxt").read_text() == config_text(detector)

    config = text_format.Parse((folder / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())
    graph = onnx.load(folder / "1" / "model.onnx").graph
    for said, value, kind in (
        (config.input[0], graph.input[0], onnx.TensorProto.UINT8),
        (config.output[0], graph.output[0], onnx.TensorProto.FLOAT),
    ):
        assert (said.name, kind) == (value.name, value.type.tensor_type.elem_type)
        assert list(said.dims) == [d.dim_value for d in value.type.tensor_type.shape.dim][-len(said.dims) :]


@every_model
def test_contract(folder: Path) -> None:
    detector = load(folder).detector
    running = session(str(folder / "1" / "model.onnx"))
    images = pictures(detector, 4)
    rows = np.asarray(running.run([OUTPUT], {INPUT: images})[0])
    assert rows.shape == (4, detector.rows, 6)
    assert rows.dtype == np.float32
    assert (np.diff(rows[..., 4], axis=1) <= 0).all()
    assert ((rows[..., 4] >= 0) & (rows[..., 4] <= 1)).all()
    assert set(np.unique(rows[..., 5])) <= set(range(len(detector.labels)))
    assert not rows[rows[..., 4] == 0].any()
    singles = [np.asarray(running.run([OUTPUT], {INPUT: images[i : i + 1]})[0]) for i in range(4)]
    np.testing.assert_array_equal(rows, np.concatenate(singles))
