"""The ingest process: the cameras of its group, one publisher, health and heartbeats."""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial

from confluent_kafka import KafkaException, Producer

from ingest.camera import Camera, Past
from ingest.camera_topic import Cameras, CameraTopic
from ingest.clock import ArrivalClock
from ingest.limits import Limits
from ingest.log_tail import last_record
from ingest.publisher import Publisher, bounded_producer
from ingest.take import Outage
from runtime import kafka
from runtime.config import Settings
from runtime.health import HealthServer
from runtime.heartbeat import Details, Heart
from runtime.logging import logger
from runtime.metrics import (
    INGEST_BYTES,
    INGEST_CONNECTED,
    INGEST_FAILURES,
    INGEST_LOST,
    INGEST_PUBLISHED,
    INGEST_QUEUE,
    INGEST_RECEIVED,
    INGEST_SESSIONS,
)
from schemas.analysis import CameraSpec
from schemas.topics import CAMERAS, FRAMES, TOPICS

_JOIN_SECONDS = 2.0
"""for all cameras together; one inside a blocking read cannot be asked to hurry, and holds nothing that matters"""
_CHECK_SECONDS = 5.0
_AGAIN_SECONDS = 1.0
PER_CAMERA = (
    INGEST_RECEIVED,
    INGEST_PUBLISHED,
    INGEST_LOST,
    INGEST_BYTES,
    INGEST_SESSIONS,
    INGEST_FAILURES,
    INGEST_CONNECTED,
    INGEST_QUEUE,
)


class Service:
    """Made by `build_service`; `run` until told to stop."""

    def __init__(self, settings: Settings, limits: Limits, publisher: Publisher) -> None:
        self._settings, self._limits = settings, limits
        self._publisher = publisher
        self._clock = ArrivalClock()
        self._log = logger("ingest")
        self._cameras: dict[str, Camera] = {}
        self._lock = threading.Lock()
        self._topic: CameraTopic | None = None
        self._health = HealthServer(settings.http_host, settings.http_port, self._not_live, self._not_ready)
        self._heart = Heart(settings, "ingest", self._ids, self._details)

    @property
    def port(self) -> int:
        """Of `/livez`, `/readyz` and `/metrics`."""
        return self._health.port

    async def run(self, stop: asyncio.Event, on_ready: Callable[[], None] = lambda: None) -> int:
        """Returns the process's exit code: 0 when stopped, 1 when it could not go on."""
        async with AsyncExitStack() as stack:
            await self._health.start()
            stack.push_async_callback(self._health.stop)
            self._log.info("ingest listens", host=self._settings.http_host, port=self.port)
            if not await self._topics_exist(stop):
                return 0
            self._publisher.start()
            stack.push_async_callback(asyncio.to_thread, self._stop_cameras)
            topic = CameraTopic(self._settings.kafka, f"{self._heart.process}-cameras", self._apply)
            topic.start()
            stack.push_async_callback(asyncio.to_thread, topic.stop)
            self._topic = topic
            self._heart.start()
            stack.push_async_callback(self._heart.stop)
            ready = False
            while not stop.is_set():
                if self._not_live():
                    self._log.error("ingest cannot go on", error=self._not_live())
                    return 1
                if topic.loaded and not ready:
                    ready = True
                    on_ready()
                try:
                    await asyncio.wait_for(stop.wait(), _CHECK_SECONDS if ready else 0.2)
                except TimeoutError:
                    continue
        return 0

    async def _topics_exist(self, stop: asyncio.Event) -> bool:
        """Waits for Kafka as long as it takes. False: stopped meanwhile."""
        wait = 0.5
        while not stop.is_set():
            try:
                await asyncio.to_thread(
                    kafka.create_topics, self._settings.kafka, TOPICS, self._settings.replication_factor, 5.0
                )
                return True
            except KafkaException as error:
                self._log.warning("Kafka does not answer", kafka=self._settings.kafka, error=error.args[0].str())
            try:
                await asyncio.wait_for(stop.wait(), wait)
            except TimeoutError:
                wait = min(10.0, wait * 2)
        return False

    # --- cameras

    def _mine(self, spec: CameraSpec) -> bool:
        return spec.labels.get("ingest", "") == self._settings.ingest_group

    def _apply(self, wanted: Cameras) -> None:
        """Called by the camera topic's thread with all cameras there are."""
        mine = {camera: spec for camera, spec in wanted.items() if self._mine(spec)}
        with self._lock:
            for camera in [known for known in self._cameras if known not in mine]:
                self._cameras.pop(camera).leave()
                self._log.info("camera removed", camera=camera)
            for camera, spec in mine.items():
                running = self._cameras.get(camera)
                if running is not None and running.spec == spec:
                    continue
                if running is not None and (running.spec.source, running.spec.batch) == (spec.source, spec.batch):
                    running.analyse_as(spec)
                    self._log.info("camera analysed differently from its next keyframe on", camera=camera)
                    continue
                if running is not None:
                    self._remove(camera)
                self._add(spec)

    def _add(self, spec: CameraSpec) -> None:
        camera = Camera(
            spec,
            self._publisher,
            self._limits,
            self._clock,
            recall=partial(self._recall, spec, resuming=not (self._topic and self._topic.loaded)),
            on_end=self._ended,
            on_gone=self._gone,
        )
        self._cameras[spec.id] = camera
        camera.start()
        self._log.info("camera added", camera=spec.id, batch=spec.batch)

    def _remove(self, camera: str) -> None:
        self._cameras.pop(camera).stop()

    def _recall(self, spec: CameraSpec, stop: threading.Event, resuming: bool) -> Past:
        """Waits for the log until `stop`: nothing could be published without it, and what nobody remembers would be
        missing without a word.

        `resuming`: the camera was there before this process, so what is missing since the log's end is an outage;
        one that was added or changed just now has missed nothing."""
        if spec.batch:
            return Past()
        last, told = None, False
        while not stop.is_set():
            try:
                last = last_record(self._settings.kafka, FRAMES.name, spec.id)
                break
            except KafkaException as error:
                if not told:
                    self._log.warning("waiting for the log's end", camera=spec.id, error=error.args[0].str())
                told = True
                stop.wait(_AGAIN_SECONDS)
        if last is None:
            return Past()
        outage = Outage("ingest_away", last.captured_ns) if resuming and not last.ended else None
        return Past(last.captured_ns, outage)

    def _ended(self, camera: str) -> None:
        with self._lock:
            ended = self._cameras.get(camera)
        if ended is not None and ended.spec.batch:
            # an upload needs no camera any more, and no restart shall read it again
            self._publisher.tombstone(CAMERAS.name, camera.encode())

    def _gone(self, camera: str) -> None:
        """Uploads come and go: their metrics must not pile up."""
        with self._lock:
            if camera in self._cameras:
                return
        for metric in PER_CAMERA:
            metric.remove_by_labels({"camera": camera})

    def _stop_cameras(self) -> None:
        with self._lock:
            cameras = list(self._cameras.values())
            self._cameras.clear()
        for camera in cameras:
            camera.stop()
        deadline = time.monotonic() + _JOIN_SECONDS
        for camera in cameras:
            camera.join(max(0.0, deadline - time.monotonic()))
        abandoned = self._publisher.stop()
        self._log.info("ingest stopped", cameras=len(cameras), abandoned=abandoned)

    # --- health

    def _not_live(self) -> str:
        if self._publisher.failure:
            return self._publisher.failure
        if self._topic is not None and not self._publisher.alive:
            return "a thread of the publisher has ended"
        if self._topic is not None and not self._topic.alive:
            return "the cameras are no longer followed"
        return ""

    def _not_ready(self) -> str:
        if self._topic is None:
            return "Kafka has not answered yet"
        return self._not_live() or ("" if self._topic.loaded else "the cameras are not read yet")

    def _ids(self) -> list[str]:
        with self._lock:
            return list(self._cameras)

    def _details(self) -> Details:
        with self._lock:
            cameras = list(self._cameras.values())
        return {
            "connected": sum(camera.connected for camera in cameras),
            "waiting": sum(camera.waiting for camera in cameras),
            "port": self.port,
        }


def build_service(settings: Settings, limits: Limits | None = None, producer: Producer | None = None) -> Service:
    """The composition root. Nothing is contacted before `run`."""
    limits = limits or Limits()
    producer = producer or bounded_producer(settings.kafka, "rewatch-ingest")
    return Service(settings, limits, Publisher(producer, limits, settings.linger_ms))
