"""The log on a real Kafka, by confluent-kafka. Readers `assign`: no group, no commits."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from gateway.kafka_reader import KafkaReader
from gateway.log import LogUnavailable, Position
from runtime import kafka
from schemas.topics import DETECTIONS, FRAMES, FRAMES_BATCH, TOPICS

Answer = TypeVar("Answer")

_TIMEOUT = 10.0
_ELECTION_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6)
"""seconds: a topic just made, or a broker just lost, is without leaders for a moment"""
_BULKY = {FRAMES.name, FRAMES_BATCH.name}


class KafkaLog:
    """Safe to use from one event loop. Blocking calls run in threads."""

    def __init__(self, bootstrap: str, replication_factor: int = 1, client_id: str = "rewatch-gateway") -> None:
        self._bootstrap, self._replication_factor, self._client_id = bootstrap, replication_factor, client_id
        self._admin: AdminClient | None = None
        self._producer: Any = None
        self._partitions: dict[str, int] = {}

    async def open(self) -> None:
        """Raises LogUnavailable when no broker answers within some seconds."""
        await self._call(self._make_clients)
        await self._call(
            lambda: kafka.create_topics(self._bootstrap, TOPICS, self._replication_factor, timeout=_TIMEOUT)
        )

    async def close(self) -> None:
        producer, self._producer, self._admin = self._producer, None, None
        if producer is not None:
            await asyncio.to_thread(producer.flush, 5.0)

    async def starts(self, topic: str) -> Position:
        return await self._offsets(topic, OffsetSpec.earliest())  # type: ignore[no-untyped-call]

    async def ends(self, topic: str) -> Position:
        return await self._offsets(topic, OffsetSpec.latest())  # type: ignore[no-untyped-call]

    async def at(self, topic: str, timestamp_ms: int) -> Position:
        found, ends = await asyncio.gather(
            self._offsets(topic, OffsetSpec.for_timestamp(max(0, timestamp_ms))), self.ends(topic)
        )
        # a partition without such a record answers -1
        return {partition: offset if offset >= 0 else ends[partition] for partition, offset in found.items()}

    def reader(self, topic: str, start: Position, stop: Position | None = None) -> KafkaReader:
        # live boxes: the page holds its picture until they are there, so that their delay costs no agreement
        patient = topic == DETECTIONS.name and stop is None
        return KafkaReader(self._bootstrap, self._client_id, topic, start, stop, topic in _BULKY, patient)

    async def publish(self, topic: str, key: bytes, value: bytes | None) -> None:
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[None] = loop.create_future()

        def settle(error: Any) -> None:
            if outcome.done():
                return
            if error is None:
                outcome.set_result(None)
            else:
                outcome.set_exception(LogUnavailable(str(error)))

        def delivered(error: Any, _: Any) -> None:
            loop.call_soon_threadsafe(settle, error)

        def send() -> None:
            self._connected()
            self._producer.produce(topic, key=key, value=value, on_delivery=delivered)
            self._producer.flush(_TIMEOUT)

        await self._call(send)
        try:
            await asyncio.wait_for(outcome, _TIMEOUT)
        except TimeoutError as error:
            raise LogUnavailable(f"no acknowledgement for a record on {topic}") from error

    def _make_clients(self) -> None:
        if self._admin is None:
            self._admin = kafka.admin(self._bootstrap)
            self._producer = kafka.producer(self._bootstrap, self._client_id)

    async def _offsets(self, topic: str, spec: OffsetSpec) -> Position:
        partitions = await self._partition_count(topic)
        asked = {TopicPartition(topic, partition): spec for partition in range(partitions)}

        def ask() -> Position:
            answers = self._connected().list_offsets(asked, request_timeout=_TIMEOUT)
            return {where.partition: answer.result(_TIMEOUT).offset for where, answer in answers.items()}

        for pause in _ELECTION_PAUSES:
            try:
                return await self._call(ask)
            except LogUnavailable as error:
                cause = error.__cause__
                if not isinstance(cause, KafkaException) or cause.args[0].code() not in kafka.ELECTING:
                    raise
            await asyncio.sleep(pause)
        return await self._call(ask)

    async def _partition_count(self, topic: str) -> int:
        known = self._partitions.get(topic)
        if known is not None:
            return known

        def ask() -> int:
            return len(self._connected().list_topics(topic, timeout=_TIMEOUT).topics[topic].partitions)

        count = await self._call(ask)
        if not count:
            raise LogUnavailable(f"topic {topic} does not exist")
        self._partitions[topic] = count
        return count

    def _connected(self) -> AdminClient:
        if self._admin is None:
            raise LogUnavailable("not connected to Kafka yet")
        return self._admin

    async def _call(self, work: Callable[[], Answer]) -> Answer:
        try:
            return await asyncio.to_thread(work)
        except (KafkaException, BufferError, TimeoutError) as error:
            raise LogUnavailable(str(error)) from error
