"""The suppression nodes, held against a plain loop in NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper

from training.contract import Suppression
from training.graph_builder import GraphBuilder
from training.suppression_graph import append_suppression
from training.trial import session

Table = NDArray[np.float32]


def suppressed(boxes: Table, scores: Table, rule: Suppression) -> Table:
    """boxes [N, A, 4], scores [N, A, C] through the nodes."""
    builder = GraphBuilder(13)
    result = append_suppression(builder, "boxes", "scores", boxes.shape[1], scores.shape[2], rule)
    inputs = [
        helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["N", *boxes.shape[1:]]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", *scores.shape[1:]]),
    ]
    output = helper.make_tensor_value_info(result, TensorProto.FLOAT, ["N", rule.rows, 6])
    graph = helper.make_graph(builder.nodes, "suppression", inputs, [output], builder.initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    return np.asarray(session(model.SerializeToString()).run(None, {"boxes": boxes, "scores": scores})[0])


def by_loop(boxes: Table, scores: Table, rule: Suppression) -> Table:
    """One picture: boxes [A, 4], scores [A, C]."""
    label, best = scores.argmax(1), scores.max(1)
    kept: list[int] = []
    for i in np.argsort(-best, kind="stable")[: rule.candidates]:
        if best[i] <= rule.score:
            break
        rivals = [k for k in kept if rule.across_classes or label[k] == label[i]]
        if all(overlap(boxes[k], boxes[i]) <= rule.iou for k in rivals):
            kept.append(int(i))
    rows = np.zeros((rule.rows, 6), np.float32)
    for row, i in enumerate(kept[: rule.rows]):
        rows[row] = [*boxes[i], best[i], label[i]]
    return rows


def overlap(a: Table, b: Table) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return float(width * height / (areas - width * height))


def scene(seed: int, pictures: int, anchors: int, classes: int) -> tuple[Table, Table]:
    """Crowded boxes with scores that all differ, so that the order of equals can't matter."""
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 60, (pictures, anchors, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(8, 40, (pictures, anchors, 2))], axis=2)
    scores = rng.permutation(pictures * anchors * classes).reshape(pictures, anchors, classes)
    return boxes.astype(np.float32), (scores / scores.size).astype(np.float32)


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(1, 4), st.booleans())
def test_same_as_a_plain_loop(seed: int, anchors: int, classes: int, across: bool) -> None:
    rule = Suppression(score=0.3, iou=0.4, candidates=20, rows=8, across_classes=across)
    boxes, scores = scene(seed, 3, anchors, classes)
    found = suppressed(boxes, scores, rule)
    for picture in range(3):
        np.testing.assert_array_equal(found[picture], by_loop(boxes[picture], scores[picture], rule))


@pytest.mark.parametrize("across", [True, False])
def test_a_batch_equals_its_pictures_one_by_one(across: bool) -> None:
    rule = Suppression(candidates=50, rows=20, across_classes=across)
    boxes, scores = scene(3, 4, 200, 5)
    scores[1] = 0  # a picture with nothing in it amid others
    batch = suppressed(boxes, scores, rule)
    singles = [suppressed(boxes[i : i + 1], scores[i : i + 1], rule) for i in range(4)]
    np.testing.assert_array_equal(batch, np.concatenate(singles))
    assert not batch[1].any()


def test_nothing_found_at_all() -> None:
    boxes, scores = scene(1, 2, 10, 3)
    assert not suppressed(boxes, np.zeros_like(scores), Suppression(rows=4)).any()


def test_an_infinite_box_that_is_unused_leaves_zeros() -> None:
    boxes, scores = scene(1, 1, 3, 1)
    boxes[0, 1], scores[0, 1] = np.inf, 0
    found = suppressed(boxes, scores, Suppression(rows=5))
    assert np.isfinite(found).all()


def test_rows_are_sorted_and_padded_to_the_promised_number() -> None:
    boxes, scores = scene(5, 1, 6, 2)
    found = suppressed(boxes, scores, Suppression(rows=50))
    assert found.shape == (1, 50, 6)
    assert (np.diff(found[0, :, 4]) <= 0).all()


def test_classes_share_one_place_only_when_told_to() -> None:
    boxes = np.array([[[0, 0, 10, 10], [0, 0, 10, 9]]], np.float32)
    scores = np.array([[[0.9, 0.1], [0.2, 0.8]]], np.float32)
    one = suppressed(boxes, scores, Suppression(rows=3, across_classes=True))
    two = suppressed(boxes, scores, Suppression(rows=3, across_classes=False))
    assert (one[0, :, 4] > 0).sum() == 1
    np.testing.assert_allclose(two[0, :, 4:], np.array([[0.9, 0], [0.8, 1], [0, 0]]))
