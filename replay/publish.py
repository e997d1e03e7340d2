"""What looking again has found, into the log."""

from collections.abc import Sequence

from confluent_kafka import KafkaException

from replay.past import Outcome
from runtime.kafka import create_topics, producer
from schemas.messages import FailedWindow
from schemas.results import headers_of, key_of, to_json, topic_of
from schemas.topics import DAY_MS, MAX_RESULT_BYTES, PARTITIONS, Topic

_TIMEOUT = 60.0


class PublishError(Exception):
    """Kafka has not taken everything. What it has taken may be published again: it is replaced by identity."""


def publish(bootstrap: str, results: Sequence[Outcome]) -> int:
    """Each to its own topic; how many. Raises PublishError."""
    return _send(bootstrap, [(topic_of(result).name, result) for result in results])


def publish_into(bootstrap: str, topic: str, results: Sequence[Outcome], replication_factor: int = 1) -> int:
    """All to one topic, which is made if it is missing; how many. Raises PublishError."""
    try:
        made = Topic(topic, PARTITIONS, "delete", 7 * DAY_MS, MAX_RESULT_BYTES, "replayed results")
        create_topics(bootstrap, [made], replication_factor)
    except KafkaException as error:
        raise PublishError(f"{topic}: {error}") from error
    return _send(bootstrap, [(topic, result) for result in results])


def publish_failure(bootstrap: str, failure: FailedWindow) -> None:
    """Raises PublishError."""
    _send(bootstrap, [(topic_of(failure).name, failure)])


def _send(bootstrap: str, records: Sequence[tuple[str, Outcome | FailedWindow]]) -> int:
    sender = producer(bootstrap, "rewatch-replay")
    refused: list[str] = []

    def done(error: object, _: object) -> None:
        if error is not None:
            refused.append(str(error))

    for topic, result in records:
        while True:
            try:
                sender.produce(topic, to_json(result), key_of(result), headers=[*headers_of(result)], on_delivery=done)
                break
            except BufferError:
                sender.poll(0.1)
        sender.poll(0)
    left = sender.flush(_TIMEOUT)
    if left or refused:
        raise PublishError(
            f"{left + len(refused)} of {len(records)} results were not taken: {(refused or ['no answer'])[0]}"
        )
    return len(records)
