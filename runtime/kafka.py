"""Kafka clients with the settings that the rest of the code relies on."""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from runtime.logging import logger
from schemas.topics import MAX_FRAME_BYTES, Topic

ELECTING: Final = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_PARTITION,
    }
)
"""what clients hear of a partition that was just made, or whose broker has just gone or come back; librdkafka does not
call these errors retriable"""
_SILENT: Final = logging.getLogger("librdkafka")
"""librdkafka would write to stderr on its own, several lines a second while a broker is away; whoever uses a client
says in the structured log what matters"""
_SILENT.setLevel(logging.CRITICAL)


def producer(bootstrap: str, client_id: str, **overrides: Any) -> Producer:
    """Idempotent, acknowledged by all in-sync replicas, partitioned as Java's clients and Faust do."""
    return Producer(
        {
            "bootstrap.servers": bootstrap,
            "client.id": client_id,
            "enable.idempotence": True,
            # A broker that has just become a partition's leader may refuse a new producer's first request and take its
            # second. It then calls the first, sent again, a duplicate, and librdkafka reports it as delivered although
            # the log does not have it: seen with fresh topics on a busy machine, 2 of 160 times. One at a time cannot.
            "max.in.flight.requests.per.connection": 1,
            "partitioner": "murmur2_random",
            "linger.ms": 2,
            "compression.type": "none",
            "message.max.bytes": MAX_FRAME_BYTES,
            "delivery.timeout.ms": 120_000,
            "logger": _SILENT,
            **overrides,
        }
    )


def consumer(bootstrap: str, client_id: str, **overrides: Any) -> Consumer:
    """For `assign`: no group work, no commits, an error instead of a silent jump when an offset is gone."""
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "client.id": client_id,
            "group.id": client_id,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            "fetch.message.max.bytes": MAX_FRAME_BYTES,
            # only how long the broker holds an answer while there is nothing new: short pauses cost it CPU
            "fetch.wait.max.ms": 1000,
            "logger": _SILENT,
            **overrides,
        }
    )


def watermarks(reader: Consumer, topic: str, partition: int, timeout: float = 10.0) -> tuple[int, int]:
    """The first offset that is there, and the one that the next record will get. Raises KafkaException."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            low, high = reader.get_watermark_offsets(TopicPartition(topic, partition), timeout=timeout)
            return int(low), int(high)
        except KafkaException as error:
            if error.args[0].code() not in ELECTING or time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def read_to(
    reader: Consumer, starts: Iterable[TopicPartition], ends: Mapping[tuple[str, int], int], patience: float
) -> Iterator[Message]:
    """The records from `starts` on, of each (topic, partition) those below its offset in `ends`.

    Raises KafkaException; a log that says nothing for `patience` seconds is one too (`_TIMED_OUT`): what was read up to
    there is not all there is."""
    wanted = [start for start in starts if start.offset < ends[start.topic, start.partition]]
    waiting = {(start.topic, start.partition) for start in wanted}
    reader.assign(wanted)
    heard = time.monotonic()
    while waiting:
        message = reader.poll(min(patience, 0.5))
        if message is None:
            if time.monotonic() - heard >= patience:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
            continue
        where, offset, error = (str(message.topic()), message.partition() or 0), message.offset() or 0, message.error()
        if error is None:
            heard = time.monotonic()
            if where in waiting and offset < ends[where]:
                yield message
            if offset >= ends[where] - 1:
                waiting.discard(where)
        elif error.code() == KafkaError._PARTITION_EOF:
            # compaction leaves holes in front of the end; and a partition's new leader may not know at first how far
            # the log goes, and call an earlier place its end
            if offset >= ends[where]:
                waiting.discard(where)
        elif error.code() not in ELECTING and not error.retriable():
            raise KafkaException(error)


def admin(bootstrap: str) -> AdminClient:
    # a logger's lines would pile up in a client that nobody polls
    return AdminClient({"bootstrap.servers": bootstrap, "log_level": 2})


def create_topics(bootstrap: str, topics: Iterable[Topic], replication_factor: int, timeout: float = 30.0) -> None:
    """Creates what is missing. Raises KafkaException when a broker refuses for another reason than existence."""
    client = admin(bootstrap)
    wanted = []
    for topic in topics:
        config = {"cleanup.policy": topic.cleanup, "max.message.bytes": str(topic.max_message_bytes)}
        if topic.retention_ms is not None:
            config["retention.ms"] = str(topic.retention_ms)
        if topic.cleanup == "compact":
            config["min.cleanable.dirty.ratio"] = "0.1"
            config["segment.ms"] = "600000"
        if topic.stamped == "on arrival":
            config["message.timestamp.type"] = "LogAppendTime"
        if replication_factor > 2:
            config["min.insync.replicas"] = "2"
        wanted.append(
            NewTopic(
                topic.name,
                num_partitions=topic.partitions,
                replication_factor=replication_factor,
                config=config,
            )
        )
    for future in client.create_topics(wanted, operation_timeout=timeout, request_timeout=timeout).values():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise


def wait_for_broker(bootstrap: str) -> None:
    """Returns when one answers, however long that takes."""
    client, told = admin(bootstrap), False
    while True:
        try:
            client.list_topics(timeout=5.0)
            return
        except KafkaException as error:
            if not told:
                logger("kafka").warning("waiting for Kafka", kafka=bootstrap, error=error.args[0].str())
            told = True
