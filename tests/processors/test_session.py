"""One camera's walk: what comes out, what a crash changes (nothing), what damage costs (its GOP and no more)."""

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processors.errors import WindowFailedError
from processors.ports import FakeDetector, FakePublisher
from processors.session import Malformed
from schemas.analysis import Analysis
from schemas.messages import (
    AnalysisLedger,
    Checkpoint,
    Detections,
    End,
    EndLedger,
    Event,
    FailedWindow,
    Flow,
    Gap,
)
from tests.processors.walk import ANALYSIS, CONTRACT, Walk, clip, find_square, numbered

END = End("cam", "s1", 40)


def ledgers(walk: Walk) -> list[AnalysisLedger]:
    return [entry for entry in walk.of(AnalysisLedger) if isinstance(entry, AnalysisLedger)]


def offsets(walk: Walk) -> list[int]:
    return [message.offset for message in walk.of(Checkpoint) if isinstance(message, Checkpoint)]


async def test_every_frame_has_its_detections_and_each_crossing_is_seen_once() -> None:
    walk = await Walk().run([*numbered(clip()), (900, END)])
    assert len(walk.of(Detections)) == 40
    crossings = [event for event in walk.of(Event) if isinstance(event, Event) and event.kind == "line_crossed"]
    assert len(crossings) == 2, "the square starts again at the left after 25 frames"
    assert crossings[0].label == "square"
    assert crossings[0].provenance.model_version == "3"
    assert [row.count for row in walk.of(Flow) if isinstance(row, Flow)] == [2]


@pytest.mark.parametrize("sample_fps", [None, 7.0])
async def test_frames_that_came_together_are_asked_about_together_and_say_the_same(sample_fps: float | None) -> None:
    records = numbered(clip(analysis=msgspec.structs.replace(ANALYSIS, sample_fps=sample_fps)))
    alone = await Walk().run(records)
    several = FakeDetector(msgspec.structs.replace(CONTRACT, batch=8), find_square)
    together = await Walk(detector=several).run(records)
    assert together.table() == alone.table()
    assert several.calls < alone.detector.calls * 2 / 3


async def test_results_come_in_presentation_order_although_b_frames_do_not() -> None:
    units = clip(preset="medium", bf="2")
    assert [unit.pts for unit in units] != sorted(unit.pts for unit in units)
    walk = await Walk().run([*numbered(units), (900, END)])
    times = [message.captured_ns for message in walk.of(Detections) if isinstance(message, Detections)]
    assert times == sorted(times)
    assert len(times) == 40


async def test_the_ledger_reconciles_per_gop() -> None:
    walk = await Walk().run([*numbered(clip()), (900, END)])
    assert [(entry.gop, entry.consumed, entry.inferred, entry.failed) for entry in ledgers(walk)] == [
        (0, 10, 10, 0),
        (1, 10, 10, 0),
        (2, 10, 10, 0),
        (3, 10, 10, 0),
    ]


async def test_a_checkpoint_stands_at_every_keyframe_and_never_before_its_results_are_acknowledged() -> None:
    walk = Walk(publisher=FakePublisher(hold=(Detections,)))
    await walk.run(numbered(clip()), settle=0.3)
    assert len(walk.of(Detections)) == 40
    assert walk.checkpointed == []
    assert offsets(walk) == [100], "that the first GOP was begun, and no more"
    free = await Walk().run(numbered(clip()))
    assert free.checkpointed == [130, 160, 190]


async def test_an_end_closes_everything_and_leaves_nothing_to_resume() -> None:
    walk = await Walk().run([*numbered(clip()), (900, END)])
    assert walk.ended
    ledger, checkpoint = walk.publisher.messages[-2:]
    assert ledger == EndLedger("cam", "s1", 40)
    assert checkpoint == Checkpoint("cam", "frames", 0, 901, 2, "", {}, ended=True)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_a_run_resumed_at_any_checkpoint_gives_the_same_bytes(data: st.DataObject) -> None:
    sampled = msgspec.structs.replace(ANALYSIS, sample_fps=data.draw(st.sampled_from([None, 7.0, 10.0])))
    records = [*numbered(clip(60, data.draw(st.sampled_from([7, 10, 15])), sampled)), (900, END)]
    straight = await Walk().run(records, settle=0.05)
    saved = [message for message in straight.of(Checkpoint) if isinstance(message, Checkpoint) and not message.ended]
    checkpoint = data.draw(st.sampled_from(saved))
    rest = [record for record in records if record[0] >= checkpoint.offset]
    resumed = await Walk().run(rest, restored=checkpoint, settle=0.05)
    assert resumed.session is not None
    assert resumed.session.cold_start == ""
    expected = straight.table()
    for name, value in resumed.table().items():
        assert value == expected[name]
    first = rest[0][0]
    after = {name for name, value in expected.items() if _offset(value) >= first}
    assert after <= resumed.table().keys()


def _offset(value: bytes) -> int:
    fields = msgspec.json.decode(value)
    if "provenance" in fields:
        return int(fields["provenance"]["keyframe_offset"])
    return int(fields.get("keyframe_offset", 10**9))


async def test_a_corrupt_access_unit_costs_the_rest_of_its_gop_and_is_published_as_a_failed_window() -> None:
    units = clip()
    units[14] = msgspec.structs.replace(units[14], data=units[14].data[: len(units[14].data) // 2])
    walk = await Walk().run([*numbered(units), (900, END)])
    second = ledgers(walk)[1]
    assert second.consumed == 10
    assert second.failed > 0
    assert second.consumed == second.decoded + second.failed
    assert sum(entry.failed for entry in ledgers(walk)) == second.failed
    (window,) = walk.of(FailedWindow)
    assert isinstance(window, FailedWindow)
    assert (window.keyframe_offset, window.last_offset) == (130, 157)
    assert "access unit" in window.reason


async def test_a_missing_access_unit_fails_the_window_instead_of_smearing_the_picture() -> None:
    units = clip()
    del units[15]
    walk = await Walk().run([*numbered(units), (900, END)])
    assert ledgers(walk)[1].reason == "access unit 5 of the GOP is missing"
    assert [entry.inferred for entry in ledgers(walk)] == [10, 5, 10, 10]


async def test_access_units_without_a_keyframe_in_front_are_counted_as_failed() -> None:
    walk = await Walk().run(numbered(clip()[4:]))
    assert (ledgers(walk)[0].consumed, ledgers(walk)[0].failed) == (6, 6)
    assert ledgers(walk)[0].reason == "no keyframe in front of it"


async def test_a_malformed_record_fails_its_gop_only() -> None:
    records = numbered(clip())
    records[12] = (records[12][0], Malformed("header pts: missing"))
    walk = await Walk().run([*records, (900, END)])
    assert [entry.failed for entry in ledgers(walk)] == [0, 8, 0, 0]
    assert "header pts: missing" in ledgers(walk)[1].reason


async def test_an_input_that_the_model_refuses_fails_the_window_from_there() -> None:
    detector = FakeDetector(CONTRACT, find_square, [WindowFailedError("shape")])
    walk = await Walk(detector=detector).run([*numbered(clip()), (900, END)])
    assert [entry.failed for entry in ledgers(walk)] == [10, 0, 0, 0]
    assert len(walk.of(FailedWindow)) == 1


async def test_a_model_that_is_not_served_fails_windows_and_says_so() -> None:
    walk = await Walk().run([*numbered(clip(analysis=Analysis(model="other"))), (900, END)])
    assert [entry.reason for entry in ledgers(walk)] == ["model other is not served"] * 4
    assert sum(entry.failed for entry in ledgers(walk)) == 40


async def test_rows_that_break_the_contract_fail_the_window() -> None:
    def nonsense(image: object) -> object:
        rows = find_square(image)  # type: ignore[arg-type]
        rows[0, 5] = 17
        rows[0, 4] = 0.9
        return rows

    walk = await Walk(detector=FakeDetector(CONTRACT, nonsense)).run([*numbered(clip()), (900, END)])  # type: ignore[arg-type]
    assert "class 17" in ledgers(walk)[0].reason


async def test_an_analysis_that_is_none_fails_windows_until_it_is_mended() -> None:
    units = clip()
    units[10] = msgspec.structs.replace(units[10], analysis=b'{"model": 5}')
    walk = await Walk().run([*numbered(units), (900, END)])
    assert [entry.failed for entry in ledgers(walk)] == [0, 10, 0, 0]
    assert "analysis" in ledgers(walk)[1].reason


async def test_sampling_skips_frames_and_counts_them() -> None:
    analysis = msgspec.structs.replace(ANALYSIS, sample_fps=5.0)
    walk = await Walk().run([*numbered(clip(analysis=analysis)), (900, END)])
    assert sum(entry.inferred for entry in ledgers(walk)) == 8
    assert sum(entry.skipped for entry in ledgers(walk)) == 32


async def test_a_gap_is_an_event_with_the_log_s_own_facts() -> None:
    units = clip(20)
    gap = Gap("cam", "s2", "stalled", 5_000, 9_000, 12)
    records = [*numbered(units[:10]), (140, gap), *numbered(units[10:], 150), (900, END)]
    walk = await Walk().run(records)
    (event,) = [message for message in walk.of(Event) if isinstance(message, Event) and message.kind == "gap"]
    assert event.details == {"reason": "stalled", "from_ns": 5_000, "to_ns": 9_000, "lost": 12}
    assert event.provenance.keyframe_offset == 140


@pytest.mark.parametrize(
    "state",
    [
        {"state_version": 99},
        {"state": "{}"},
        {"state": "not json"},
        {"state": '{"analysis":"{}","bucket":null,"chain":{}}'},
    ],
)
async def test_a_state_of_another_format_is_a_cold_start_and_no_crash(state: dict[str, object]) -> None:
    records = [*numbered(clip()), (900, END)]
    straight = await Walk().run(records)
    saved = straight.of(Checkpoint)[1]
    assert isinstance(saved, Checkpoint)
    stale = msgspec.structs.replace(saved, **state)
    walk = await Walk().run([record for record in records if record[0] >= saved.offset], restored=stale)
    assert walk.session is not None
    assert walk.session.cold_start
    assert len(walk.of(Detections)) == 30
    first, *others = [entry.reason for entry in ledgers(walk)]
    assert first == f"cold start: {walk.session.cold_start}"
    assert set(others) == {""}
