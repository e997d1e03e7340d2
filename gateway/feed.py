"""A client's way through a topic: first what it missed, then what comes, with nothing twice and nothing left out."""

from collections.abc import AsyncIterator
from typing import Final

from gateway.hub import Hub
from gateway.log import Log, Position, Record

_NEAR: Final = 1000
"""records: so close to the live end a client is handed over to the hub"""


async def feed(log: Log, hub: Hub, start: Position, limit: int) -> AsyncIterator[list[Record]]:
    """Batches from `start` on, for ever.

    Far behind, the client reads the log itself, as slowly as it likes. Near the end it subscribes, and only then
    reads the last part, up to the very position at which its subscription starts: the seam.

    Raises TooSlow, PositionGone, LogUnavailable.
    """
    start = dict(start)
    while True:
        ends = await log.ends(hub.topic)
        if sum(max(0, end - start[p]) for p, end in ends.items()) <= _NEAR:
            break
        async for batch in _read(log, hub.topic, start, ends):
            yield batch
    with hub.subscribe(limit) as subscription:
        async for batch in _read(log, hub.topic, start, subscription.start):
            yield batch
        while True:
            # the start may lie beyond the hub's position: the client has read ahead of the hub
            batch = [r for r in await subscription.take() if r.offset >= start[r.partition]]
            if batch:
                yield batch


async def _read(log: Log, topic: str, start: Position, stop: Position) -> AsyncIterator[list[Record]]:
    """Moves `start` on to `stop`."""
    async with log.reader(topic, dict(start), stop) as reader:
        async for batch in reader:
            yield batch
    for partition, offset in stop.items():
        start[partition] = max(start[partition], offset)
