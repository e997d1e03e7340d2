"""What a process says of itself, and that nobody waits for whoever should hear it."""

import asyncio
from collections.abc import Iterator

import msgspec
import pytest
import redis

from cli.collect import read_all
from cli.presence import present
from cli.system import Processes
from devstack.stack import Stack
from runtime.config import Settings
from runtime.heartbeat import ALIVE_SECONDS, REDIS_KEY, Heart
from schemas.messages import Heartbeat
from schemas.topics import HEARTBEATS

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


async def _lives(heart: Heart, seconds: float = 1.0) -> None:
    heart.start()
    await asyncio.sleep(seconds)


def test_it_is_heard_on_the_topic_and_in_redis_and_gone_at_the_end(stack: Stack) -> None:
    there = redis.Redis.from_url(stack.addresses.redis_url)

    async def life() -> tuple[str, str | bytes | None, int]:
        settings = Settings(kafka=stack.addresses.kafka_bootstrap, redis=stack.addresses.redis_url)
        heart = Heart(settings, "tester", lambda: ["b", "a"], lambda: {"shed_level": 2})
        await _lives(heart)
        key = REDIS_KEY.format(process=heart.process)
        found = await asyncio.to_thread(there.get, key), await asyncio.to_thread(there.ttl, key)
        await heart.stop()
        return heart.process, *found

    process, value, ttl = asyncio.run(life())
    (beat,) = _heard(stack, process)
    assert (beat.role, beat.cameras, beat.details) == ("tester", ("a", "b"), {"shed_level": 2})
    assert value is not None
    assert msgspec.json.decode(value, type=Heartbeat) == beat
    assert 0 < ttl <= ALIVE_SECONDS
    assert there.exists(REDIS_KEY.format(process=process)) == 0
    assert process in [one.beat.process for one in present(stack.addresses.kafka_bootstrap)]


@pytest.mark.parametrize("address", ["", "redis://127.0.0.1:1/0"], ids=["none", "away"])
def test_without_redis_the_topic_hears_it(stack: Stack, address: str) -> None:
    async def life() -> str:
        heart = Heart(Settings(kafka=stack.addresses.kafka_bootstrap, redis=address), f"without{len(address)}")
        await _lives(heart)
        await heart.stop()
        return heart.process

    process = asyncio.run(life())
    assert len(_heard(stack, process)) == 1


def test_an_address_that_makes_no_sense_is_refused_at_once(stack: Stack) -> None:
    with pytest.raises(ValueError, match="scheme"):
        Heart(Settings(kafka=stack.addresses.kafka_bootstrap, redis="nonsense"), "tester")
