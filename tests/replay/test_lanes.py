"""Whose turn it is: failures before what was shed, and that only when there is room."""

import asyncio
import time

import msgspec
import pytest

from devstack.stack import Stack
from replay.lane import Backfills, Desk, Failures
from replay.room import crowded
from runtime.kafka import create_topics, producer
from schemas.messages import FailedWindow, Heartbeat
from schemas.results import key_of, to_json
from schemas.topics import HEARTBEATS

LONG_AGO_MS = 0


def window(shed: bool) -> FailedWindow:
    return FailedWindow("gate", "s1", 0, "frames", 3, 100, 100, 100, "a test", shed=shed)


async def test_each_lane_takes_its_own() -> None:
    desk = Desk()
    failures, backfills = Failures(desk), Backfills(desk, lambda: "")
    assert [lane.takes(window(shed)) for lane in (failures, backfills) for shed in (False, True)] == [
        True, False, False, True,
    ]  # fmt: skip
    assert len({lane.group for lane in (failures, backfills)}) == 2


async def test_a_failure_that_is_due_goes_first_and_they_never_overlap() -> None:
    desk, order = Desk(), []
    failures, backfills = Failures(desk), Backfills(desk, lambda: "")
    looking, go_on = asyncio.Event(), asyncio.Event()

    async def fail() -> None:
        async with failures.turn(window(False), LONG_AGO_MS):
            looking.set()
            await go_on.wait()
            order.append("failure")

    async def fill() -> None:
        async with backfills.turn(window(True), LONG_AGO_MS):
            order.append("backfill")

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(fail())
        await looking.wait()
        tasks.create_task(fill())
        await asyncio.sleep(0)
        assert order == []
        go_on.set()
    assert order == ["failure", "backfill"]


async def test_what_was_shed_waits_for_room_as_often_as_it_takes() -> None:
    answers = ["a worker sheds", ""]
    async with Backfills(Desk(), lambda: answers.pop(0)).turn(window(True), LONG_AGO_MS):
        assert answers == []


@pytest.mark.integration
@pytest.mark.timeout(120)
def test_there_is_room_when_no_worker_has_said_otherwise_lately() -> None:
    with Stack(services=("kafka",)) as stack:
        bootstrap = stack.addresses.kafka_bootstrap
        create_topics(bootstrap, [HEARTBEATS], 1)
        sender = producer(bootstrap, "heart")

        def beat(process: str, ago_seconds: float = 0, **details: float) -> None:
            told = Heartbeat(process, "worker", "here", 1, (), {**details})
            stamp = round((time.time() - ago_seconds) * 1000)
            sender.produce(HEARTBEATS.name, to_json(told), key_of(told), timestamp=stamp)
            assert sender.flush(10) == 0

        beat("gone", 60, shed_level=3, latency_budget_ms=2000, latency_p95_ms=9000)
        beat("well", shed_level=0, latency_budget_ms=2000, latency_p95_ms=1999.5)
        beat("uploads", shed_level=0, latency_budget_ms=0, latency_p95_ms=90_000)
        beat("old")
        assert crowded(bootstrap) == ""
        beat("late", shed_level=0, latency_budget_ms=2000, latency_p95_ms=2000.5)
        assert crowded(bootstrap) == "late is over its budget"
        beat("late", shed_level=0, latency_budget_ms=2000, latency_p95_ms=20)
        assert crowded(bootstrap) == "late is over its budget", "it has only just become better"


async def test_one_look_does_for_all_windows_of_its_stretch() -> None:
    lane = Backfills(Desk(), lambda: "")
    at = {offset: msgspec.structs.replace(window(True), keyframe_offset=offset) for offset in (50, 100, 200, 300)}

    def taken() -> list[int]:
        return [offset for offset, one in at.items() if lane.takes(one)]

    assert taken() == [50, 100, 200, 300]
    behind = msgspec.structs.replace(at[100], attempt=1, last_offset=200, reason="not met yet")
    lane.looked(at[100], behind)
    assert taken() == [50, 300], "the window that is left begins with the GOP at 200"
    assert lane.takes(behind)
    lane.looked(behind, msgspec.structs.replace(behind, last_offset=300, reason=""))
    assert taken() == [50, 300]
    lane.assigned()
    assert taken() == [50, 100, 200, 300], "somebody else may have had them since"
