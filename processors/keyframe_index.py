"""Where a camera's keyframes lie in the log, by capture time, in Redis: a hint that saves time and is never believed.

One sorted set for each topic and camera: the member is the offset, the score the capture time in µs, which a double
holds exactly. Workers write what they take; whoever looks again asks, and checks the answer against the log.
"""

import asyncio
import contextlib
from collections import deque
from typing import Final

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

from runtime.logging import logger
from schemas.topics import Topic

_FLUSH_SECONDS: Final = 1.0
_WRITE_TIMEOUT_SECONDS: Final = 2.0
_ASK_TIMEOUT_SECONDS: Final = 0.25
_WAITING: Final = 4096
"""keyframes that wait for Redis; what is older goes"""

_log = logger("keyframes")


def _name(topic: str, camera: str) -> str:
    return f"rewatch:keyframes:{topic}:{camera}"


class KeyframeNotes:
    """The writing side. Redis may be away, slow or full: nobody waits for it."""

    def __init__(self, url: str, topic: Topic) -> None:
        """No `url`: nothing is written."""
        self._url, self._topic = url, topic
        self._waiting: deque[tuple[str, int, int]] = deque(maxlen=_WAITING)
        self._task: asyncio.Task[None] | None = None
        self._client: redis.asyncio.Redis | None = None
        self.away = False
        """the last notes were not taken"""

    def note(self, camera: str, offset: int, captured_ns: int) -> None:
        """At once; a second later it is written."""
        self._waiting.append((camera, offset, captured_ns))

    async def start(self) -> None:
        if self._url:
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._client is not None:
            with contextlib.suppress(redis.RedisError, OSError):
                await self._client.aclose()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            if not self._waiting:
                continue
            notes = list(self._waiting)
            self._waiting.clear()
            try:
                async with asyncio.timeout(_WRITE_TIMEOUT_SECONDS):
                    await self._write(notes)
                self.away = False
            except (redis.RedisError, OSError, ValueError) as error:
                if not self.away:
                    _log.warning("keyframes are not indexed", why=f"{type(error).__name__}: {error}")
                self.away = True
                # A Redis that has been restarted has closed the connection: the next try makes another. What it has
                # refused it would refuse again.
                if not isinstance(error, redis.ResponseError):
                    self._waiting = deque([*notes, *self._waiting], maxlen=_WAITING)

    async def _write(self, notes: list[tuple[str, int, int]]) -> None:
        kept_ms = self._topic.retention_ms
        assert kept_ms is not None
        if self._client is None:
            self._client = redis.asyncio.Redis.from_url(self._url, retry=Retry(NoBackoff(), 0))
        async with self._client.pipeline(transaction=False) as pipeline:
            for camera, offset, captured_ns in notes:
                pipeline.zadd(_name(self._topic.name, camera), {str(offset): captured_ns // 1000})
            for camera, captured_ns in {camera: captured_ns for camera, _, captured_ns in notes}.items():
                name = _name(self._topic.name, camera)
                pipeline.zremrangebyscore(name, "-inf", f"({captured_ns // 1000 - kept_ms * 1000}")
                pipeline.pexpire(name, kept_ms)
            await pipeline.execute()


class KeyframeIndex:
    """The asking side; for any thread."""

    def __init__(self, url: str) -> None:
        """No `url`, or none of Redis: it knows nothing."""
        self._client: redis.Redis | None = None
        if url:
            with contextlib.suppress(ValueError):
                self._client = redis.Redis.from_url(
                    url,
                    socket_timeout=_ASK_TIMEOUT_SECONDS,
                    socket_connect_timeout=_ASK_TIMEOUT_SECONDS,
                    retry=Retry(NoBackoff(), 0),
                )

    def before(self, topic: str, camera: str, captured_ns: int) -> int | None:
        """The offset of the last keyframe that was noted and not captured later; None: nobody knows."""
        if self._client is None:
            return None
        try:
            found = self._client.zrange(
                _name(topic, camera), captured_ns // 1000, "-inf", desc=True, byscore=True, offset=0, num=1
            )
            return int(found[0]) if found and isinstance(found[0], bytes) else None
        except (redis.RedisError, OSError, ValueError):
            return None

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
