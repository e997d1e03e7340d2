"""All sessions of one worker process: hands records to them in order, and owns the partitions' commit points."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

from processors.checkpoints import read_checkpoints
from processors.commit import PartitionProgress
from processors.commit_points import Partition
from processors.errors import FatalError, RetryError
from processors.session import CameraSession, Malformed, SessionPorts
from processors.watermarks import Watermarks
from runtime.logging import logger
from runtime.metrics import WORKER_MALFORMED, WORKER_RETRIES
from schemas.codec import CodecError, camera_of, decode
from schemas.messages import AccessUnit, Checkpoint, End

A = TypeVar("A")
R = TypeVar("R")

_log = logger("worker")

RETRY_SECONDS: Final = 1.0
HAND_OVER_SECONDS: Final = 2.0
"""while Kafka is away nobody waits for longer: a proper end then counts like a crash, and one is none"""


@dataclass
class _Running:
    session: CameraSession
    task: asyncio.Task[None]
    ending: bool = False
    """it was given the source's end: what comes behind is another session's"""


ReadCheckpoints = Callable[[list[int]], dict[str, Checkpoint]]


class CameraWorker:
    """Implements CommitPoints. `crash` ends the process when a session meets what it cannot survive."""

    def __init__(
        self,
        topic: str,
        read: ReadCheckpoints,
        watermarks: Watermarks,
        crash: Callable[[BaseException], None],
        note_keyframe: Callable[[str, int, int], None] = lambda *_: None,
    ) -> None:
        """`note_keyframe`: told camera, offset and capture time (ns) of each keyframe that is taken."""
        self.topic = topic
        self._read, self._watermarks = read, watermarks
        self._crash = crash
        self._note_keyframe = note_keyframe
        self._ports: SessionPorts | None = None
        self._progress: dict[Partition, PartitionProgress] = {}
        self._sessions: dict[tuple[Partition, str], _Running] = {}
        self._restored: dict[str, Checkpoint] = {}

    def start(self, ports: SessionPorts) -> None:
        self._ports = ports

    async def stop(self) -> None:
        for key in list(self._sessions):
            await self._drop(key)

    @property
    def cameras(self) -> tuple[str, ...]:
        return tuple(sorted(camera for _, camera in self._sessions))

    # --- commit points ----------------------------------------------------------------------------------------------

    def partitions(self) -> Iterable[Partition]:
        return [partition for partition, progress in self._progress.items() if progress.next is not None]

    def safe(self, partition: Partition) -> int | None:
        progress = self._progress.get(partition)
        return progress.safe() if progress is not None else None

    def position(self, partition: Partition) -> int | None:
        progress = self._progress.get(partition)
        return progress.next if progress is not None else None

    async def hand_over(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HAND_OVER_SECONDS):
                await asyncio.gather(*(running.session.hand_over() for running in self._sessions.values()))

    async def assigned(self, committed: dict[Partition, int | None]) -> dict[Partition, int]:
        for partition in [known for known in self._progress if known not in committed]:
            del self._progress[partition]
            for key in [key for key in self._sessions if key[0] == partition]:
                await self._drop(key)
        fresh = sorted(partition for partition in committed if partition not in self._progress)
        checkpoints = await self._patiently(self._read, [number for _, number in fresh])
        edges = await self._patiently(self._watermarks, fresh)
        self._restored.update(checkpoints)
        for partition in fresh:
            low, high = edges[partition]
            # a worker that slept through its own replacement may have left a checkpoint older than the commit
            here = [c for c in checkpoints.values() if c.partition == partition[1]]
            wanted = [c.offset for c in here if not c.ended]
            wanted += [offset] if (offset := committed[partition]) is not None else []
            start = min(wanted, default=low)
            if not low <= start <= high:
                _log.error(
                    "records are gone from the log before they were analysed",
                    topic=partition[0],
                    partition=partition[1],
                    wanted=start,
                    low=low,
                    high=high,
                )
                start = low
            self._progress[partition] = PartitionProgress(start)
            for checkpoint in here:
                if checkpoint.ended and checkpoint.offset <= start:
                    await self._forget(checkpoint.camera)
        _log.info("assigned", partitions=len(committed), fresh=len(fresh), checkpoints=len(checkpoints))
        return {partition: progress.next for partition, progress in self._progress.items() if progress.next is not None}

    async def _forget(self, camera: str) -> None:
        """Nobody will read what is in front of its end again."""
        assert self._ports is not None
        del self._restored[camera]
        await self._ports.publisher.forget_checkpoint(camera, lambda: None)

    async def _patiently(self, ask: Callable[[A], R], about: A) -> R:
        """In a thread; again and again while Kafka does not answer."""
        while True:
            try:
                return await asyncio.get_running_loop().run_in_executor(None, ask, about)
            except RetryError as error:
                WORKER_RETRIES.labels(error.service).inc()
                _log.warning("waiting for the log", why=str(error))
                await asyncio.sleep(RETRY_SECONDS)

    # --- records ----------------------------------------------------------------------------------------------------

    async def take(
        self, partition: Partition, offset: int, key: bytes | None, value: bytes | None, headers: dict[str, bytes]
    ) -> None:
        """In offset order; waits while the camera's queue is full. Raises FatalError when records are missing."""
        assert self._ports is not None
        progress = self._progress.get(partition)
        if progress is None:
            return
        camera = _camera(key)
        running = self._sessions.get((partition, camera or ""))
        if running is not None and running.ending:
            # before the record is accepted: until its session has it, it must not be committed
            await asyncio.wait({running.task})
            if self._progress.get(partition) is not progress:
                return
        try:
            if not progress.accept(offset):
                return
        except ValueError as error:
            raise FatalError(f"{partition[0]}/{partition[1]}: {error}") from error
        received_ns = self._ports.clock()
        for silent in progress.idle():
            progress.touch(silent, offset)
            await self._sessions[partition, silent].session.idle(offset, received_ns)
        if camera is None:
            WORKER_MALFORMED.labels("key").inc()
            _log.error("record without a camera id", topic=partition[0], partition=partition[1], offset=offset)
            return
        checkpoint = self._restored.get(camera)
        if checkpoint is not None and offset < checkpoint.offset:
            return
        session = self._session(partition, camera)
        progress.touch(camera, offset)
        try:
            record = decode(key, value, headers)
        except CodecError as error:
            WORKER_MALFORMED.labels(error.field).inc()
            _log.error("malformed record", camera=camera, partition=partition[1], offset=offset, why=str(error))
            await session.put(offset, Malformed(str(error)), received_ns)
            return
        self._sessions[partition, camera].ending = isinstance(record, End)
        if isinstance(record, AccessUnit) and record.keyframe:
            self._note_keyframe(camera, offset, record.captured_ns)
        await session.put(offset, record, received_ns)

    def _session(self, partition: Partition, camera: str) -> CameraSession:
        key = partition, camera
        running = self._sessions.get(key)
        if running is not None:
            return running.session
        assert self._ports is not None
        progress = self._progress[partition]
        restored = self._restored.pop(camera, None)
        session = CameraSession(
            camera,
            partition[0],
            partition[1],
            self._ports,
            checkpointed=lambda offset: progress.checkpointed(camera, offset),
            ended=lambda: self._ended(key),
            restored=None if restored is None or restored.ended else restored,
        )
        if session.cold_start:
            _log.warning("cold start", camera=camera, why=session.cold_start)
        if session.poison:
            _log.error("a GOP is passed over", camera=camera, why=session.poison)
        task = asyncio.create_task(session.run(), name=f"session {camera}")
        task.add_done_callback(self._finished)
        self._sessions[key] = _Running(session, task)
        return session

    def _ended(self, key: tuple[Partition, str]) -> None:
        self._sessions.pop(key, None)
        if key[0] in self._progress:
            self._progress[key[0]].ended(key[1])

    async def _drop(self, key: tuple[Partition, str]) -> None:
        running = self._sessions.pop(key, None)
        if running is None:
            # its source has ended while another session was waited for
            return
        running.task.cancel()
        await asyncio.gather(running.task, return_exceptions=True)

    def _finished(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            _log.error("session died", session=task.get_name(), error=repr(error))
            self._crash(error)


def _camera(key: bytes | None) -> str | None:
    try:
        return camera_of(key)
    except CodecError:
        return None


def checkpoint_reader(bootstrap: str, topic: str) -> ReadCheckpoints:
    return lambda partitions: read_checkpoints(bootstrap, partitions, topic)
