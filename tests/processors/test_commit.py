"""The commit point never passes unfinished work."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.commit import IDLE_RECORDS, PartitionProgress


def test_nothing_read_means_nothing_to_commit() -> None:
    assert PartitionProgress().safe() is None


def test_commit_waits_for_the_oldest_open_gop() -> None:
    progress = PartitionProgress(0)
    for offset, camera in enumerate(["a", "b", "a", "b", "a"]):
        assert progress.accept(offset)
        progress.touch(camera, offset)
    assert progress.safe() == 0
    progress.checkpointed("a", 4)
    assert progress.safe() == 1
    progress.checkpointed("b", 3)
    assert progress.safe() == 3


def test_what_was_handed_over_is_refused_and_holes_are_errors() -> None:
    progress = PartitionProgress(7)
    assert not progress.accept(6)
    assert progress.accept(7)
    assert not progress.accept(7)
    with pytest.raises(ValueError, match=r"8\.\.9"):
        progress.accept(10)


def test_an_ended_camera_pins_nothing() -> None:
    progress = PartitionProgress(0)
    progress.accept(0)
    progress.touch("a", 0)
    progress.accept(1)
    progress.ended("a")
    assert progress.safe() == 2


def test_a_silent_camera_is_named_after_many_records_of_others_and_only_once() -> None:
    progress = PartitionProgress(0)
    progress.accept(0)
    progress.touch("silent", 0)
    for offset in range(1, IDLE_RECORDS + 2):
        progress.accept(offset)
        progress.touch("busy", offset)
    assert progress.idle() == ["silent"]
    progress.touch("silent", IDLE_RECORDS + 1)
    assert progress.idle() == []
    assert progress.safe() == 0, "until its state in front of the silence is saved"
    progress.checkpointed("silent", IDLE_RECORDS + 1)
    progress.checkpointed("busy", IDLE_RECORDS)
    assert progress.safe() == IDLE_RECORDS


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60), st.data())
def test_safe_is_never_above_a_camera_s_unfinished_record(records: list[tuple[str, bool]], data: st.DataObject) -> None:
    """Cameras finish their GOPs in any order and late; the model keeps each camera's unfinished offsets."""
    progress = PartitionProgress(0)
    unfinished: dict[str, list[int]] = {"a": [], "b": [], "c": []}
    for offset, (camera, _) in enumerate(records):
        progress.accept(offset)
        progress.touch(camera, offset)
        unfinished[camera].append(offset)
        if data.draw(st.booleans()):
            done = data.draw(st.sampled_from("abc"))
            if unfinished[done]:
                cut = data.draw(st.integers(0, len(unfinished[done]) - 1))
                resume = unfinished[done][cut]
                unfinished[done] = unfinished[done][cut:]
                progress.checkpointed(done, resume)
        lowest = min((offsets[0] for offsets in unfinished.values() if offsets), default=progress.next)
        safe = progress.safe()
        assert safe is not None
        assert lowest is not None
        assert safe <= lowest
