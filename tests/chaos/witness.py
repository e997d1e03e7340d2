"""Sees every result as it comes, and says how long a camera had none after something happened."""

import threading
import time
from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import Any, Final

import msgspec
from confluent_kafka import OFFSET_BEGINNING, TopicPartition

from runtime.kafka import consumer
from schemas.messages import Detections, Heartbeat
from schemas.topics import DETECTIONS, HEARTBEATS

SILENCE_SECONDS: Final = 1.0
"""results come in bursts; this is longer than between two of them"""
EFFECT_SECONDS: Final = 10.0
"""what falls silent later than this after a fault has another reason"""


def recovery(arrivals: Sequence[float], since: float, until: float) -> float | None:
    """Seconds from a fault at `since` to the end of the silence that it made, the longest one that begins before
    `until` and not long after the fault: results that were on their way when it struck do not count as recovery. 0.0:
    there was no silence. None: it never ended, or nothing was to come any more, or `until` is too soon to say."""
    last = min(since + EFFECT_SECONDS, until)
    silences = [(end - begin, end) for begin, end in pairwise(arrivals) if begin < last and end > since]
    long = [(length, end) for length, end in silences if length >= SILENCE_SECONDS]
    if long:
        return max(long)[1] - since
    seen = arrivals and arrivals[-1] >= since + SILENCE_SECONDS and until >= since + EFFECT_SECONDS
    return 0.0 if seen else None


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

    def recovered(self, cameras: Collection[str], since: float, until: float) -> float | None:
        """Seconds until all of the cameras had results again, see `recovery`; None: not said of one of them."""
        with self._lock:
            times = [recovery(self._first.get(camera, ()), since, until) for camera in cameras]
        known = [one for one in times if one is not None]
        return max(known) if known and len(known) == len(times) else None

    def flows(self, camera: str, seconds: float, pause: float) -> bool:
        """Whether it has had results for so long, up to now, with no pause between them."""
        now = time.monotonic()
        with self._lock:
            times = [at for at in self._first.get(camera, ()) if at > now - seconds - pause]
        return bool(times) and all(b - a < pause for a, b in pairwise([now - seconds - pause, *times, now]))

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
