"""Sees every result as it comes, and says how long a camera had none after something happened."""

import threading
import time
from collections.abc import Collection
from typing import Any

import msgspec
from confluent_kafka import OFFSET_BEGINNING, TopicPartition

from runtime.kafka import consumer
from schemas.messages import Detections, Heartbeat
from schemas.topics import DETECTIONS, HEARTBEATS


class Witness(threading.Thread):
    def __init__(self, bootstrap: str) -> None:
        super().__init__(name="witness", daemon=True)
        self._reader = consumer(bootstrap, "witness", **{"fetch.wait.max.ms": 20})
        self._lock = threading.Lock()
        self._first: dict[str, list[float]] = {}
        """by camera: when each result was there for the first time"""
        self._known: set[tuple[str, str, int, int]] = set()
        self._cameras: dict[int, tuple[str, ...]] = {}
        self._over = threading.Event()

    def run(self) -> None:
        parts = [(DETECTIONS, DETECTIONS.partitions), (HEARTBEATS, HEARTBEATS.partitions)]
        self._reader.assign(
            [TopicPartition(topic.name, number, OFFSET_BEGINNING) for topic, count in parts for number in range(count)]
        )
        while not self._over.is_set():
            message = self._reader.poll(0.2)
            if message is not None and message.error() is None:
                self._take(message)
        self._reader.close()

    def stop(self) -> None:
        self._over.set()
        self.join()

    def serves(self, pid: int) -> tuple[str, ...]:
        """The cameras that a worker named in its last heartbeat."""
        with self._lock:
            return self._cameras.get(pid, ())

    def recovered(self, cameras: Collection[str], since: float) -> float | None:
        """Seconds from `since` until each of the cameras had a new result; None: not all of them have yet."""
        with self._lock:
            after = [next((at for at in self._first.get(camera, ()) if at > since), None) for camera in cameras]
        times = [at - since for at in after if at is not None]
        return max(times) if times and len(times) == len(after) else None

    def _take(self, message: Any) -> None:
        now = time.monotonic()
        if message.topic() == HEARTBEATS.name:
            beat = msgspec.json.decode(message.value(), type=Heartbeat)
            with self._lock:
                self._cameras[beat.pid] = beat.cameras
            return
        seen = msgspec.json.decode(message.value(), type=Detections)
        identity = seen.camera, seen.session, seen.gop, seen.pts
        with self._lock:
            if identity not in self._known:
                self._known.add(identity)
                self._first.setdefault(seen.camera, []).append(now)
