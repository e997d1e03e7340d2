"""What a new process finds at the end of the log."""

import pytest
from confluent_kafka import KafkaException, TopicPartition

from devstack.ports import free_port
from ingest.log_tail import last_record, latest
from runtime.kafka import consumer
from schemas.topics import FRAMES


def test_a_log_that_falls_silent_is_not_an_empty_one() -> None:
    """Its end was known a moment ago; what a broker that has just gone does not say is no answer."""
    reader = consumer(f"127.0.0.1:{free_port()}", "test")
    try:
        with pytest.raises(KafkaException):
            latest(reader, TopicPartition(FRAMES.name, 0, 0), 5, b"cam", patience=0.5)
    finally:
        reader.close()


def test_behind_the_last_record_there_is_nothing() -> None:
    reader = consumer(f"127.0.0.1:{free_port()}", "test")
    try:
        assert latest(reader, TopicPartition(FRAMES.name, 0, 5), 5, b"cam") is None
    finally:
        reader.close()


@pytest.mark.timeout(60)
def test_nobody_answers() -> None:
    with pytest.raises(KafkaException):
        last_record(f"127.0.0.1:{free_port()}", FRAMES.name, "cam")
