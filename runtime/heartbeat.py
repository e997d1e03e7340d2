"""What every process says of itself every five seconds: that it lives, and which cameras it serves.

It goes to the topic `heartbeats`, for whoever wants to know since when, and to Redis with a time to live, for whoever
only wants to know who is there now. Neither is waited for: a process whose Kafka or Redis is away has other troubles.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Final

import redis.asyncio
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from runtime.config import Settings
from runtime.kafka import producer
from runtime.logging import logger
from schemas.messages import Heartbeat
from schemas.results import headers_of, key_of, to_json
from schemas.topics import HEARTBEATS

HEARTBEAT_SECONDS: Final = 5.0
ALIVE_SECONDS: Final = 3 * HEARTBEAT_SECONDS
"""silent for longer: not there any more"""
REDIS_KEY: Final = "rewatch:heartbeat:{process}"
_PATIENCE_SECONDS: Final = 1.0

Details = Mapping[str, str | float | int]

_log = logger("heartbeat")


class Heart:
    """`cameras` and `details` are asked at each beat, in the process's own event loop: a loop that stands is silent."""

    def __init__(
        self,
        settings: Settings,
        role: str,
        cameras: Callable[[], Iterable[str]] = tuple,
        details: Callable[[], Details] = dict,
    ) -> None:
        self.process = f"{role}-{socket.gethostname()}-{os.getpid()}"
        self._role, self._cameras, self._details = role, cameras, details
        # one that comes late would say that somebody lives who may be dead by then
        self._producer = producer(
            settings.kafka,
            f"{self.process}-heartbeat",
            **{"delivery.timeout.ms": int(HEARTBEAT_SECONDS * 1000), "request.timeout.ms": 4000},
        )
        self._redis = _redis(settings.redis) if settings.redis else None
        self._redis_away = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="heartbeat")

    async def stop(self) -> None:
        """Whoever stops in good order is gone at once."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._redis is not None:
            with suppress(RedisError, OSError):
                await self._redis.delete(REDIS_KEY.format(process=self.process))
            with suppress(RedisError, OSError):
                await self._redis.aclose()
        await asyncio.to_thread(self._producer.flush, _PATIENCE_SECONDS)

    async def _run(self) -> None:
        while True:
            beat = Heartbeat(
                process=self.process,
                role=self._role,
                host=socket.gethostname(),
                pid=os.getpid(),
                cameras=tuple(sorted(self._cameras())),
                details=dict(self._details()),
            )
            with suppress(BufferError):
                self._producer.produce(HEARTBEATS.name, to_json(beat), key_of(beat), headers=[*headers_of(beat)])
            self._producer.poll(0)
            if self._redis is not None:
                await self._tell(self._redis, beat)
            await asyncio.sleep(HEARTBEAT_SECONDS)

    async def _tell(self, there: redis.asyncio.Redis, beat: Heartbeat) -> None:
        try:
            await there.set(REDIS_KEY.format(process=self.process), to_json(beat), ex=int(ALIVE_SECONDS))
        except (RedisError, OSError) as error:
            if not self._redis_away:
                _log.warning("Redis does not answer", why=str(error))
            self._redis_away = True
        else:
            self._redis_away = False


def _redis(url: str) -> redis.asyncio.Redis:
    return redis.asyncio.Redis.from_url(
        url,
        socket_timeout=_PATIENCE_SECONDS,
        socket_connect_timeout=_PATIENCE_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
