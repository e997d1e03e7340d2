"""Any offset is a place to begin: with what was saved every byte is as before, without it every GOP behind it is."""

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from schemas.messages import AccessUnit, AnalysisLedger, Box, Detections, End, Gap, LogRecord
from schemas.results import Result
from tests.processors.partition import Partition, table
from tests.processors.walk import clip

pytestmark = pytest.mark.timeout(120)

EXAMPLES = settings(
    max_examples=20,
    derandomize=True,
    phases=[Phase.generate],  # an example takes half a second: a smaller one is not worth the minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
PERIOD_NS = 40_000_000


@st.composite
def cameras(draw: st.DrawFn, name: str) -> list[LogRecord]:
    """One to three ingest sessions, each behind an end, a gap or nothing; some access units are missing."""
    found: list[LogRecord] = []
    later = 0
    for number in range(draw(st.integers(1, 3))):
        session = f"s{number}"
        count, keyframe_every = draw(st.sampled_from([9, 14, 20])), draw(st.sampled_from([4, 7]))
        reordered = draw(st.booleans())
        units = clip(count, keyframe_every, bf="2", preset="medium") if reordered else clip(count, keyframe_every)
        units = [
            msgspec.structs.replace(unit, camera=name, session=session, captured_ns=unit.captured_ns + later)
            for unit in units
        ]
        missing = draw(st.sets(st.integers(1, len(units) - 1), max_size=1))
        if number:
            from_ns, to_ns = units[0].captured_ns - 10 * PERIOD_NS, units[0].captured_ns
            gap = Gap(name, session, "away", from_ns, to_ns, 3)
            found.append(gap if draw(st.booleans()) else End(name, f"s{number - 1}", 1))
        found += [unit for place, unit in enumerate(units) if place not in missing]
        later += (len(units) + 20) * PERIOD_NS
    return [*found, End(name, session, len(found))]


@st.composite
def partitions(draw: st.DrawFn) -> Partition:
    """One or two cameras, mixed at random; some records are damaged."""
    waiting = [draw(cameras(name)) for name in draw(st.sampled_from([["a"], ["a", "b"]]))]
    order = draw(st.permutations([number for number, records in enumerate(waiting) for _ in records]))
    streams = [iter(records) for records in waiting]
    records = [next(streams[number]) for number in order]
    delta = [at for at, record in enumerate(records) if isinstance(record, AccessUnit) and not record.keyframe]
    return Partition(records, sorted(draw(st.sets(st.sampled_from(delta), max_size=2))))


@EXAMPLES
@given(partition=partitions(), data=st.data())
async def test_with_what_was_saved_every_byte_is_as_before(partition: Partition, data: st.DataObject) -> None:
    assert await partition.work()
    straight = partition.published
    moment = data.draw(st.sampled_from(partition.moments))
    died = Partition(partition.records, partition.damaged)
    assert await died.work(moment.committed, moment.checkpoints)
    before, after = straight.messages[: moment.said], died.published.messages
    assert table(after).items() <= table(straight.messages).items()
    assert table([*before, *after]) == table(straight.messages)
    assert {camera for camera, saved in died.published.checkpoints.items() if not saved.ended} == set()


async def test_an_end_is_forgotten_once_nothing_in_front_of_it_is_read_again() -> None:
    records: list[LogRecord] = [*clip(9, 4), End("cam", "s1", 9)]
    partition = Partition(records)
    assert await partition.work()
    assert partition.published.checkpoints["cam"].ended
    assert await partition.work(len(records) - 1, partition.published.checkpoints)
    assert partition.published.checkpoints["cam"].ended
    assert await partition.work(len(records), partition.published.checkpoints)
    assert partition.published.checkpoints == {}


@EXAMPLES
@given(partition=partitions(), data=st.data())
async def test_without_it_every_gop_behind_the_next_keyframe_is(partition: Partition, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(partition.records) - 1))
    await partition.work()
    cold = Partition(partition.records, partition.damaged)
    assert await cold.work(start)

    expected = boxes(partition.published.messages)
    assert boxes(cold.published.messages) == {
        frame: (offset, found) for frame, (offset, found) in expected.items() if offset >= start
    }
    for camera in partition.cameras:
        rest = partition.access_units(camera, start)
        windows = [m for m in cold.published.messages if isinstance(m, AnalysisLedger) and m.camera == camera]
        assert sum(window.consumed for window in windows) == len(rest)
        cut = [window for window in windows if window.reason == "no keyframe in front of it"]
        assert all(window.failed == window.consumed for window in cut)


def boxes(messages: Sequence[Result]) -> dict[tuple[str, int], tuple[int, tuple[Box, ...]]]:
    """By frame: its keyframe's offset, and what the detector found."""
    return {
        (message.camera, message.captured_ns): (
            message.provenance.keyframe_offset,
            tuple(msgspec.structs.replace(box, track=None) for box in message.boxes),
        )
        for message in messages
        if isinstance(message, Detections)
    }
