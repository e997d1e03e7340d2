"""One reader of a topic, shared by all who listen."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from gateway.log import Log, LogUnavailable, Position, PositionGone, Record
from runtime.logging import logger

_RETRY_SECONDS: Final = 1.0


class TooSlow(Exception):
    """The subscriber's queue is full: it reads more slowly than the topic grows."""


class Subscription:
    """The records that arrive from `start` on, in the order of the topic. Bounded."""

    def __init__(self, start: Position, limit: int) -> None:
        self.start = start
        self._limit = limit
        self._waiting: deque[Record] = deque()
        self._arrived = asyncio.Event()
        self.overflowed = False

    def offer(self, records: list[Record]) -> None:
        if self.overflowed:
            return
        if len(self._waiting) + len(records) > self._limit:
            self.overflowed = True
        else:
            self._waiting.extend(records)
        self._arrived.set()

    async def take(self) -> list[Record]:
        """At least one record. Raises TooSlow once records had to be left out, after the ones before them."""
        while not self._waiting:
            if self.overflowed:
                raise TooSlow
            self._arrived.clear()
            await self._arrived.wait()
        records = list(self._waiting)
        self._waiting.clear()
        return records


class Hub:
    """Follows a topic from its end and hands every record to every subscriber.

    `position` and the subscribers change only in the loop's turn that hands a batch out: a subscription therefore
    starts exactly where `position` stands.
    """

    def __init__(self, log: Log, topic: str, since: Callable[[], int] | None = None) -> None:
        """`since`: a timestamp in ms to start from instead of the end."""
        self._log, self.topic, self._since = log, topic, since
        self.position: Position | None = None
        """the next offsets to be handed out; None until the log has answered"""
        self.ready = asyncio.Event()
        self._subscribers: set[Subscription] = set()
        self._watchers: list[Callable[[Record], None]] = []

    def watch(self, react: Callable[[Record], None]) -> None:
        """Calls `react` for every record, before the subscribers get it."""
        self._watchers.append(react)

    @contextlib.contextmanager
    def subscribe(self, limit: int) -> Iterator[Subscription]:
        """Raises LogUnavailable before the first answer of the log."""
        if self.position is None:
            raise LogUnavailable(f"{self.topic}: the log has not answered yet")
        subscription = Subscription(dict(self.position), limit)
        self._subscribers.add(subscription)
        try:
            yield subscription
        finally:
            self._subscribers.discard(subscription)

    async def run(self) -> None:
        """For ever; waits where the log is away."""
        log = logger("gateway.hub")
        while True:
            try:
                await self._follow()
            except LogUnavailable as error:
                log.warning("log away", topic=self.topic, error=str(error))
            except PositionGone as error:
                log.error("records were deleted before they were read", topic=self.topic, error=str(error))
                await self._skip_deleted()
            await asyncio.sleep(_RETRY_SECONDS)

    async def _skip_deleted(self) -> None:
        with contextlib.suppress(LogUnavailable):
            starts = await self._log.starts(self.topic)
            if self.position is not None:
                self.position = {p: max(offset, starts[p]) for p, offset in self.position.items()}

    async def _follow(self) -> None:
        if self.position is None:
            since = None if self._since is None else self._since()
            self.position = await (self._log.ends(self.topic) if since is None else self._log.at(self.topic, since))
            self.ready.set()
        async with self._log.reader(self.topic, self.position) as reader:
            async for batch in reader:
                self._hand_out(batch)

    def _hand_out(self, batch: list[Record]) -> None:
        assert self.position is not None
        for record in batch:
            self.position[record.partition] = record.offset + 1
            for react in self._watchers:
                react(record)
        for subscription in self._subscribers:
            subscription.offer(batch)
