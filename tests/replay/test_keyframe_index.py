"""The index of keyframes in a real Redis: deleted, filled with lies, stopped, slow. The answer is always the log's."""

import asyncio
import os
import random
import socket
import time
from collections.abc import Callable, Iterator

import msgspec
import pytest
import redis

from devstack.stack import Stack
from processors.keyframe_index import KeyframeIndex, KeyframeNotes
from replay.log import LogGoneError
from replay.span import Span, locate
from runtime.kafka import create_topics
from schemas.messages import AccessUnit
from schemas.topics import DAY_MS, FRAMES, TOPICS
from tests.replay.camera_log import SECOND_NS, publish, records

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

CAMERA, OTHER = "indexed", "other"
SECONDS = 24
KEY = f"rewatch:keyframes:{FRAMES.name}:{CAMERA}"


class Log(msgspec.Struct):
    """A camera's records, alone in their partition."""

    stack: Stack
    begin_ns: int
    offsets: dict[int, int]
    """of the first camera's keyframes, by capture time"""

    @property
    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.stack.addresses.redis_url)

    def locate(self, at_ns: int, index: KeyframeIndex | None) -> Span | str:
        try:
            return locate(self.stack.addresses.kafka_bootstrap, CAMERA, at_ns, at_ns + SECOND_NS, index)
        except LogGoneError as error:
            return str(error)


class Remembered(KeyframeIndex):
    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.said: list[int | None] = []

    def before(self, topic: str, camera: str, captured_ns: int) -> int | None:
        self.said.append(super().before(topic, camera, captured_ns))
        return self.said[-1]


@pytest.fixture(scope="module")
def log() -> Iterator[Log]:
    begin_ns = time.time_ns() - 600 * SECOND_NS
    with Stack(services=("kafka", "redis")) as stack:
        create_topics(stack.addresses.kafka_bootstrap, TOPICS, 1)
        mine = records(CAMERA, SECONDS, begin_ns)
        publish(stack, mine)
        keyframes = [
            (offset, unit.captured_ns)
            for offset, unit in enumerate(mine)
            if isinstance(unit, AccessUnit) and unit.keyframe
        ]
        yield Log(stack, begin_ns, {captured_ns: offset for offset, captured_ns in keyframes})


async def noted(url: str, entries: dict[int, int], until: Callable[[], bool]) -> None:
    notes = KeyframeNotes(url, FRAMES)
    await notes.start()
    for captured_ns, offset in entries.items():
        notes.note(CAMERA, offset, captured_ns)
    async with asyncio.timeout(30):
        while not until():  # noqa: ASYNC110 Redis tells nobody
            await asyncio.sleep(0.05)
    await notes.stop()


async def test_whatever_redis_says_the_answer_is_the_same(log: Log) -> None:
    seed = int(os.environ.get("REWATCH_TEST_SEED") or random.randrange(10**6))
    print(f"seed {seed}; repeat with REWATCH_TEST_SEED={seed}")
    dice = random.Random(seed)
    keyframes = sorted(log.offsets)
    last_ns = log.begin_ns + SECONDS * SECOND_NS
    times = [
        log.begin_ns - SECOND_NS, keyframes[0], keyframes[1], keyframes[1] - 1, keyframes[-1] + 1,
        last_ns + 100 * SECOND_NS,
        *(dice.randrange(log.begin_ns, last_ns) for _ in range(4)),
    ]  # fmt: skip
    truth = [log.locate(at_ns, None) for at_ns in times]
    assert {type(one) for one in truth} == {Span, str}

    url, client = log.stack.addresses.redis_url, log.client
    index = Remembered(url)
    assert [log.locate(at_ns, index) for at_ns in times] == truth, "an empty one"
    assert set(index.said) == {None}

    await noted(url, log.offsets, lambda: client.zcard(KEY) == len(log.offsets))
    index = Remembered(url)
    for at_ns, told in zip(times, truth, strict=True):
        index.said.clear()
        assert log.locate(at_ns, index) == told
        if isinstance(told, Span):
            earlier = [offset for captured_ns, offset in log.offsets.items() if captured_ns // 1000 <= at_ns // 1000]
            assert index.said[0] == earlier[-1], "it knows, to the microsecond"

    high = SECONDS * 15
    lies: dict[str, dict[str, float]] = {
        "keyframes of another time": {str(offset): dice.randrange(log.begin_ns, last_ns) // 1000 for offset in
                                      log.offsets.values()},
        "pictures that are none": {str(offset + 1): at_ns // 1000 for at_ns, offset in log.offsets.items()},
        "any number": {str(dice.randrange(-high, 3 * high)): dice.randrange(log.begin_ns, last_ns) // 1000 for _ in
                       range(50)},
        "beyond all": {"9" * 30: log.begin_ns // 1000, "-1": log.begin_ns // 1000 + 1},
        "no number": {"nonsense": log.begin_ns // 1000, "": log.begin_ns // 1000},
        "half of it": {str(log.offsets[at_ns]): at_ns // 1000 for at_ns in keyframes[::3]},
    }  # fmt: skip
    for name, entries in lies.items():
        client.delete(KEY)
        client.zadd(KEY, entries)
        assert [log.locate(at_ns, KeyframeIndex(url)) for at_ns in times] == truth, name
    client.set(KEY, "another type")
    assert [log.locate(at_ns, KeyframeIndex(url)) for at_ns in times] == truth, "another type"

    with socket.create_server(("127.0.0.1", 0)) as silent:
        slow = KeyframeIndex(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        assert [log.locate(at_ns, slow) for at_ns in times[:3]] == truth[:3], "one that does not answer"
    for odd in ("", "nonsense", "redis://127.0.0.1:1/0"):
        assert log.locate(times[1], KeyframeIndex(odd)) == truth[1], odd
    known = KeyframeIndex(url)
    log.stack.service("redis").stop()
    try:
        assert [log.locate(at_ns, known) for at_ns in times] == truth, "a stopped one"
    finally:
        log.stack.service("redis").start()
        log.stack.service("redis").wait_ready()


async def test_notes_outlive_redis_and_are_kept_as_long_as_the_frames(log: Log) -> None:
    url, now_ns = log.stack.addresses.redis_url, time.time_ns()
    client = log.client
    client.delete(KEY)
    retention_ns = 2 * DAY_MS * 1_000_000
    old = {now_ns - retention_ns - SECOND_NS: 7, now_ns - retention_ns + SECOND_NS: 8, now_ns: 9}
    await noted(url, old, lambda: client.zrange(KEY, 0, -1) == [b"8", b"9"])
    assert 0 < client.pttl(KEY) <= 2 * DAY_MS
    assert KeyframeIndex(url).before(FRAMES.name, CAMERA, now_ns) == 9
    assert KeyframeIndex(url).before(FRAMES.name, CAMERA, now_ns - SECOND_NS) == 8
    assert KeyframeIndex(url).before(FRAMES.name, OTHER, now_ns) is None

    server = log.stack.service("redis")
    notes = KeyframeNotes(url, FRAMES)
    await notes.start()

    async def indexed(offset: int) -> None:
        async with asyncio.timeout(30):
            while KeyframeIndex(url).before(FRAMES.name, CAMERA, now_ns + SECOND_NS) != offset:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def refused() -> None:
        async with asyncio.timeout(30):
            while not notes.away:  # noqa: ASYNC110 as an operator would see it
                await asyncio.sleep(0.05)

    notes.note(CAMERA, 21, now_ns + 1_000)
    await indexed(21)
    # the connection that was kept leads nowhere now: the next note is not lost by that
    server.stop()
    server.start()
    server.wait_ready()
    notes.note(CAMERA, 22, now_ns + 2_000)
    await indexed(22)
    # what it refuses is not brought to it every second for ever
    client.set(KEY, "no sorted set")
    notes.note(CAMERA, 23, now_ns + 3_000)
    await refused()
    client.delete(KEY)
    notes.note(CAMERA, 24, now_ns + 4_000)
    await indexed(24)
    assert client.zrange(KEY, 0, -1) == [b"24"]

    server.stop()
    notes.note(CAMERA, 10, now_ns + SECOND_NS)
    await refused()
    server.start()
    server.wait_ready()
    async with asyncio.timeout(60):
        while KeyframeIndex(url).before(FRAMES.name, CAMERA, now_ns + 2 * SECOND_NS) != 10:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    await notes.stop()
    nothing = KeyframeNotes("", FRAMES)
    await nothing.start()
    nothing.note(CAMERA, 12, now_ns)
    await nothing.stop()
