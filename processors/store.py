"""The port to whatever keeps results for later questions, and its fake.

A record is known by its identity (`schemas.results.identity`). Of one identity the highest revision counts, of equal
revisions the one written last: writing anything again, in any order of revisions, leaves the same table.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Literal, Protocol, get_args

import msgspec
from msgspec import Struct

from schemas import topics
from schemas.messages import AnalysisLedger, Detections, EndLedger, Event, Flow, IngestLedger, LedgerEntry
from schemas.results import identity
from schemas.topics import Topic

Record = Detections | Event | Flow | IngestLedger | AnalysisLedger | EndLedger
Table = Literal["detections", "events", "flow", "ledger"]
TABLES: Final[tuple[Table, ...]] = get_args(Table)
MAX_NS: Final = 2**63 - 2
"""InfluxDB keeps the last nanosecond for itself"""

RECORDED: Final[dict[Table, Topic]] = {
    "detections": topics.DETECTIONS,
    "events": topics.EVENTS,
    "flow": topics.FLOW,
    "ledger": topics.LEDGER,
}
_TABLES_BY_TOPIC: Final[dict[str, Table]] = {topic.name: table for table, topic in RECORDED.items()}
_decoders: Final[dict[Table, msgspec.json.Decoder[Record]]] = {
    "detections": msgspec.json.Decoder(Detections),
    "events": msgspec.json.Decoder(Event),
    "flow": msgspec.json.Decoder(Flow),
    "ledger": msgspec.json.Decoder(LedgerEntry),
}


class BadRecordError(ValueError):
    """The value is not a message that this topic carries; the same bytes would be refused again."""


class Query(Struct, frozen=True):
    """Which rows: capture time in [start_ns, end_ns), of one camera or all; the latest `limit` of them."""

    table: Table
    start_ns: int = 0
    end_ns: int = MAX_NS
    camera: str | None = None
    limit: int | None = None


class Refused(Struct, frozen=True):
    """A record that the store will never take."""

    record: Record
    why: str


class Store(Protocol):
    """Blocking; `write` is called by one thread at a time."""

    def write(self, records: Sequence[Record]) -> Sequence[Refused]:
        """When it returns, everything but the refused is durable. Raises RetryError when the store does not answer;
        some of the records may then be written: write the same again."""
        ...

    def read(self, query: Query) -> list[Record]:
        """By capture time, then identity. Raises RetryError."""
        ...

    def count(self, query: Query) -> int:
        """Rows, `limit` ignored. Raises RetryError."""
        ...

    def close(self) -> None: ...


def decode(topic: str, value: bytes | None) -> Record:
    """Raises BadRecordError."""
    if not value:
        raise BadRecordError("no value")
    try:
        record = _decoders[_TABLES_BY_TOPIC[topic]].decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRecordError(str(error)) from error
    if not 0 <= captured_ns(record) <= MAX_NS:
        raise BadRecordError(f"capture time {captured_ns(record)} is not within 0..{MAX_NS}")
    return record


def from_json(table: Table, value: str | bytes) -> Record:
    return _decoders[table].decode(value)


def table_of(record: Record) -> Table:
    match record:
        case Detections():
            return "detections"
        case Event():
            return "events"
        case Flow():
            return "flow"
        case _:
            return "ledger"


def captured_ns(record: Record) -> int:
    return record.minute_ns if isinstance(record, Flow) else record.captured_ns


def revision(record: Record) -> int:
    return getattr(record, "revision", 0)


def newest(records: Iterable[Record]) -> list[Record]:
    """One record of each identity, in order of first appearance."""
    kept: dict[tuple[Table, str], Record] = {}
    for record in records:
        key = table_of(record), identity(record)
        before = kept.get(key)
        if before is None or revision(record) >= revision(before):
            kept[key] = record
    return list(kept.values())


def in_order(records: Iterable[Record], limit: int | None) -> list[Record]:
    ordered = sorted(records, key=lambda record: (captured_ns(record), identity(record)))
    return ordered if limit is None else ordered[max(0, len(ordered) - limit) :]


class FakeStore:
    """In memory. `failures` are raised first, one a write; records in `refuse` (by identity) are refused."""

    def __init__(self, failures: list[Exception] | None = None, refuse: Iterable[str] = ()) -> None:
        self.failures = failures if failures is not None else []
        self.refuse = set(refuse)
        self.batches: list[tuple[Record, ...]] = []
        self.rows: dict[tuple[Table, str], Record] = {}
        self.closed = False

    def write(self, records: Sequence[Record]) -> Sequence[Refused]:
        if self.failures:
            raise self.failures.pop(0)
        self.batches.append(tuple(records))
        refused = [Refused(record, "unwanted") for record in records if identity(record) in self.refuse]
        for record in records:
            key = table_of(record), identity(record)
            before = self.rows.get(key)
            if key[1] not in self.refuse and (before is None or revision(record) >= revision(before)):
                self.rows[key] = record
        return refused

    def read(self, query: Query) -> list[Record]:
        return in_order(self._rows(query), query.limit)

    def count(self, query: Query) -> int:
        return len(self._rows(query))

    def close(self) -> None:
        self.closed = True

    def _rows(self, query: Query) -> list[Record]:
        return [
            record
            for (table, _), record in self.rows.items()
            if table == query.table
            and query.start_ns <= captured_ns(record) < query.end_ns
            and query.camera in (None, record.camera)
        ]
