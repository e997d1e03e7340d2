"""Each family's decoding, held against one object worked out by hand. Input 64x64: 8x8, 4x4 and 2x2 cells."""

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto

from tests.training.tables import Table, network
from training.contract import INPUT, OUTPUT, ModelError, Suppression
from training.families import sides
from training.families.family import Family
from training.families.registry import FAMILIES, family
from training.raw_network import prepare
from training.served_graph import wrap
from training.trial import session

ANCHORS = 64 + 16 + 4
CELL = 2 * 8 + 3  # row 2, column 3 of stride 8: centre (28, 20)


def rows(model: ModelProto, chosen: Family, labels: tuple[str, ...], picture: int = 0) -> NDArray[np.float32]:
    served = wrap(prepare(model), chosen, "tested", labels, Suppression(score=0.05, rows=5))
    images = np.full((1, 64, 64, 3), picture, np.uint8)
    batch: NDArray[np.float32] = np.asarray(session(served.graph.SerializeToString()).run([OUTPUT], {INPUT: images})[0])
    return np.asarray(batch[0], np.float32)


def logit(p: float) -> float:
    return float(np.log(p / (1 - p)))


@pytest.mark.parametrize("opset", [11, 13, 18])
def test_yolox(opset: int) -> None:
    table = np.zeros((ANCHORS, 7), np.float32)
    table[CELL] = [0.5, 0.25, np.log(2), np.log(3), 0.9, 0.1, 0.8]
    found = rows(network({"output": table}, opset=opset), family("yolox"), ("a", "b"))
    np.testing.assert_allclose(found[0], np.array([20, 6, 36, 30, 0.72, 1]), rtol=1e-5)
    assert not found[1:].any()


def test_yolox_uses_each_cell_s_own_stride() -> None:
    table = np.zeros((ANCHORS, 6), np.float32)
    table[64 + 4 + 1] = [0, 0, 0, 0, 1, 1]  # row 1, column 1 of stride 16
    table[ANCHORS - 1] = [0, 0, 0, 0, 1, 0.5]  # row 1, column 1 of stride 32
    found = rows(network({"output": table}), family("yolox"), ("a",))
    np.testing.assert_allclose(found[:2], np.array([[8, 8, 24, 24, 1, 0], [16, 16, 48, 48, 0.5, 0]]))


def test_yolov8() -> None:
    table = np.zeros((6, ANCHORS), np.float32)
    table[:, 40] = [30, 20, 10, 8, 0.3, 0.6]
    found = rows(network({"output0": table}), family("yolov8"), ("a", "b"))
    np.testing.assert_allclose(found[0], np.array([25, 16, 35, 24, 0.6, 1]), rtol=1e-6)
    assert not found[1:].any()


@pytest.mark.parametrize("activated", [True, False])
def test_nanodet(activated: bool) -> None:
    """Bins all alike but one far ahead: the side's distance is that bin."""
    tables: dict[str, Table] = {}
    for cells in (64, 16, 4):
        tables[f"scores{cells}"] = np.full((cells, 3), -20, np.float32)
        tables[f"sides{cells}"] = np.zeros((cells, 32), np.float32)
    tables["scores64"][CELL] = [-20, logit(0.7), -20]
    for side, steps in enumerate((1, 2, 3, 1)):
        tables["sides64"][CELL, side * 8 + steps] = 50
    ends = {name: "Sigmoid" for name in tables if activated and name.startswith("scores")}
    model = network(tables, ends=ends)
    found = rows(model, family("nanodet"), ("a", "b", "c"))
    np.testing.assert_allclose(found[0], np.array([20, 4, 52, 28, 0.7, 1]), rtol=1e-4)
    assert not found[1:].any()


def test_ssd_with_its_softmax_inside() -> None:
    scores = np.zeros((6, 3), np.float32)
    scores[:, 0] = 20
    scores[4] = [0, 0, np.log(6)]
    boxes = np.zeros((6, 4), np.float32)
    boxes[4] = [0.25, 0.5, 0.75, 1]
    model = network({"scores": scores, "boxes": boxes})
    found = rows(model, family("ssd"), ("a", "b"))
    np.testing.assert_allclose(found[0], np.array([16, 32, 48, 64, 0.75, 1]), rtol=1e-5)
    np.testing.assert_array_equal(found[1:, 4], 0)


def test_sides() -> None:
    table = np.full((6, ANCHORS), -20, np.float32)
    table[:, CELL] = [logit(0.2), logit(0.9), 1, 2, 3, 0.5]
    found = rows(network({"output": table}), sides.FAMILY, ("a", "b"))
    np.testing.assert_allclose(found[0], np.array([20, 4, 52, 24, 0.9, 1]), rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "tables", "says"),
    [
        ("yolox", {"output": (ANCHORS, 5)}, "5 \\+ classes"),
        ("yolox", {"output": (100, 7)}, "the network has 100 boxes"),
        ("yolov8", {"output": (ANCHORS, 6)}, "boxes"),
        ("yolov8", {"a": (6, ANCHORS), "b": (6, ANCHORS)}, "one output"),
        ("nanodet", {"output": (ANCHORS, 7)}, "six outputs"),
        ("ssd", {"scores": (6, 3), "boxes": (5, 4)}, "an SSD network has"),
        ("ssd", {"output": (6, 7)}, "an SSD network has"),
    ],
)
def test_outputs_of_another_family_are_refused(name: str, tables: dict[str, tuple[int, int]], says: str) -> None:
    model = network({k: np.zeros(shape, np.float32) for k, shape in tables.items()})
    with pytest.raises(ModelError, match=says):
        wrap(prepare(model), family(name), "tested", ("a", "b"))


def test_labels_that_do_not_fit_the_classes_are_refused() -> None:
    model = network({"output": np.zeros((ANCHORS, 7), np.float32)})
    with pytest.raises(ModelError, match="knows 2 classes, but there are 3 labels"):
        wrap(prepare(model), family("yolox"), "tested", ("a", "b", "c"))


def test_unknown_family() -> None:
    with pytest.raises(ModelError, match="yolox, yolov8, nanodet, ssd"):
        family("frcnn")
    assert list(FAMILIES) == ["yolox", "yolov8", "nanodet", "ssd"]


@pytest.mark.parametrize(
    ("name", "pixel", "expected"),
    [("yolox", (10, 20, 30), 30.0), ("yolov8", (51, 20, 30), 0.2), ("ssd", (191, 0, 0), 0.5)],
)
def test_channel_order_and_normalisation(name: str, pixel: tuple[int, int, int], expected: float) -> None:
    """The tables' network adds the mean of its first channel to the output: that is the expected value."""
    tables: dict[str, dict[str, Table]] = {
        "yolox": {"output": np.zeros((ANCHORS, 6), np.float32)},
        "yolov8": {"output": np.zeros((5, ANCHORS), np.float32)},
        "ssd": {"scores": np.zeros((1, 2), np.float32), "boxes": np.zeros((1, 4), np.float32)},
    }
    pictured = "boxes" if name == "ssd" else "output"
    if name == "ssd":
        tables["ssd"]["scores"][0] = [0, 5]
    model = network(tables[name], pictured=pictured)
    served = wrap(prepare(model), family(name), "tested", ("a",))
    images = np.full((1, 64, 64, 3), pixel, np.uint8)
    top = np.asarray(session(served.graph.SerializeToString()).run([OUTPUT], {INPUT: images})[0])[0, 0]
    # yolox: score is mean squared; yolov8: score is the mean; ssd: corners are mean * 64
    value = {"yolox": np.sqrt(top[4]), "yolov8": top[4], "ssd": top[0] / 64}[name]
    assert value == pytest.approx(expected, rel=1e-4)
