"""What a process says of itself, and that nobody waits for whoever should hear it."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec
import pytest
import redis

from cli.collect import read_all
from cli.presence import present
from cli.system import Processes
from devstack.stack import Stack
from runtime.config import Settings
from runtime.heartbeat import ALIVE_SECONDS, HEARTBEAT_SECONDS, REDIS_KEY, Heart
from schemas.messages import Heartbeat
from schemas.topics import HEARTBEATS

Found = TypeVar("Found")

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(services=("kafka", "redis")) as stack:
        Processes(stack, ()).start()
        yield stack


def _heard(stack: Stack, process: str) -> list[Heartbeat]:
    records = read_all(stack.addresses.kafka_bootstrap, [HEARTBEATS.name])
    beats = [msgspec.json.decode(record.value or b"", type=Heartbeat) for record in records]
    return [beat for beat in beats if beat.process == process]


def _until(found: Callable[[], Found]) -> Found:
    """How long it takes is the machine's affair, and the test's limit."""
    while not (there := found()):
        time.sleep(0.1)
    return there


async def _lives(heart: Heart, stack: Stack) -> Heartbeat:
    """One beat at once, then one every five seconds: no more."""
    begun = time.monotonic()
    heart.start()
    heard = await asyncio.to_thread(_until, lambda: _heard(stack, heart.process))
    assert len(heard) <= 1 + (time.monotonic() - begun) // HEARTBEAT_SECONDS
    return heard[0]


def test_it_is_heard_on_the_topic_and_in_redis_and_gone_at_the_end(stack: Stack) -> None:
    there = redis.Redis.from_url(stack.addresses.redis_url)

    async def life() -> tuple[Heartbeat, str | bytes | None, int]:
        settings = Settings(kafka=stack.addresses.kafka_bootstrap, redis=stack.addresses.redis_url)
        heart = Heart(settings, "tester", lambda: ["b", "a"], lambda: {"shed_level": 2})
        beat = await _lives(heart, stack)
        key = REDIS_KEY.format(process=heart.process)
        value = await asyncio.to_thread(_until, lambda: there.get(key))
        ttl = await asyncio.to_thread(there.ttl, key)
        await heart.stop()
        return beat, value, ttl

    beat, value, ttl = asyncio.run(life())
    assert (beat.role, beat.cameras, beat.details) == ("tester", ("a", "b"), {"shed_level": 2})
    assert value is not None
    assert msgspec.json.decode(value, type=Heartbeat) == beat
    assert 0 < ttl <= ALIVE_SECONDS
    assert there.exists(REDIS_KEY.format(process=beat.process)) == 0
    assert beat.process in [one.beat.process for one in present(stack.addresses.kafka_bootstrap)]


@pytest.mark.parametrize("address", ["", "redis://127.0.0.1:1/0"], ids=["none", "away"])
def test_without_redis_the_topic_hears_it(stack: Stack, address: str) -> None:
    async def life() -> Heartbeat:
        heart = Heart(Settings(kafka=stack.addresses.kafka_bootstrap, redis=address), f"without{len(address)}")
        beat = await _lives(heart, stack)
        await heart.stop()
        return beat

    assert asyncio.run(life()).role == f"without{len(address)}"


def test_an_address_that_makes_no_sense_is_refused_at_once(stack: Stack) -> None:
    with pytest.raises(ValueError, match="scheme"):
        Heart(Settings(kafka=stack.addresses.kafka_bootstrap, redis="nonsense"), "tester")
