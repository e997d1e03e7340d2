"""The port to the log: what the gateway wants from Kafka, and nothing more."""

from collections.abc import Mapping
from types import TracebackType
from typing import Protocol, Self

from msgspec import Struct

Position = dict[int, int]
"""partition -> offset of the next record to read"""


class Record(Struct, frozen=True):
    """One record of a topic. `timestamp_ms` is what the broker keeps; -1 when it keeps none."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes
    value: bytes | None
    headers: Mapping[str, bytes]


class LogUnavailable(Exception):
    """The log does not answer now; the same call may succeed later."""


class PositionGone(Exception):
    """A position lies before the log's first record: retention has deleted what it points at."""


class Reader(Protocol):
    """Batches of records in order of offset within each partition; the partitions interleave as they come.

    With a stop position the reader ends once every partition has reached its own; without, it follows for ever.
    Must be entered before it is read. Raises LogUnavailable or PositionGone.
    """

    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def __aiter__(self) -> Self: ...
    async def __anext__(self) -> list[Record]: ...
    def leave(self, partition: int) -> None:
        """Nothing more of this partition is wanted. A few records already fetched may still come."""


class Log(Protocol):
    """Raises LogUnavailable from any method when the log does not answer in time."""

    async def open(self) -> None:
        """Makes sure that the topics exist."""

    async def close(self) -> None: ...

    async def starts(self, topic: str) -> Position:
        """The first offset that is still there, of every partition."""

    async def ends(self, topic: str) -> Position:
        """The offset that the next record will get, of every partition."""

    async def at(self, topic: str, timestamp_ms: int) -> Position:
        """The first offset whose timestamp is `timestamp_ms` or later; the end where there is none."""

    def reader(self, topic: str, start: Position, stop: Position | None = None) -> Reader:
        """Reads the partitions named in `start`."""

    async def publish(self, topic: str, key: bytes, value: bytes | None) -> None:
        """Returns once the record is acknowledged; None as a value is a tombstone."""
