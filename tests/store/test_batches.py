"""Batching and offsets, without a loop and without a clock."""

import pytest

from processors.batches import Batches
from tests.store.records import detections

P, Q = ("events", 0), ("detections", 3)


def filled(count: int, max_records: int = 3) -> Batches:
    batches = Batches(max_records, 1.0)
    batches.begin(P, 10)
    for number in range(count):
        assert batches.expects(P, 10 + number)
        batches.add(P, 10 + number, detections(number), now=100.0 + number / 10)
    return batches


def test_due_by_size_and_by_age_of_the_oldest() -> None:
    assert filled(0).due_in(0.0) is None
    assert filled(1).due_in(100.25) == pytest.approx(0.75)
    assert filled(2).due_in(102.0) == 0.0
    assert filled(3).due_in(100.2) == 0.0
    batches = filled(5)
    assert [entry.offset for entry in batches.take()] == [10, 11, 12]
    assert batches.waiting == 2
    assert batches.due_in(100.5) == pytest.approx(0.8), "what stays keeps its age"
    assert [entry.offset for entry in batches.take()] == [13, 14]
    assert batches.take() == ()


def test_only_what_is_stored_is_safe() -> None:
    batches = filled(5)
    assert (batches.safe(P), batches.position(P)) == (10, 15)
    first, second = batches.take(), batches.take()
    assert batches.safe(P) == 10
    batches.stored(first)
    assert batches.safe(P) == 13
    batches.stored(second)
    assert batches.safe(P) == 15
    assert batches.safe(Q) is None
    assert batches.position(Q) is None


def test_a_skipped_record_is_committed_with_those_around_it() -> None:
    batches = filled(1)
    batches.add(P, 11, None, now=100.0)
    assert batches.safe(P) == 10
    batches.stored(batches.take())
    assert batches.safe(P) == 12


def test_seen_before_foreign_or_missing() -> None:
    batches = filled(2)
    assert not batches.expects(P, 9)
    assert not batches.expects(P, 11)
    assert batches.expects(P, 12)
    assert not batches.expects(Q, 0)
    with pytest.raises(ValueError, match=r"12\.\.14"):
        batches.expects(P, 15)


def test_a_partition_that_leaves_takes_its_waiting_records_along() -> None:
    batches = filled(2)
    batches.begin(Q, 5)
    batches.add(Q, 5, detections(7), now=0.0)
    batches.keep([Q])
    assert batches.waiting == 1
    assert list(batches.partitions()) == [Q]
    assert not batches.expects(P, 12)


def test_a_write_under_way_does_not_move_a_later_assignment() -> None:
    batches = filled(2)
    late = batches.take()
    batches.keep([])
    batches.begin(P, 10)
    batches.stored(late)
    assert batches.safe(P) == 10
    assert batches.expects(P, 10)
