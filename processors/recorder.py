"""Results into the store: batches by size and time, commits only of what the store has, patience while it is away."""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from processors.batches import Batch, Batches
from processors.commit_points import Partition
from processors.errors import FatalError, RetryError
from processors.store import BadRecordError, Record, Refused, Store, decode, table_of
from processors.watermarks import Watermarks
from runtime.logging import logger
from runtime.metrics import (
    RECORD_POINTS,
    RECORD_RETRIES,
    RECORD_SECONDS,
    RECORD_SKIPPED,
    RECORD_STORE_UP,
    RECORD_WAITING,
)
from schemas.results import identity

_log = logger("recorder")

MAX_RECORDS: Final = 500
MAX_SECONDS: Final = 1.0
WAITING_BATCHES: Final = 4
"""so many batches may wait; then nothing is read until the store has taken one"""
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 15.0


class Recorder:
    """Implements CommitPoints. `crash` ends the process: the group's next owner begins at the last commit."""

    def __init__(
        self,
        watermarks: Watermarks,
        crash: Callable[[BaseException], Any],
        max_records: int = MAX_RECORDS,
        max_seconds: float = MAX_SECONDS,
        pause: Callable[[int], float] | None = None,
    ) -> None:
        self._watermarks, self._crash = watermarks, crash
        self._store: Store | None = None
        self._batches = Batches(max_records, max_seconds)
        self._most_waiting = WAITING_BATCHES * max_records
        self._pause = pause or _pause
        self._wake, self._room = asyncio.Event(), asyncio.Event()
        # one thread: batches reach the store in order, and DuckDB's connection stays in it
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._task: asyncio.Task[None] | None = None
        self.joined = False
        """true once the group has given partitions, even if none"""
        self.trouble = ""
        """why the store does not take what it is given; empty: it does"""

    async def start(self, store: Store) -> None:
        self._store = store
        RECORD_STORE_UP.set(1)
        self._task = asyncio.create_task(self._run(), name="recorder")
        self._task.add_done_callback(self._finished)

    async def stop(self) -> None:
        """A write under way is waited for; what waits is left to the next start, which reads it again."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.to_thread(self._thread.shutdown)

    # --- commit points ----------------------------------------------------------------------------------------------

    def partitions(self) -> Iterable[Partition]:
        return self._batches.partitions()

    def safe(self, partition: Partition) -> int | None:
        return self._batches.safe(partition)

    def position(self, partition: Partition) -> int | None:
        return self._batches.position(partition)

    async def hand_over(self) -> None:
        """What waits is read again by whoever comes next."""

    async def assigned(self, committed: dict[Partition, int | None]) -> dict[Partition, int]:
        known = set(self._batches.partitions())
        self._batches.keep(committed)
        fresh = [partition for partition in committed if partition not in known]
        for partition, (low, high) in (await self._edges(fresh)).items():
            offset = committed[partition]
            if offset is not None and not low <= offset <= high:
                _log.error(
                    "records are gone from the log before they were recorded",
                    topic=partition[0],
                    partition=partition[1],
                    committed=offset,
                    low=low,
                    high=high,
                )
                offset = None
            self._batches.begin(partition, low if offset is None else offset)
        self._room.set()
        self.joined = True
        positions = {partition: self._batches.position(partition) for partition in self._batches.partitions()}
        return {partition: position for partition, position in positions.items() if position is not None}

    async def _edges(self, partitions: list[Partition]) -> dict[Partition, tuple[int, int]]:
        attempt = 0
        while partitions:
            try:
                return await asyncio.to_thread(self._watermarks, partitions)
            except RetryError as error:
                attempt += 1
                _log.warning("waiting for the partitions' ends", why=str(error))
                await asyncio.sleep(self._pause(attempt))
        return {}

    # --- records ----------------------------------------------------------------------------------------------------

    async def take(self, partition: Partition, offset: int, value: bytes | None) -> None:
        """In offset order per partition; waits while too much waits already. Raises FatalError when records are
        missing: what Faust never delivered is to be read again, not passed over."""
        assignment = self._batches.progress(partition)
        while self._batches.waiting >= self._most_waiting:
            self._room.clear()
            await self._room.wait()
        if self._batches.progress(partition) is not assignment:
            # given away meanwhile, perhaps even given back: then it is delivered again
            return
        try:
            if not self._batches.expects(partition, offset):
                return
        except ValueError as error:
            raise FatalError(f"{partition[0]}/{partition[1]}: {error}") from error
        self._batches.add(partition, offset, _decoded(partition, offset, value), time.monotonic())
        RECORD_WAITING.set(self._batches.waiting)
        self._wake.set()

    async def _run(self) -> None:
        while True:
            due = self._batches.due_in(time.monotonic())
            if due != 0.0:
                self._wake.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), due)
                continue
            batch = self._batches.take()
            refused = await self._write([entry.record for entry in batch if entry.record is not None])
            _report(batch, refused)
            self._batches.stored(batch)
            RECORD_WAITING.set(self._batches.waiting)
            self._room.set()

    async def _write(self, records: list[Record]) -> list[Refused]:
        if not records:
            return []
        assert self._store is not None
        attempt = 0
        while True:
            started = time.monotonic()
            try:
                refused = await asyncio.get_running_loop().run_in_executor(self._thread, self._store.write, records)
            except RetryError as error:
                attempt += 1
                self.trouble = str(error)
                RECORD_RETRIES.inc()
                RECORD_STORE_UP.set(0)
                pause = self._pause(attempt)
                _log.warning("store away", why=str(error), attempt=attempt, waiting=len(records), pause=round(pause, 2))
                await asyncio.sleep(pause)
                continue
            if self.trouble:
                _log.info("store back", after_attempts=attempt)
            self.trouble = ""
            RECORD_STORE_UP.set(1)
            RECORD_SECONDS.observe(time.monotonic() - started)
            return list(refused)

    def _finished(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("recorder died", error=repr(error))
            self._crash(error)


def _decoded(partition: Partition, offset: int, value: bytes | None) -> Record | None:
    try:
        return decode(partition[0], value)
    except BadRecordError as error:
        RECORD_SKIPPED.labels(partition[0], "malformed").inc()
        _log.error("malformed record", topic=partition[0], partition=partition[1], offset=offset, why=str(error)[:300])
        return None


def _report(batch: Batch, refused: list[Refused]) -> None:
    why = {id(each.record): each.why for each in refused}
    for entry in batch:
        if entry.record is None:
            continue
        if id(entry.record) not in why:
            RECORD_POINTS.labels(table_of(entry.record)).inc()
            continue
        topic, partition = entry.source
        RECORD_SKIPPED.labels(topic, "refused").inc()
        _log.error(
            "the store refuses a record",
            topic=topic,
            partition=partition,
            offset=entry.offset,
            identity=identity(entry.record),
            why=why[id(entry.record)][:300],
        )


def _pause(attempt: int) -> float:
    """Seconds: doubling, with jitter so that many recorders don't come back at the same moment."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(attempt - 1, 16)) * random.uniform(0.5, 1.0)
