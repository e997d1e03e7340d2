"""Reads the compacted topic `checkpoints`. Writing is the session's; this is the way back."""

from typing import Final

import msgspec
from confluent_kafka import KafkaException, TopicPartition

from processors.errors import RetryError
from runtime.kafka import consumer, read_to, watermarks
from runtime.logging import logger
from schemas.messages import Checkpoint
from schemas.topics import CHECKPOINTS

_log = logger("checkpoints")

PATIENCE_SECONDS: Final = 30.0


def read_checkpoints(bootstrap: str, partitions: list[int], topic: str) -> dict[str, Checkpoint]:
    """The newest checkpoint of every camera on these partitions that belongs to `topic`. Blocks; call it in a thread.

    A camera has the same partition number on every topic. Raises RetryError when the brokers do not answer.
    """
    if not partitions:
        return {}
    reader = consumer(bootstrap, "rewatch-checkpoints", **{"fetch.wait.max.ms": 10})
    found: dict[str, Checkpoint] = {}
    try:
        edges = {partition: watermarks(reader, CHECKPOINTS.name, partition) for partition in partitions}
        starts = [TopicPartition(CHECKPOINTS.name, partition, low) for partition, (low, _) in edges.items()]
        ends = {(CHECKPOINTS.name, partition): high for partition, (_, high) in edges.items()}
        for message in read_to(reader, starts, ends, PATIENCE_SECONDS):
            _take(found, message.key(), message.value())
    except KafkaException as error:
        raise RetryError("kafka", str(error)) from error
    finally:
        reader.close()
    return {camera: checkpoint for camera, checkpoint in found.items() if checkpoint.topic == topic}


def _take(found: dict[str, Checkpoint], key: bytes | None, value: bytes | None) -> None:
    camera = (key or b"").decode("utf-8", "replace")
    if value is None:
        found.pop(camera, None)
        return
    try:
        found[camera] = msgspec.json.decode(value, type=Checkpoint)
    except msgspec.DecodeError as error:
        # an unreadable checkpoint is as good as none: the camera starts cold, which is safe
        _log.error("unreadable checkpoint", camera=camera, error=str(error))
        found.pop(camera, None)
