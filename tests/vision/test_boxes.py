import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.messages import Box
from vision.boxes import from_output
from vision.letterbox import Letterbox

LABELS = ("person", "car", "bus")
LETTERBOX = Letterbox(416, 416)


def read(*rows: tuple[float, ...], min_score: float = 0.1, keep: tuple[str, ...] = ()) -> tuple[Box, ...]:
    table = np.zeros((10, 6), np.float32)
    for place, row in enumerate(rows):
        table[place] = row
    return from_output(table, LABELS, LETTERBOX, 832, 468, min_score, keep)


def test_rows_become_boxes_of_the_picture() -> None:
    assert read((10, 20, 30, 40, 0.9, 1)) == (Box("car", 0.9, 20.0, 40.0, 60.0, 80.0),)


def test_unused_rows_are_nothing() -> None:
    assert read() == ()
    assert read(min_score=0.0) == ()


def test_scores_are_rounded_before_they_decide() -> None:
    assert [box.score for box in read((0, 0, 9, 9, 0.09951, 0), (0, 0, 9, 9, 0.09949, 0))] == [0.1]


def test_coordinates_are_rounded() -> None:
    (box,) = read((10.0012345, 20, 30.3333333, 40, 0.5, 0))
    assert (box.x1, box.x2) == (20.0, 60.67)


def test_only_the_labels_asked_for() -> None:
    boxes = read((0, 0, 9, 9, 0.9, 0), (0, 0, 9, 9, 0.8, 1), (0, 0, 9, 9, 0.7, 2), keep=("bus", "person"))
    assert [box.label for box in boxes] == ["person", "bus"]


def test_boxes_outside_or_without_extent_are_dropped() -> None:
    assert read((500, 10, 600, 20, 0.9, 0), (5, 5, 5, 9, 0.9, 0), (9, 9, 5, 5, 0.9, 0)) == ()


def test_order_does_not_depend_on_the_models() -> None:
    one, two, three = (5, 5, 9, 9, 0.5, 1), (1, 5, 9, 9, 0.5001, 0), (1, 5, 9, 9, 0.9, 0)
    assert read(one, two, three) == read(three, two, one)
    assert [box.score for box in read(one, two, three)] == [0.9, 0.5, 0.5]


@pytest.mark.parametrize("number", [-1, 3, 80])
def test_a_class_that_the_model_does_not_have(number: int) -> None:
    with pytest.raises(ValueError, match="of a model with 3 labels"):
        read((0, 0, 9, 9, 0.9, number))


@pytest.mark.parametrize("column", range(6))
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_none(column: int, value: float) -> None:
    row = [0.0, 0, 9, 9, 0.9, 0]
    row[column] = value
    with pytest.raises(ValueError, match="not finite"):
        read(tuple(row))


@pytest.mark.parametrize("shape", [(6,), (3, 5), (1, 3, 6)])
def test_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="where \\[K, 6\\] was expected"):
        from_output(np.zeros(shape, np.float32), LABELS, LETTERBOX, 10, 10, 0.1)


@given(
    st.lists(st.tuples(*[st.floats(-50, 500, width=32)] * 4, st.floats(0, 1, width=32), st.integers(0, 2)), max_size=10)
)
def test_whatever_the_numbers_boxes_are_within_the_picture(rows: list[tuple[float, ...]]) -> None:
    boxes = read(*rows)
    for box in boxes:
        assert 0 <= box.x1 < box.x2 <= 832
        assert 0 <= box.y1 < box.y2 <= 468
        assert 0.1 <= box.score <= 1
        assert box.track is None
    assert list(boxes) == sorted(boxes, key=lambda box: -box.score)
