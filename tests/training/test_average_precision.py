"""Average precision, held against cases that can be worked out by hand."""

import numpy as np
import pytest

from training.average_precision import Found, Objects, average_precision

Box = tuple[float, float, float, float]


def objects(*boxes: Box, labels: tuple[int, ...] = (), crowd: tuple[int, ...] = ()) -> Objects:
    is_crowd = np.array([i in crowd for i in range(len(boxes))], bool)
    return Objects(
        np.array(boxes, np.float64).reshape(-1, 4), np.array(labels or (0,) * len(boxes), np.int64), is_crowd
    )


def found(*rows: tuple[Box, float], labels: tuple[int, ...] = ()) -> Found:
    boxes = np.array([r[0] for r in rows], np.float64).reshape(-1, 4)
    return Found(boxes, np.array([r[1] for r in rows], np.float64), np.array(labels or (0,) * len(rows), np.int64))


A: Box = (0, 0, 10, 10)
B: Box = (20, 20, 40, 30)
FAR: Box = (60, 60, 70, 70)


def test_everything_found_exactly() -> None:
    result = average_precision([objects(A, B)], [found((A, 0.9), (B, 0.8))])
    assert (result.map50, result.map50_95) == (1.0, 1.0)


def test_half_found() -> None:
    """Precision 1 up to recall 1/2: levels 0 to 0.50 are 51 of 101."""
    result = average_precision([objects(A, B)], [found((A, 0.9))])
    assert result.map50 == pytest.approx(51 / 101)


def test_a_false_alarm_ahead_of_the_hit_halves_precision() -> None:
    result = average_precision([objects(A)], [found((FAR, 0.9), (A, 0.8))])
    assert result.map50 == pytest.approx(0.5)


def test_a_false_alarm_behind_the_hit_costs_nothing() -> None:
    result = average_precision([objects(A)], [found((A, 0.9), (FAR, 0.8))])
    assert result.map50 == 1.0


def test_an_object_is_found_once() -> None:
    """The second detection of the same object is a false alarm between two hits: precision 1, 1/2, 2/3."""
    result = average_precision([objects(A, B)], [found((A, 0.9), (A, 0.8), (B, 0.7))])
    assert result.map50 == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_overlap_decides_at_which_thresholds_it_counts() -> None:
    """IoU 8/10: a hit at .50 .55 .60 .65 .70 .75 .80."""
    result = average_precision([objects(A)], [found(((0, 0, 10, 8), 0.9))])
    assert result.map50 == 1.0
    assert result.map50_95 == pytest.approx(0.7)


def test_the_better_overlap_is_taken_first() -> None:
    near: Box = (0, 0, 10, 9)
    result = average_precision([objects(near, A)], [found((A, 0.9), (near, 0.8))])
    assert result.map50_95 == 1.0


def test_crowds_are_neither_wanted_nor_held_against_a_detection() -> None:
    truth = objects(A, (50, 50, 100, 100), crowd=(1,))
    result = average_precision([truth], [found((FAR, 0.9), ((55, 55, 60, 60), 0.85), (A, 0.8))])
    assert result.map50 == 1.0


def test_means_over_classes_that_occur() -> None:
    truth = objects(A, B, labels=(0, 3))
    result = average_precision([truth], [found((A, 0.9), (FAR, 0.95), labels=(0, 7))])
    assert result.map50 == pytest.approx(0.5)
    assert result.by_class == {0: 1.0, 3: 0.0}


def test_scores_rank_across_pictures() -> None:
    result = average_precision([objects(A), objects()], [found((A, 0.6)), found((A, 0.9))])
    assert result.map50 == pytest.approx(0.5)


def test_nothing_to_find() -> None:
    with pytest.raises(ValueError, match="no object"):
        average_precision([objects()], [found((A, 0.9))])
    with pytest.raises(ValueError, match="1 pictures with truth, 2"):
        average_precision([objects(A)], [found(), found()])
