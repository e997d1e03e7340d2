"""A GOP that kills its worker is passed over after three deaths, and nothing else is."""

import asyncio

import msgspec
import pytest

from processors.turns import Turns
from processors.worker import CameraWorker
from schemas.messages import AccessUnit, AnalysisLedger, Checkpoint, Detections, End, FailedWindow, LogRecord
from tests.processors.partition import Partition
from tests.processors.walk import ANALYSIS, clip

pytestmark = pytest.mark.timeout(60)

LETHAL = msgspec.json.encode(msgspec.structs.replace(ANALYSIS, model="lethal"), order="deterministic")
GOPS, LENGTH = 4, 10


def camera(name: str, poison: int | None = None) -> list[LogRecord]:
    """`poison`: the number of the GOP that kills."""
    units: list[LogRecord] = []
    for unit in clip(GOPS * LENGTH, LENGTH):
        lethal = unit.keyframe and unit.gop == poison
        units.append(msgspec.structs.replace(unit, camera=name, analysis=LETHAL if lethal else unit.analysis))
    return [*units, End(name, "s1", len(units))]


def interleaved(*cameras: list[LogRecord]) -> Partition:
    return Partition([record for group in zip(*cameras, strict=True) for record in group])


def ledgers(partition: Partition, name: str) -> dict[int, AnalysisLedger]:
    return {
        entry.gop: entry
        for entry in partition.published.messages
        if isinstance(entry, AnalysisLedger) and entry.camera == name
    }


async def supervise(partition: Partition, most: int = 20) -> int:
    """Starts processes until one is not killed. How many were."""
    for deaths in range(most):
        if await partition.work(checkpoints=partition.published.checkpoints):
            return deaths
    raise AssertionError(f"{most} workers were killed, and no end")


@pytest.mark.parametrize("poison", range(GOPS))
async def test_one_gop_is_lost_and_its_neighbours_are_not(poison: int) -> None:
    partition = interleaved(camera("bad", poison), camera("good"), camera("fine"))
    deaths = await supervise(partition)
    # the GOP in front may not have been acknowledged yet when the first worker was killed
    assert deaths in (3, 4)
    (window,) = {m for m in partition.published.messages if isinstance(m, FailedWindow)}
    assert (window.camera, window.gop) == ("bad", poison)
    assert (window.first_offset, window.last_offset) == (3 * LENGTH * poison, 3 * (LENGTH * (poison + 1) - 1))
    assert window.reason == "a worker that resumed at this GOP was killed before its end, 2 times in a row"
    for name in ("bad", "good", "fine"):
        lost = {poison: LENGTH} if name == "bad" else {}
        found = ledgers(partition, name)
        assert {gop: entry.failed for gop, entry in found.items() if entry.failed} == lost
        assert {gop: entry.consumed for gop, entry in found.items()} == dict.fromkeys(range(GOPS), LENGTH)
    assert ledgers(partition, "bad")[poison].reason == window.reason
    assert all(checkpoint.ended for checkpoint in partition.published.checkpoints.values())


async def test_two_gops_in_a_row_and_two_cameras_at_once() -> None:
    bad = camera("bad", 1)
    for place in (2 * LENGTH, 3 * LENGTH):
        unit = bad[place]
        assert isinstance(unit, AccessUnit)
        bad[place] = msgspec.structs.replace(unit, analysis=LETHAL)
    partition = interleaved(bad, camera("worse", 0), camera("good"))
    await supervise(partition, 40)
    assert {g for g, entry in ledgers(partition, "bad").items() if entry.failed} == {1, 2, 3}
    assert {g for g, entry in ledgers(partition, "worse").items() if entry.failed} == {0}
    assert {g for g, entry in ledgers(partition, "good").items() if entry.failed} == set()


async def test_the_counter_begins_anew_with_the_next_gop() -> None:
    partition = interleaved(camera("bad", 2), camera("good"))
    await supervise(partition)
    counted = [m.resumes for m in partition.published.messages if isinstance(m, Checkpoint) and m.resumes]
    assert max(counted) == 2
    by_offset = {m.offset: m.resumes for m in partition.published.messages if isinstance(m, Checkpoint)}
    assert by_offset[2 * 3 * LENGTH] == 0


async def test_a_run_without_a_death_writes_one_checkpoint_a_gop_and_the_first_trace() -> None:
    partition = interleaved(camera("good"))
    assert await supervise(partition) == 0
    written = [(m.offset, m.resumes) for m in partition.published.messages if isinstance(m, Checkpoint)]
    assert written == [(gop * LENGTH, 0) for gop in range(GOPS)] + [(GOPS * LENGTH, 0), (GOPS * LENGTH + 1, 0)]


async def test_proper_ends_count_for_nothing() -> None:
    """The camera has gone dark in the middle of a GOP, and the worker is stopped and started again and again."""
    partition = Partition(camera("dark")[: 2 * LENGTH + 4])
    seen = [2 * LENGTH + 4]

    def done(worker: CameraWorker) -> bool:
        del worker
        return sum(isinstance(message, Detections) for message in partition.published.messages) == sum(seen)

    for _ in range(5):
        assert await partition.work(checkpoints=partition.published.checkpoints, until=done)
        seen.append(4)
        assert partition.published.checkpoints["dark"].resumes == 0
    marks = [m.resumes for m in partition.published.messages if isinstance(m, Checkpoint)]
    assert marks.count(1) == 4, "each said that it began, and took it back"


async def test_a_suspect_without_pictures_holds_nobody_up() -> None:
    """Killed in the middle of an open GOP: it is tried alone, and what it waits for stands behind the other's queue."""
    dark, good = camera("dark"), camera("good")
    records: list[LogRecord] = [*dark[:2], *good, *good_again(good)]
    partition = Partition(records)
    trace = Checkpoint("dark", "frames", 0, 0, 2, "", {}, resumes=1)
    assert await partition.work(checkpoints={"dark": trace}, until=lambda worker: worker.cameras == ("dark",))
    assert partition.published.checkpoints["dark"] == trace, "it waits for its camera: that is nobody's fault"
    assert len({m.captured_ns for m in partition.published.messages if isinstance(m, Detections)}) == GOPS * LENGTH


def good_again(records: list[LogRecord]) -> list[LogRecord]:
    """The same once more, as another session: more than any queue holds."""
    again: list[LogRecord] = []
    for record in records:
        assert isinstance(record, AccessUnit | End)
        again.append(msgspec.structs.replace(record, session="s2"))
    return again


async def test_whoever_is_alone_is_alone() -> None:
    turns, inside, log = Turns(), asyncio.Event(), list[str]()
    go_on = asyncio.Event()

    async def together(name: str) -> None:
        async with turns.shared():
            log.append(name)
            inside.set()
            await go_on.wait()

    async def alone() -> None:
        await turns.take_alone()
        log.append("alone")
        turns.give_back()

    first = asyncio.create_task(together("first"))
    await inside.wait()
    waiting = asyncio.create_task(alone())
    cancelled = asyncio.create_task(alone())
    await asyncio.sleep(0)
    late = asyncio.create_task(together("late"))
    await asyncio.sleep(0)
    assert log == ["first"]
    cancelled.cancel()
    go_on.set()
    await asyncio.gather(first, waiting, late)
    assert log == ["first", "alone", "late"]
