"""The first and the next offset of partitions, as the broker knows them."""

from collections.abc import Callable, Iterable
from typing import Any

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]

from processors.commit_points import Partition
from processors.errors import RetryError
from runtime.kafka import admin

Watermarks = Callable[[Iterable[Partition]], dict[Partition, tuple[int, int]]]
"""Blocking. Raises RetryError while Kafka does not answer."""

_SPEC: Any = OffsetSpec  # its methods have no types
_EARLIEST, _LATEST = _SPEC.earliest(), _SPEC.latest()


def kafka_watermarks(bootstrap: str, timeout: float = 10.0) -> Watermarks:
    def ask(partitions: Iterable[Partition]) -> dict[Partition, tuple[int, int]]:
        wanted = [TopicPartition(topic, number) for topic, number in partitions]
        try:
            client = admin(bootstrap)
            low, high = (
                client.list_offsets(dict.fromkeys(wanted, spec), request_timeout=timeout)
                for spec in (_EARLIEST, _LATEST)
            )
            return {
                (each.topic, each.partition): (low[each].result().offset, high[each].result().offset) for each in wanted
            }
        except KafkaException as error:
            raise RetryError("kafka", str(error)) from error

    return ask
