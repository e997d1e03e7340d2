"""A worker that lives but does nothing: noticed, and ended, so that its cameras run elsewhere."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from processors.commit_points import Partition

STUCK_SECONDS: Final = 60.0
"""longer than any decoding or inference takes, retries apart"""
_LOOP_CHECKS: Final = 6


@dataclass
class _Stand:
    position: int
    since: float


class StuckDetector:
    """Says which partition stands although records wait in it. Waiting for a service is not standing."""

    def __init__(self, patience_seconds: float = STUCK_SECONDS) -> None:
        self._patience = patience_seconds
        self._stands: dict[Partition, _Stand] = {}

    def observe(self, partition: Partition, position: int, high: int, now: float, waiting: bool) -> bool:
        """`position`: next record to be taken; `high`: to be written, as far as known; `now`: monotonic seconds."""
        stand = self._stands.get(partition)
        if stand is None or waiting or position != stand.position or position >= high:
            self._stands[partition] = _Stand(position, now)
            return False
        return now - stand.since >= self._patience

    def keep(self, partitions: set[Partition]) -> None:
        """Forgets what is assigned no more."""
        self._stands = {partition: stand for partition, stand in self._stands.items() if partition in partitions}


class LoopWatch:
    """Calls `give_up` when the event loop has not ticked for a number of checks in a row.

    Checks are counted and not seconds: a process that was stopped as a whole finds both late, and goes on.
    """

    def __init__(self, give_up: Callable[[], None], pause_seconds: float = STUCK_SECONDS / _LOOP_CHECKS) -> None:
        self._give_up, self._pause = give_up, pause_seconds
        self._ticks = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loop-watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def tick(self) -> None:
        self._ticks += 1

    def _run(self) -> None:
        seen, silent = self._ticks, 0
        while not self._stop.wait(self._pause):
            silent = silent + 1 if self._ticks == seen else 0
            seen = self._ticks
            if silent >= _LOOP_CHECKS:
                self._give_up()
                return
