"""What a new process finds at the end of the log."""

import threading

import pytest
from confluent_kafka import KafkaException, TopicPartition

from devstack.ports import free_port
from devstack.stack import Stack
from ingest.camera import Past
from ingest.log_tail import last_record, latest
from ingest.service import build_service
from ingest.take import Outage
from runtime.config import Settings
from runtime.kafka import consumer, create_topics, producer
from schemas.analysis import CameraSpec, Source
from schemas.codec import encode
from schemas.messages import Gap
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


@pytest.mark.integration
@pytest.mark.timeout(120)
def test_a_log_that_is_away_is_waited_for() -> None:
    """Longer than one asking takes to give up: else the time without the camera would have no name."""
    with Stack(services=("kafka",)) as stack:
        bootstrap, broker = stack.addresses.kafka_bootstrap, stack.service("kafka")
        create_topics(bootstrap, [FRAMES], 1)
        wire = encode(Gap("cam", "s1", "stalled", 1_000, 5_000, lost=0))
        writer = producer(bootstrap, "test")
        writer.produce(FRAMES.name, wire.value, wire.key, headers=[*wire.headers])
        assert writer.flush(10) == 0
        service = build_service(Settings(kafka=bootstrap))
        found: list[Past] = []
        camera = CameraSpec("cam", Source("rtsp://127.0.0.1/cam"))
        asking = threading.Thread(
            target=lambda: found.append(service._recall(camera, threading.Event(), resuming=True)), daemon=True
        )
        broker.pause()
        asking.start()
        asking.join(14)
        assert asking.is_alive()
        broker.resume()
        asking.join(40)
        assert found == [Past(5_000, Outage("ingest_away", 5_000))]
