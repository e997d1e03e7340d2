"""One camera's log through the very session that live video goes through."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Any

import msgspec

from processors.ports import Delivered, Detector
from processors.session import CameraSession, Malformed, SessionPorts
from replay.log import PartitionLog, Record
from replay.named import Faithful, NamedVersions, VersionGoneError
from replay.pace import Pace
from replay.span import Span
from schemas.analysis import Analysis
from schemas.codec import CodecError, decode
from schemas.messages import AccessUnit, Checkpoint, End, LogRecord
from schemas.results import Result

Keep = Callable[[Result], None]


class _Kept:
    """The publisher port: what a session says is kept, at once and for good."""

    def __init__(self, keep: Keep) -> None:
        self._keep = keep

    async def publish(self, message: Result, headers: list[tuple[str, bytes]], delivered: Delivered) -> None:
        self._keep(message)
        delivered()

    async def forget_checkpoint(self, camera: str, delivered: Delivered) -> None:
        delivered()


async def walk(
    log: PartitionLog,
    span: Span,
    detector: Detector,
    threads: ThreadPoolExecutor,
    keep: Keep,
    restored: Checkpoint | None = None,
    change: Callable[[Analysis], Analysis] | None = None,
    follow: Callable[[int], Awaitable[bool]] | None = None,
    pace: Pace | None = None,
    named: Callable[[str, int], str] = NamedVersions(),
) -> int:
    """From the span's first keyframe, or the checkpoint's, to its end. Returns the offset in front of which all is
    said: where it ended, or at the log's end the keyframe of the GOP that may still be growing.

    `keep` gets every result in order, checkpoints too. `change` makes another analysis of each keyframe's. Behind the
    span's end it goes on from keyframe to keyframe while `follow(offset)` says so; a keyframe's checkpoint has been
    kept by then. `named`: the version of a model that a frame's results name. Raises LogGoneError, LogSilentError,
    VersionGoneError.
    """
    start = restored.offset if restored is not None else span.keyframe_offset
    key = span.camera.encode()
    walker = _Walker(
        log, span, SessionPorts(Faithful(detector), _Kept(keep), threads, time.time_ns, named=named), restored
    )
    growing: int | None = None
    try:
        async with aclosing(_records(log, start, threads)) as records:
            async for record in records:
                if record.key != key:
                    continue
                unit = _decoded(record, change)
                if isinstance(unit, AccessUnit) and unit.keyframe and unit.captured_ns >= span.to_ns:
                    await walker.close(record.offset)
                    if follow is None or not await follow(record.offset):
                        return record.offset
                if not isinstance(unit, AccessUnit | Malformed):
                    growing = None  # a gap or an end: nothing comes to that GOP any more
                elif growing is None or (isinstance(unit, AccessUnit) and unit.keyframe):
                    growing = record.offset
                if pace is not None and isinstance(unit, AccessUnit):
                    await pace.wait(unit.captured_ns)
                await walker.take(record.offset, unit)
        await walker.close(log.high)
        return log.high if growing is None else growing
    finally:
        await walker.stop()


class _Walker:
    """The session that is open now, if any; an end record ends it, and what follows opens the next."""

    def __init__(
        self,
        log: PartitionLog,
        span: Span,
        ports: SessionPorts,
        restored: Checkpoint | None,
    ) -> None:
        self._span, self._log = span, log
        self._ports = ports
        self._restored = restored
        self._session: CameraSession | None = None
        self._task: asyncio.Task[None] | None = None
        self._marked = asyncio.Event()
        self._mark = -1

    async def take(self, offset: int, unit: LogRecord | Malformed) -> None:
        await self._or_died(self._open().put(offset, unit, time.time_ns()))
        if isinstance(unit, End):
            await self._ended()

    async def close(self, offset: int) -> None:
        """Everything below `offset` is done, and its checkpoint kept."""
        if self._session is None:
            return
        self._marked.clear()
        self._mark = offset
        await self._or_died(self._session.idle(offset, time.time_ns()))
        await self._or_died(self._marked.wait())

    def _open(self) -> CameraSession:
        if self._session is None:
            restored, self._restored = self._restored, None
            self._session = CameraSession(
                self._span.camera,
                self._log.topic,
                self._log.partition,
                self._ports,
                checkpointed=self._checkpointed,
                ended=lambda: None,
                restored=restored,
            )
            self._task = asyncio.create_task(self._session.run())
        return self._session

    def _checkpointed(self, offset: int) -> None:
        if offset == self._mark:
            self._marked.set()

    async def _or_died(self, step: Coroutine[Any, Any, object]) -> None:
        """Waits for a step of the session, or raises what ended the session."""
        assert self._task is not None
        waiting = asyncio.ensure_future(step)
        await asyncio.wait({waiting, self._task}, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            waiting.cancel()
            await self._over()
            raise AssertionError("the session ended with records left to do")
        await waiting

    async def _ended(self) -> None:
        await self._over()
        self._session = self._task = None

    async def _over(self) -> None:
        """Raises what has ended the session."""
        assert self._task is not None
        try:
            await self._task
        except ExceptionGroup as group:
            gone = group.subgroup(VersionGoneError)
            if gone is None:
                raise
            raise VersionGoneError(*gone.exceptions[0].args) from group

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._session = self._task = None


def _decoded(record: Record, change: Callable[[Analysis], Analysis] | None) -> LogRecord | Malformed:
    try:
        unit = decode(record.key, record.value, record.headers)
    except CodecError as error:
        return Malformed(str(error))
    if change is None or not isinstance(unit, AccessUnit | End) or unit.analysis is None:
        return unit
    try:
        analysis = change(msgspec.json.decode(unit.analysis, type=Analysis))
    except msgspec.DecodeError:
        return unit
    return msgspec.structs.replace(unit, analysis=msgspec.json.encode(analysis, order="deterministic"))


async def _records(log: PartitionLog, start: int, threads: ThreadPoolExecutor) -> AsyncGenerator[Record]:
    """Read in a thread, one batch ahead of the analysis."""
    batches: Iterator[list[Record]] = log.read(start)
    loop = asyncio.get_running_loop()
    coming = loop.run_in_executor(threads, next, batches, None)
    try:
        while (batch := await coming) is not None:
            coming = loop.run_in_executor(threads, next, batches, None)
            for record in batch:
                yield record
    finally:
        # the consumer belongs to one thread at a time
        await asyncio.gather(coming, return_exceptions=True)
