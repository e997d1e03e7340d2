"""The compacted topic `cameras`: who watches what, now."""

import threading
from collections.abc import Callable
from typing import Any, Final

import msgspec
from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, Message, TopicPartition

from runtime import kafka
from runtime.logging import logger, redact
from schemas.analysis import CameraSpec
from schemas.topics import CAMERAS

_ASK_SECONDS: Final = 5.0
_AGAIN_SECONDS: Final = 1.0

_decoder = msgspec.json.Decoder(CameraSpec)

Cameras = dict[str, CameraSpec]


class CameraTopicError(Exception):
    """The topic could not be read or written."""


class NoCameraTopic(CameraTopicError):
    """Nobody has ever written a camera."""


def apply_record(cameras: Cameras, key: bytes | None, value: bytes | None) -> None:
    """Changes `cameras` as the record says. Raises ValueError, with nothing changed, for one that says nothing."""
    camera = (key or b"").decode("utf-8", "replace")
    if not camera:
        raise ValueError("a record without a camera id as its key")
    if not value:
        cameras.pop(camera, None)
        return
    try:
        spec = _decoder.decode(value)
    except msgspec.MsgspecError as error:
        raise ValueError(f"camera {camera}: {redact(str(error))}") from error
    if spec.id != camera:
        raise ValueError(f"camera {camera}: the record is about {spec.id}")
    cameras[camera] = spec


class CameraTopic:
    """Follows the topic in a thread of its own; a record that cannot be read changes nothing but the log."""

    def __init__(self, bootstrap: str, client_id: str, on_change: Callable[[Cameras], None]) -> None:
        """`on_change` gets all cameras, first when the topic has been read to its end, then at each change."""
        self._consumer = kafka.consumer(bootstrap, client_id, **{"auto.offset.reset": "earliest"})
        self._on_change = on_change
        self._cameras: Cameras = {}
        self._stop = threading.Event()
        self._log = logger("camera-topic")
        self._thread = threading.Thread(target=self._follow, name="camera-topic", daemon=True)
        self.loaded = False

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(5)

    def _follow(self) -> None:
        try:
            end = self._end()
            self._consumer.assign([TopicPartition(CAMERAS.name, 0, OFFSET_BEGINNING)])
            while not self._stop.is_set():
                message = self._consumer.poll(0.2)
                if message is not None:
                    self._take(message, end)
        finally:
            self._consumer.close()

    def _end(self) -> int:
        """The offset of the next camera to be written. Asks until Kafka answers."""
        told = False
        while not self._stop.is_set():
            try:
                return kafka.watermarks(self._consumer, CAMERAS.name, 0, _ASK_SECONDS)[1]
            except KafkaException as error:
                if not told:
                    self._log.warning("waiting for the cameras", error=error.args[0].str())
                told = True
                self._stop.wait(_AGAIN_SECONDS)
        return 0

    def _take(self, message: Message, end: int) -> None:
        error = message.error()
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:
                # a new leader may call an earlier place the end at first
                if not self.loaded and (message.offset() or 0) >= end:
                    self._on_change(dict(self._cameras))
                    self.loaded = True
            elif not error.retriable() and error.code() not in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN):
                self._log.error("cannot read the cameras", error=error.str())
            return
        try:
            apply_record(self._cameras, message.key(), message.value())
        except ValueError as why:
            self._log.error("camera record ignored", offset=message.offset(), error=str(why))
            return
        if self.loaded:
            self._on_change(dict(self._cameras))


def read_cameras(bootstrap: str, timeout: float = 15.0) -> Cameras:
    """All cameras as they are now. Raises NoCameraTopic, and CameraTopicError when Kafka does not answer in time."""
    cameras: Cameras = {}
    consumer = kafka.consumer(
        bootstrap, "rewatch-cameras", **{"auto.offset.reset": "earliest", "fetch.wait.max.ms": 10}
    )
    try:
        # a consumer that is sent to a topic that is not there says nothing for half a minute
        lacking = consumer.list_topics(CAMERAS.name, timeout).topics[CAMERAS.name].error
        if lacking is not None and lacking.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise NoCameraTopic(f"there is no topic {CAMERAS.name} on {bootstrap}")
        _, end = kafka.watermarks(consumer, CAMERAS.name, 0, timeout)
        start = TopicPartition(CAMERAS.name, 0, OFFSET_BEGINNING)
        for message in kafka.read_to(consumer, [start], {(CAMERAS.name, 0): end}, timeout):
            try:
                apply_record(cameras, message.key(), message.value())
            except ValueError as why:
                logger("camera-topic").error("camera record ignored", offset=message.offset(), error=str(why))
        return cameras
    except KafkaException as error:
        raise CameraTopicError(f"Kafka at {bootstrap} did not answer: {error.args[0].str()}") from error
    finally:
        consumer.close()


def write_cameras(bootstrap: str, specs: list[CameraSpec], remove: list[str], timeout: float = 15.0) -> None:
    """Sets and removes cameras. Raises CameraTopicError unless Kafka has all of it."""
    try:
        kafka.create_topics(bootstrap, [CAMERAS], 1, timeout)
    except KafkaException as error:
        raise CameraTopicError(f"Kafka at {bootstrap}: {error.args[0].str()}") from error
    producer = kafka.producer(bootstrap, "rewatch-cameras", **{"delivery.timeout.ms": int(timeout * 1000)})
    failures: list[str] = []

    def landed(error: Any, _: Any) -> None:
        if error is not None:
            failures.append(error.str())

    for spec in specs:
        producer.produce(CAMERAS.name, msgspec.json.encode(spec), spec.id.encode(), on_delivery=landed)
    for camera in remove:
        producer.produce(CAMERAS.name, None, camera.encode(), on_delivery=landed)
    left = producer.flush(timeout + 1)
    if failures or left:
        raise CameraTopicError(f"Kafka at {bootstrap}: {failures[0] if failures else 'no answer'}")
