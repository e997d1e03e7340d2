"""When a record arrived in the log, by this process's own clock: what cameras say of the time may be wrong."""

from bisect import bisect_right
from collections.abc import Collection

from processors.commit_points import Partition


class Arrivals:
    """From the ends of partitions, looked at every now and then. Never says earlier than it was."""

    def __init__(self) -> None:
        self._ends: dict[Partition, list[tuple[int, int]]] = {}
        """end and when it was seen, in ns, in order"""

    def seen(self, partition: Partition, end: int, done: int, now_ns: int) -> None:
        """The log ends in front of `end`; nobody will ask for what lies below `done`."""
        ends = self._ends.setdefault(partition, [])
        if not ends or end > ends[-1][0]:
            ends.append((end, now_ns))
        del ends[: self._index(ends, done)]

    def at(self, partition: Partition, offset: int) -> int | None:
        """None for a record that was taken before the log's new end was looked at, or that is not there yet."""
        ends = self._ends.get(partition, [])
        index = self._index(ends, offset)
        return ends[index][1] if index < len(ends) else None

    def keep(self, partitions: Collection[Partition]) -> None:
        """Forgets what is assigned no more."""
        self._ends = {partition: ends for partition, ends in self._ends.items() if partition in partitions}

    @staticmethod
    def _index(ends: list[tuple[int, int]], offset: int) -> int:
        """Of the first end behind this offset."""
        return bisect_right(ends, offset, key=lambda end: end[0])
