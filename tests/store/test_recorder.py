"""The recorder around a fake store: order, patience, bounds, bad records, reassignment."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

import pytest
import structlog

from processors.commit_points import Partition
from processors.errors import FatalError, RetryError
from processors.recorder import FIRST_PAUSE, LONGEST_PAUSE, Recorder, _pause
from processors.store import FakeStore, Query
from runtime.metrics import RECORD_POINTS, RECORD_RETRIES, RECORD_SKIPPED, RECORD_STORE_UP
from schemas.results import identity, to_json
from tests.store.records import detections, event

EVENTS, DETECTIONS = ("events", 0), ("detections", 1)
EDGES = {EVENTS: (0, 1000), DETECTIONS: (0, 1000)}

Start = Callable[..., Awaitable[Recorder]]


@pytest.fixture
def crashes() -> list[BaseException]:
    return []


@pytest.fixture
async def start(crashes: list[BaseException]) -> AsyncIterator[Start]:
    running: list[Recorder] = []

    async def make(
        store: FakeStore, edges: dict[Partition, tuple[int, int]] | None = None, seconds: float = 0.01, size: int = 3
    ) -> Recorder:
        known = EDGES if edges is None else edges

        def ask(partitions: Iterable[Partition]) -> dict[Partition, tuple[int, int]]:
            return {partition: known[partition] for partition in partitions}

        recorder = Recorder(ask, crashes.append, size, seconds, pause=lambda _: 0.001)
        await recorder.start(store)
        running.append(recorder)
        return recorder

    yield make
    for recorder in running:
        await recorder.stop()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


async def test_batches_in_order_and_commits_behind_them(start: Start) -> None:
    store = FakeStore()
    recorder = await start(store)
    assert await recorder.assigned({EVENTS: 5, DETECTIONS: None}) == {EVENTS: 5, DETECTIONS: 0}
    for number in range(7):
        await recorder.take(EVENTS, 5 + number, to_json(event(f"e{number}")))
    await recorder.take(DETECTIONS, 0, to_json(detections(0)))
    await until(lambda: recorder.safe(EVENTS) == 12 and recorder.safe(DETECTIONS) == 1)
    assert [identity(record) for batch in store.batches for record in batch][:7] == [f"e{n}" for n in range(7)]
    assert max(map(len, store.batches)) == 3
    assert set(recorder.partitions()) == {EVENTS, DETECTIONS}


async def test_a_lonely_record_goes_by_time(start: Start) -> None:
    store = FakeStore()
    recorder = await start(store, seconds=0.02, size=1000)
    await recorder.assigned({EVENTS: 0})
    await recorder.take(EVENTS, 0, to_json(event("a")))
    assert recorder.safe(EVENTS) == 0
    await until(lambda: recorder.safe(EVENTS) == 1)


async def test_while_the_store_is_away_nothing_is_lost_and_little_is_read(start: Start) -> None:
    store = FakeStore(failures=[RetryError("influxdb", "refused")] * 40)
    recorder = await start(store)
    before = RECORD_RETRIES._value.get()
    await recorder.assigned({EVENTS: 0})
    taken = 0

    async def feed() -> None:
        nonlocal taken
        for number in range(100):
            await recorder.take(EVENTS, number, to_json(event(f"e{number:03}")))
            taken = number + 1

    feeding = asyncio.create_task(feed())
    await until(lambda: len(store.failures) < 10)
    assert recorder.safe(EVENTS) == 0
    assert taken <= 4 * 3 + 3, "waiting batches, and the one that is tried"
    assert recorder.trouble == "influxdb: refused"
    assert RECORD_STORE_UP._value.get() == 0
    await feeding
    await until(lambda: recorder.safe(EVENTS) == 100)
    assert recorder.trouble == ""
    assert RECORD_STORE_UP._value.get() == 1
    assert RECORD_RETRIES._value.get() - before == 40
    assert [identity(record) for batch in store.batches for record in batch] == [f"e{n:03}" for n in range(100)]


async def test_a_bad_record_is_told_counted_and_passed(start: Start) -> None:
    store = FakeStore(refuse=["unwanted"])
    recorder = await start(store)
    malformed = RECORD_SKIPPED.labels("events", "malformed")
    refused = RECORD_SKIPPED.labels("events", "refused")
    written = RECORD_POINTS.labels("events")
    before = malformed._value.get(), refused._value.get(), written._value.get()
    await recorder.assigned({EVENTS: 0})
    values = [b"not json", to_json(event("a")), None, to_json(event("unwanted")), b"{}", to_json(event("b"))]
    with structlog.testing.capture_logs() as logs:
        for offset, value in enumerate(values):
            await recorder.take(EVENTS, offset, value)
        await until(lambda: recorder.safe(EVENTS) == 6)
    assert [identity(record) for record in store.read(Query("events"))] == ["a", "b"]
    after = malformed._value.get(), refused._value.get(), written._value.get()
    assert [new - old for new, old in zip(after, before, strict=True)] == [3, 1, 2]
    told = [(each["topic"], each["partition"], each["offset"]) for each in logs if each["log_level"] == "error"]
    assert sorted(told) == [("events", 0, 0), ("events", 0, 2), ("events", 0, 3), ("events", 0, 4)]


async def test_a_batch_of_nothing_but_bad_records_is_committed(start: Start) -> None:
    store = FakeStore()
    recorder = await start(store)
    await recorder.assigned({EVENTS: 0})
    await recorder.take(EVENTS, 0, b"no")
    await until(lambda: recorder.safe(EVENTS) == 1)
    assert store.batches == []


async def test_records_that_faust_swallowed_end_the_process(start: Start) -> None:
    recorder = await start(FakeStore())
    await recorder.assigned({EVENTS: 4})
    await recorder.take(EVENTS, 3, to_json(event("before")))
    with pytest.raises(FatalError, match=r"events/0: records 4\.\.5"):
        await recorder.take(EVENTS, 6, to_json(event("after")))


async def test_a_partition_that_was_never_assigned_is_ignored(start: Start) -> None:
    store = FakeStore()
    recorder = await start(store)
    await recorder.take(EVENTS, 0, to_json(event("a")))
    assert recorder.safe(EVENTS) is None
    assert recorder.position(EVENTS) is None


async def test_kept_partitions_go_on_where_they_are_and_lost_ones_are_forgotten(start: Start) -> None:
    store = FakeStore(failures=[RetryError("influxdb", "away")] * 5)
    recorder = await start(store)
    await recorder.assigned({EVENTS: 0, DETECTIONS: 0})
    for number in range(4):
        await recorder.take(EVENTS, number, to_json(event(f"e{number}")))
        await recorder.take(DETECTIONS, number, to_json(detections(number)))
    assert await recorder.assigned({DETECTIONS: 0}) == {DETECTIONS: 4}
    assert recorder.safe(EVENTS) is None
    assert await recorder.assigned({DETECTIONS: 0, EVENTS: 1}) == {DETECTIONS: 4, EVENTS: 1}
    await recorder.take(DETECTIONS, 0, to_json(detections(0)))
    for number in range(1, 4):
        await recorder.take(EVENTS, number, to_json(event(f"e{number}")))
    await until(lambda: recorder.safe(EVENTS) == 4 and recorder.safe(DETECTIONS) == 4)
    assert store.count(Query("detections")) == 4
    assert {"e1", "e2", "e3"} <= {identity(record) for record in store.read(Query("events"))}


async def test_a_record_that_waited_while_its_partition_was_given_away_is_dropped(start: Start) -> None:
    store = FakeStore(failures=[RetryError("influxdb", "away")] * 400)
    recorder = await start(store)
    await recorder.assigned({EVENTS: 0, DETECTIONS: 0})

    async def fill() -> None:
        for number in range(1000):
            await recorder.take(DETECTIONS, number, to_json(detections(number)))

    filling = asyncio.create_task(fill())
    await until(lambda: recorder._batches.waiting == 12)
    stale = asyncio.create_task(recorder.take(EVENTS, 0, to_json(event("stale"))))
    await asyncio.sleep(0)
    filling.cancel()
    await recorder.assigned({})
    await recorder.assigned({EVENTS: 0})
    store.failures.clear()
    await stale
    assert recorder.position(EVENTS) == 0, "it is delivered again"


async def test_a_commit_outside_the_log_begins_at_the_logs_start(start: Start) -> None:
    """Retention was faster than the recorder, or the topic was made anew: told, and never a crash for ever."""
    recorder = await start(FakeStore(), {EVENTS: (50, 60), DETECTIONS: (0, 7)})
    with structlog.testing.capture_logs() as logs:
        assert await recorder.assigned({EVENTS: 10, DETECTIONS: 100}) == {EVENTS: 50, DETECTIONS: 0}
    assert [(each["topic"], each["committed"]) for each in logs if each["log_level"] == "error"] == [
        ("events", 10),
        ("detections", 100),
    ]


async def test_kafka_away_at_assignment_is_waited_for(crashes: list[BaseException]) -> None:
    answers = [RetryError("kafka", "no"), RetryError("kafka", "no"), None]

    def ask(partitions: Iterable[Partition]) -> dict[Partition, tuple[int, int]]:
        answer = answers.pop(0)
        if answer is not None:
            raise answer
        return dict.fromkeys(partitions, (3, 9))

    recorder = Recorder(ask, crashes.append, pause=lambda _: 0.001)
    assert await recorder.assigned({EVENTS: None}) == {EVENTS: 3}


async def test_a_bug_in_a_store_ends_the_process(start: Start, crashes: list[BaseException]) -> None:
    recorder = await start(FakeStore(failures=[ZeroDivisionError("bug")]))
    await recorder.assigned({EVENTS: 0})
    await recorder.take(EVENTS, 0, to_json(event("a")))
    await until(lambda: bool(crashes))
    assert isinstance(crashes[0], ZeroDivisionError)
    assert recorder.safe(EVENTS) == 0


def test_pauses_grow_differ_and_end() -> None:
    assert len({_pause(5) for _ in range(20)}) > 10
    assert FIRST_PAUSE / 2 <= _pause(1) <= FIRST_PAUSE
    assert LONGEST_PAUSE / 2 <= _pause(10_000) <= LONGEST_PAUSE
