"""How far a live worker is behind, camera by camera: what is measured for shedding, and what came of it."""

import math
from collections import deque
from collections.abc import Callable, Collection, Mapping
from typing import Final

from processors.arrivals import Arrivals
from processors.commit_points import Partition
from processors.shedding import Load, Shedding, step
from runtime.logging import logger
from runtime.metrics import WORKER_LATENCY, WORKER_SHED_LEVEL

WINDOW_NS: Final = 3_000_000_000

_log = logger("pace")


class _Camera:
    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.priority = self.objects = 0
        self.samples: deque[tuple[int, float]] = deque()
        """when a frame came out, in ns, and its seconds since it had arrived in the log"""

    def p95(self, now_ns: int) -> float:
        while self.samples and self.samples[0][0] < now_ns - WINDOW_NS:
            self.samples.popleft()
        seconds = sorted(second for _, second in self.samples)
        return seconds[math.ceil(0.95 * len(seconds)) - 1] if seconds else 0.0


class MeasuredPace:
    """The port `Pace` of a worker with a budget; with a budget of 0 it only measures."""

    def __init__(self, budget_ms: int, clock: Callable[[], int]) -> None:
        self._budget_ms, self._clock = budget_ms, clock
        self._arrivals = Arrivals()
        self._cameras: dict[str, _Camera] = {}
        self._shedding = Shedding()
        self._slowest = 0.0

    def level(self, camera: str) -> int:
        return self._shedding.levels.get(camera, 0)

    def done(self, camera: str, record: tuple[str, int, int], received_ns: int, priority: int, objects: int) -> None:
        topic, partition, offset = record
        now_ns = self._clock()
        known = self._cameras.setdefault(camera, _Camera((topic, partition)))
        known.priority, known.objects = priority, objects
        arrived_ns = self._arrivals.at(known.partition, offset)
        waited_ns = now_ns - min(received_ns, received_ns if arrived_ns is None else arrived_ns)
        known.samples.append((now_ns, waited_ns / 1e9))

    def look(self, ends: Mapping[Partition, tuple[int, int, int]], cameras: Collection[str], now: float) -> None:
        """To be called a few times a second. `ends`: each partition's end, position and commit point; `cameras`: those
        of this worker; `now`: monotonic seconds."""
        now_ns = self._clock()
        for partition, (end, _, done) in ends.items():
            self._arrivals.seen(partition, end, done, now_ns)
        self._arrivals.keep(ends)
        for gone in [camera for camera in self._cameras if camera not in cameras]:
            del self._cameras[gone]
            WORKER_LATENCY.remove(gone)
            WORKER_SHED_LEVEL.remove(gone)
        loads = [self._load(camera, known, ends, now_ns) for camera, known in sorted(self._cameras.items())]
        self._slowest = max((load.seconds for load in loads), default=0.0)
        if self._budget_ms:
            before, self._shedding = self._shedding, step(self._shedding, loads, now, self._budget_ms / 1000)
            self._tell(before.levels)
        for load in loads:
            WORKER_LATENCY.labels(load.camera).set(load.seconds)
            WORKER_SHED_LEVEL.labels(load.camera).set(self.level(load.camera))

    def details(self) -> dict[str, str | float | int]:
        """For the heartbeat: a replayer looks whether there is room."""
        return {
            "latency_p95_ms": round(self._slowest * 1000, 1),
            "latency_budget_ms": self._budget_ms,
            "shed_level": max(self._shedding.levels.values(), default=0),
        }

    def _load(self, camera: str, known: _Camera, ends: Mapping[Partition, tuple[int, int, int]], now_ns: int) -> Load:
        """Where nothing comes out, the record that is to be taken next says how late it is."""
        seconds = known.p95(now_ns)
        if known.partition in ends:
            arrived_ns = self._arrivals.at(known.partition, ends[known.partition][1])
            seconds = max(seconds, (now_ns - arrived_ns) / 1e9 if arrived_ns is not None else 0.0)
        return Load(camera, seconds, known.priority, known.objects)

    def _tell(self, before: dict[str, int]) -> None:
        for camera, level in self._shedding.levels.items():
            if level != before.get(camera, 0):
                _log.warning(
                    "sheds" if level else "sheds no more", camera=camera, level=level, seconds=round(self._slowest, 3)
                )
