"""One page out of a topic: from a position on, filtered, in order of time, with the position behind it."""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from msgspec import Struct

from gateway.log import Log, Position, Record

Item = TypeVar("Item")

MAX_SECONDS: Final = 5.0
MAX_BYTES: Final = 64 * 1024 * 1024
_BEHIND: Final = 4
"""how many pages one partition may be read ahead of the others while these are awaited"""


class Page(Struct, Generic[Item]):
    items: list[Item]
    next: Position
    more: bool


class _Lane(Generic[Item]):
    """One partition while a page is gathered."""

    def __init__(self, start: int, stop: int) -> None:
        self.next = start
        """behind what was given out, and behind what the filter left out before it"""
        self.seen = start
        self.stop = stop
        self.found: deque[tuple[int, int, Item]] = deque()
        self.left = False

    @property
    def read(self) -> bool:
        return self.seen >= self.stop


async def gather(
    log: Log,
    topic: str,
    start: Position,
    accept: Callable[[Record], Item | None],
    limit: int,
    max_seconds: float = MAX_SECONDS,
    max_bytes: int = MAX_BYTES,
) -> Page[Item]:
    """Up to `limit` items from `start` on, merged by the broker's timestamps.

    What `next` points at is exactly what was not given out yet: pages neither repeat nor leave out anything, also
    when the time or the bytes allowed run out, which makes a page short. `accept` returns None to leave a record out.
    """
    stop = {p: offset for p, offset in (await log.ends(topic)).items() if p in start}
    lanes = {p: _Lane[Item](start[p], stop[p]) for p in start}
    deadline = asyncio.get_running_loop().time() + max_seconds
    scanned = 0
    async with log.reader(topic, start, stop) as reader:
        while not _enough(lanes, limit) and scanned < max_bytes:
            try:
                async with asyncio.timeout_at(deadline):
                    batch = await anext(reader)
            except (StopAsyncIteration, TimeoutError) as end:
                if isinstance(end, StopAsyncIteration):
                    for lane in lanes.values():
                        # offsets before the stop that never came are compaction's holes
                        lane.seen = lane.seen if lane.left else max(lane.seen, lane.stop)
                break
            for record in batch:
                scanned += len(record.value or b"")
                lane = lanes[record.partition]
                if len(lane.found) >= limit * _BEHIND:
                    lane.left = True
                    reader.leave(record.partition)
                elif record.offset >= lane.seen:
                    lane.seen = record.offset + 1
                    item = accept(record)
                    if item is not None:
                        lane.found.append((record.timestamp_ms, record.offset, item))
    items = _merge(lanes, limit)
    more = any(not lane.read or lane.found for lane in lanes.values())
    return Page(items, {p: lane.next for p, lane in lanes.items()}, more)


def _enough(lanes: dict[int, _Lane[Item]], limit: int) -> bool:
    """A page is certain once every partition is read or has more than the page can take from it."""
    return all(lane.read or len(lane.found) >= limit for lane in lanes.values())


def _merge(lanes: dict[int, _Lane[Item]], limit: int) -> list[Item]:
    heads = [(lane.found[0][0], p) for p, lane in lanes.items() if lane.found]
    heapq.heapify(heads)
    items: list[Item] = []
    while heads and len(items) < limit:
        _, partition = heapq.heappop(heads)
        lane = lanes[partition]
        _, offset, item = lane.found.popleft()
        lane.next = offset + 1
        items.append(item)
        if lane.found:
            heapq.heappush(heads, (lane.found[0][0], partition))
    for lane in lanes.values():
        if not lane.found:
            lane.next = max(lane.next, lane.seen)
    return items
