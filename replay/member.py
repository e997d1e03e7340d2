"""A member of a consumer group: what is wanted is a topic, what is done its committed offset."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from runtime.kafka import consumer
from runtime.logging import logger

_POLL_SECONDS: Final = 0.5
_SESSION_MS: Final = 6000
_log = logger("replayer")


class Member:
    """`assigned(partitions)` is called in the event loop, in front of their first record. `longest_seconds`: how long
    the work on one record may take while nothing else is polled.

    `trouble`: why no records come; empty when all is well.
    """

    def __init__(
        self,
        bootstrap: str,
        group: str,
        topic: str,
        assigned: Callable[[set[int]], None],
        longest_seconds: int = 300,
    ) -> None:
        self._topic, self._assigned = topic, assigned
        self._fresh: set[int] | None = None
        self._consumer = consumer(
            bootstrap,
            group,
            **{
                "auto.offset.reset": "earliest",
                "enable.partition.eof": False,
                "max.poll.interval.ms": longest_seconds * 1000,
                # a dead process is noticed by its missing heartbeats
                "session.timeout.ms": _SESSION_MS,
            },
        )
        self.joined = False
        self.trouble = ""

    async def records(self) -> AsyncGenerator[Any]:
        """For ever; confluent_kafka's messages without errors."""
        self._consumer.subscribe([self._topic], on_assign=self._on_assign)
        while True:
            message = await asyncio.to_thread(self._consumer.poll, _POLL_SECONDS)
            fresh, self._fresh = self._fresh, None
            if fresh is not None:
                self.joined = True
                _log.info("assigned", topic=self._topic, partitions=len(fresh))
                self._assigned(fresh)
            if message is None:
                continue
            error = message.error()
            if error is not None:
                self.waits(error.str())
                continue
            self.trouble = ""
            yield message

    def waits(self, why: str) -> None:
        self.trouble = why
        _log.warning("waiting for the log", why=why)

    async def commit(self, partition: int, offset: int) -> None:
        """The record at `offset` is done."""
        behind = TopicPartition(self._topic, partition, offset + 1)
        try:
            await asyncio.to_thread(self._consumer.commit, offsets=[behind], asynchronous=False)
        except KafkaException as error:
            # somebody else has the partition now, or the log is away: it is done once more, which changes nothing
            if error.args[0].code() != KafkaError._NO_OFFSET:
                _log.warning("not committed", why=str(error))

    async def close(self) -> None:
        # a poll that is under way in its thread cannot be cancelled
        await asyncio.sleep(_POLL_SECONDS)
        await asyncio.to_thread(self._consumer.close)

    def _on_assign(self, _: object, partitions: list[Any]) -> None:
        # called in the polling thread
        self._fresh = {partition.partition for partition in partitions}
