"""What looking again has found, into the log."""

from collections.abc import Sequence
from typing import Final

from confluent_kafka import KafkaException

from replay.past import Outcome
from runtime.kafka import create_topics, producer
from schemas.messages import FailedWindow, ReplayState
from schemas.results import Result, headers_of, key_of, to_json, topic_of
from schemas.topics import DAY_MS, MAX_RESULT_BYTES, PARTITIONS, Topic

TIMEOUT_SECONDS: Final = 60.0


class PublishError(Exception):
    """Kafka has not taken everything. What it has taken may be published again: it is replaced by identity."""


def publish(bootstrap: str, results: Sequence[Outcome]) -> int:
    """Each to its own topic; how many. Raises PublishError."""
    return _send(bootstrap, results)


def publish_failure(bootstrap: str, failure: FailedWindow) -> None:
    """Raises PublishError."""
    _send(bootstrap, [failure])


def publish_state(bootstrap: str, state: ReplayState) -> None:
    """Raises PublishError."""
    _send(bootstrap, [state])


class Sender:
    """Results on their way, each to its own topic or all into one. Raises PublishError."""

    def __init__(self, bootstrap: str, into: str = "", replication_factor: int = 1) -> None:
        """A topic `into` is made if it is missing."""
        self._into = into
        self.sent = 0
        self._refused: list[str] = []
        if into:
            try:
                made = Topic(into, PARTITIONS, "delete", 7 * DAY_MS, MAX_RESULT_BYTES, "replayed results")
                create_topics(bootstrap, [made], replication_factor)
            except KafkaException as error:
                raise PublishError(f"{into}: {error}") from error
        self._producer = producer(bootstrap, "rewatch-replay")

    def send(self, result: Result) -> None:
        """Waits while the buffer is full. What goes wrong is told by `flush`."""
        topic = self._into or topic_of(result).name
        while not self._refused:
            try:
                self._producer.produce(
                    topic, to_json(result), key_of(result), headers=[*headers_of(result)], on_delivery=self._done
                )
                break
            except BufferError:
                self._producer.poll(0.1)
        self._producer.poll(0)
        self.sent += 1

    def flush(self) -> None:
        """Returns when all is acknowledged."""
        left = self._producer.flush(TIMEOUT_SECONDS)
        if left or self._refused:
            why = (self._refused or ["no answer"])[0]
            raise PublishError(f"{left + len(self._refused)} of {self.sent} results were not taken: {why}")

    def _done(self, error: object, _: object) -> None:
        if error is not None:
            self._refused.append(str(error))


def _send(bootstrap: str, results: Sequence[Result]) -> int:
    sender = Sender(bootstrap)
    for result in results:
        sender.send(result)
    sender.flush()
    return sender.sent
