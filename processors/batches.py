"""Which records wait for the store, when they go, and how far their partitions may be committed. Pure."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from processors.commit_points import Partition
from processors.store import Record


@dataclass(eq=False)
class Progress:
    """Of one assignment of one partition; a later assignment of the same partition is another object, so that what
    is still under way for the earlier one can't move it."""

    next: int
    """offset of the record that comes next"""
    safe: int
    """everything below is in the store, or can never be"""


@dataclass(frozen=True)
class Entry:
    progress: Progress
    offset: int
    record: Record | None
    """None: skipped, but committed only after everything before it"""
    source: Partition
    arrived: float


Batch = tuple[Entry, ...]


class Batches:
    def __init__(self, max_records: int, max_seconds: float) -> None:
        self._max_records, self._max_seconds = max_records, max_seconds
        self._progress: dict[Partition, Progress] = {}
        self._waiting: deque[Entry] = deque()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def partitions(self) -> Iterable[Partition]:
        return list(self._progress)

    def progress(self, partition: Partition) -> Progress | None:
        return self._progress.get(partition)

    def safe(self, partition: Partition) -> int | None:
        progress = self._progress.get(partition)
        return None if progress is None else progress.safe

    def position(self, partition: Partition) -> int | None:
        progress = self._progress.get(partition)
        return None if progress is None else progress.next

    def keep(self, partitions: Iterable[Partition]) -> None:
        """All others belong to somebody else from now on: who gets them reads again what waits here."""
        kept = set(partitions)
        self._progress = {partition: each for partition, each in self._progress.items() if partition in kept}
        alive = set(map(id, self._progress.values()))
        self._waiting = deque(entry for entry in self._waiting if id(entry.progress) in alive)

    def begin(self, partition: Partition, offset: int) -> None:
        self._progress[partition] = Progress(offset, offset)

    def expects(self, partition: Partition, offset: int) -> bool:
        """False: of no partition of ours, or seen before. Raises ValueError when records are missing in between."""
        progress = self._progress.get(partition)
        if progress is None or offset < progress.next:
            return False
        if offset > progress.next:
            raise ValueError(f"records {progress.next}..{offset - 1} were never delivered")
        return True

    def add(self, partition: Partition, offset: int, record: Record | None, now: float) -> None:
        """The record that `expects` has let through."""
        progress = self._progress[partition]
        progress.next = offset + 1
        self._waiting.append(Entry(progress, offset, record, partition, now))

    def due_in(self, now: float) -> float | None:
        """Seconds until the next batch shall go; 0: now; None: nothing waits."""
        if not self._waiting:
            return None
        if len(self._waiting) >= self._max_records:
            return 0.0
        return max(0.0, self._waiting[0].arrived + self._max_seconds - now)

    def take(self) -> Batch:
        """The longest waiting, in order of arrival."""
        return tuple(self._waiting.popleft() for _ in range(min(self._max_records, len(self._waiting))))

    def stored(self, batch: Batch) -> None:
        """Batches must be reported in the order in which they were taken."""
        for entry in batch:
            entry.progress.safe = entry.offset + 1
