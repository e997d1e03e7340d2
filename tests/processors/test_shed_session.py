"""A session that leaves frames out: what it says of them, what it still publishes, what a later look can rely on."""

import msgspec
import pytest

from processors.chain import MEMORY_NS
from processors.ports import FakePace, FakePublisher
from processors.stepping import SessionState
from schemas.analysis import Analysis
from schemas.messages import AccessUnit, AnalysisLedger, Checkpoint, Detections, End, FailedWindow
from tests.processors.walk import ANALYSIS, Walk, clip, numbered

END = End("cam", "s1", 40)


def entries(walk: Walk) -> list[AnalysisLedger]:
    return [entry for entry in walk.of(AnalysisLedger) if isinstance(entry, AnalysisLedger)]


def times(walk: Walk) -> set[int]:
    return {message.captured_ns for message in walk.of(Detections) if isinstance(message, Detections)}


@pytest.mark.parametrize("bf", ["0", "2"], ids=["in order", "reordered"])
async def test_every_level_leaves_more_out_and_accounts_for_it(bf: str) -> None:
    records = [*numbered(clip(50, preset="medium", bf=bf)), (900, END)]
    whole = await Walk().run(records)
    walk = await Walk(pace=FakePace(0, 1, 2, 3)).run(records)
    assert [(one.consumed, one.decoded, one.inferred, one.skipped, one.failed) for one in entries(walk)] == [
        (10, 10, 10, 0, 0), (10, 10, 5, 5, 0), (10, 10, 3, 7, 0), (10, 10, 1, 9, 0), (10, 10, 10, 0, 0),
    ]  # fmt: skip
    assert [(one.reason, one.shed) for one in entries(walk)] == [
        ("", False),
        ("shed: every second frame", True),
        ("shed: three of four frames", True),
        ("shed: all but the keyframe", True),
        ("", False),
    ]
    assert times(walk) < times(whole)
    keyframes = {unit.captured_ns for _, unit in records if isinstance(unit, AccessUnit) and unit.keyframe}
    assert keyframes <= times(walk)


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("sample_fps", [None, 7.0, 2.0])
async def test_sampling_goes_on_as_if_nothing_had_been_left_out(level: int, sample_fps: float | None) -> None:
    analysis = msgspec.structs.replace(ANALYSIS, sample_fps=sample_fps)
    records = [*numbered(clip(analysis=analysis, preset="medium", bf="2")), (900, END)]
    whole = await Walk().run(records)
    shed = await Walk(pace=FakePace(0, level, level)).run(records)

    def buckets(walk: Walk) -> list[int | None]:
        saved = [message.state for message in walk.of(Checkpoint) if isinstance(message, Checkpoint) and message.state]
        return [msgspec.json.decode(state, type=SessionState).bucket for state in saved]

    assert buckets(shed) == buckets(whole)
    assert times(shed) <= times(whole)
    assert entries(shed)[3] == entries(whole)[3]


async def test_what_will_be_left_out_is_said_and_acknowledged_before_any_result_of_it() -> None:
    walk = Walk(publisher=FakePublisher(hold=(FailedWindow,)), pace=FakePace(0, 1))
    await walk.run(numbered(clip()), settle=0.3)
    last = [message for message in walk.publisher.messages if not isinstance(message, Checkpoint)][-1]
    assert isinstance(last, FailedWindow)
    assert (last.shed, last.attempt, last.gop, last.keyframe_offset, last.last_offset) == (True, 0, 1, 130, 130)
    assert last.reason == "shed: every second frame"
    assert len(times(walk)) == 10, "nothing of the second GOP"


async def test_a_state_that_nothing_was_left_out_of_travels_with_the_first_window() -> None:
    late = MEMORY_NS + 1_000_000_000
    units = [
        msgspec.structs.replace(unit, captured_ns=unit.captured_ns + late) if unit.gop else unit for unit in clip()
    ]
    walk = await Walk(pace=FakePace(0, 1, 1)).run([*numbered(units), (900, END)])
    first, second = (window for window in walk.of(FailedWindow) if isinstance(window, FailedWindow))
    saved = next(one for one in walk.of(Checkpoint) if isinstance(one, Checkpoint) and one.state)
    assert (first.state, first.state_version) == (saved.state, saved.state_version)
    assert second.state == ""


async def test_a_damaged_gop_is_both_said_in_advance_and_failed() -> None:
    units = clip()
    del units[15]
    walk = await Walk(pace=FakePace(0, 3)).run([*numbered(units), (900, END)])
    said, failed = (window for window in walk.of(FailedWindow) if isinstance(window, FailedWindow))
    assert (said.shed, failed.shed) == (True, False)
    assert failed.reason == "access unit 5 of the GOP is missing"
    assert [(one.consumed, one.inferred, one.skipped, one.failed) for one in entries(walk)][1] == (9, 1, 4, 4)


async def test_every_frame_that_comes_out_is_reported_with_its_record() -> None:
    pace = FakePace(0, 2)
    await Walk(pace=pace).run([*numbered(clip(20)), (900, END)])
    assert pace.done_offsets == [100 + 3 * index for index in (*range(10), 10, 14, 18)]


def test_a_priority_that_nobody_has_set_is_no_byte_of_the_header() -> None:
    assert b"priority" not in msgspec.json.encode(Analysis())
    assert msgspec.json.decode(b'{"priority":5}', type=Analysis).priority == 5
