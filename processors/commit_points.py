"""Where a consumer may commit and must start: the port between Faust's consumer and whoever owns the offsets."""

from collections.abc import Iterable
from typing import Protocol

Partition = tuple[str, int]
"""topic and partition"""


class CommitPoints(Protocol):
    def partitions(self) -> Iterable[Partition]:
        """Those of which something was read."""
        ...

    def safe(self, partition: Partition) -> int | None:
        """Everything below is done for good; None: nothing to commit yet."""
        ...

    async def hand_over(self) -> None:
        """The partitions may go elsewhere, or the process ends properly: asked before either."""
        ...

    async def assigned(self, committed: dict[Partition, int | None]) -> dict[Partition, int]:
        """The new assignment with the group's committed offsets. What was assigned before and is so no more is
        dropped. Returns where to read on; a partition left out starts where Kafka says."""
        ...
