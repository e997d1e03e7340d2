"""How far a partition may be committed: up to the first GOP that is not closed, published and checkpointed.

Faust's own rule commits past unfinished work, so it is not asked. Pure; one object per partition.
"""

from typing import Final

IDLE_RECORDS: Final = 20_000
"""After so many records of others, a silent camera's open GOP is closed, so that it does not pin the commit for ever.
Counted in records and not in seconds, so that a second run decides the same."""


class PartitionProgress:
    def __init__(self, start: int | None = None) -> None:
        self.next = start
        """offset of the next record to be handed to a session; None before the first"""
        self._resume: dict[str, int] = {}
        self._last: dict[str, int] = {}

    def accept(self, offset: int) -> bool:
        """False for a record that was handed over before. Raises ValueError when records are missing in between."""
        if self.next is None:
            self.next = offset
        if offset < self.next:
            return False
        if offset > self.next:
            raise ValueError(f"records {self.next}..{offset - 1} were never delivered")
        self.next = offset + 1
        return True

    def touch(self, camera: str, offset: int) -> None:
        """A record of this camera was handed to its session. The first one is where a crash would resume."""
        self._resume.setdefault(camera, offset)
        self._last[camera] = offset

    def checkpointed(self, camera: str, offset: int) -> None:
        """Everything of this camera below `offset` is published, and its state in front of it is saved."""
        if camera in self._resume:
            self._resume[camera] = max(self._resume[camera], offset)

    def ended(self, camera: str) -> None:
        """Nothing of this camera is open."""
        self._resume.pop(camera, None)
        self._last.pop(camera, None)

    def idle(self) -> list[str]:
        """Cameras that were silent for the last IDLE_RECORDS records, in the order of their last record."""
        if self.next is None:
            return []
        border = self.next - IDLE_RECORDS
        return sorted((c for c, last in self._last.items() if last < border), key=lambda c: self._last[c])

    def safe(self) -> int | None:
        """The offset to commit; None while nothing was read."""
        if self.next is None:
            return None
        return min(self._resume.values(), default=self.next)
