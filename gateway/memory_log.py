"""The log in memory, for tests and for trying the page without a broker. Same promises as the real one."""

import asyncio
import time
from collections import defaultdict
from types import TracebackType
from typing import Self

from gateway.log import LogUnavailable, Position, PositionGone, Record
from schemas.partition import partition_of
from schemas.topics import TOPICS


class MemoryLog:
    def __init__(self, batch: int = 64) -> None:
        self._partitions = {topic.name: topic.partitions for topic in TOPICS}
        self._records: dict[tuple[str, int], list[Record]] = defaultdict(list)
        self._first: dict[tuple[str, int], int] = defaultdict(int)
        self._changed = asyncio.Event()
        self.batch = batch
        self.away = False
        """True: every call fails as if no broker answered"""

    async def open(self) -> None:
        self._check()

    async def close(self) -> None:
        return None

    def _check(self) -> None:
        if self.away:
            raise LogUnavailable("the log is away")

    async def starts(self, topic: str) -> Position:
        self._check()
        return {p: self._first[topic, p] for p in range(self._partitions[topic])}

    async def ends(self, topic: str) -> Position:
        self._check()
        return {p: self._end(topic, p) for p in range(self._partitions[topic])}

    async def at(self, topic: str, timestamp_ms: int) -> Position:
        self._check()
        found = {}
        for p in range(self._partitions[topic]):
            later = (r.offset for r in self._records[topic, p] if r.timestamp_ms >= timestamp_ms)
            found[p] = next(later, self._end(topic, p))
        return found

    def reader(self, topic: str, start: Position, stop: Position | None = None) -> "MemoryReader":
        return MemoryReader(self, topic, start, stop)

    async def publish(self, topic: str, key: bytes, value: bytes | None) -> None:
        self._check()
        self.append(topic, key, value)

    def append(
        self,
        topic: str,
        key: bytes,
        value: bytes | None,
        headers: list[tuple[str, bytes]] | None = None,
        timestamp_ms: int | None = None,
    ) -> Record:
        partition = partition_of(key, self._partitions[topic])
        stamp = time.time_ns() // 1_000_000 if timestamp_ms is None else timestamp_ms
        record = Record(partition, self._end(topic, partition), stamp, key, value, dict(headers or ()))
        self._records[topic, partition].append(record)
        self.wake()
        return record

    def expire(self, topic: str, partition: int, before: int) -> None:
        """Deletes what lies before an offset, as retention does."""
        where = topic, partition
        self._records[where] = [r for r in self._records[where] if r.offset >= before]
        self._first[where] = before

    def wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _end(self, topic: str, partition: int) -> int:
        records = self._records[topic, partition]
        return records[-1].offset + 1 if records else self._first[topic, partition]


class MemoryReader:
    def __init__(self, log: MemoryLog, topic: str, start: Position, stop: Position | None) -> None:
        self._log, self._topic, self._stop = log, topic, stop
        self._next = dict(start)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._next = {}

    def __aiter__(self) -> Self:
        return self

    def leave(self, partition: int) -> None:
        self._next.pop(partition, None)

    async def __anext__(self) -> list[Record]:
        while True:
            self._log._check()
            changed = self._log._changed
            if batch := self._take():
                # a real reader never answers in the same turn of the loop
                await asyncio.sleep(0)
                return batch
            if self._stop is not None:
                raise StopAsyncIteration
            await changed.wait()

    def _take(self) -> list[Record]:
        batch: list[Record] = []
        for partition, offset in list(self._next.items()):
            if offset < self._log._first[self._topic, partition]:
                raise PositionGone(f"{self._topic}/{partition}: offset {offset} is gone")
            stop = None if self._stop is None else self._stop.get(partition, 0)
            records = self._log._records[self._topic, partition]
            wanted = [r for r in records if r.offset >= offset and (stop is None or r.offset < stop)]
            for record in wanted[: max(0, self._log.batch - len(batch))]:
                batch.append(record)
                self._next[partition] = record.offset + 1
        return batch
