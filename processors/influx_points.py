"""How a record becomes a point. InfluxDB keeps one point of each measurement, tag set and time, and overwrites field by
field: so tags hold only what belongs to a record's identity, and every point of a measurement has the same fields.

Events and ledger entries of one place (same tags, same time) are told apart by the tag `slot`, a small number: the
identity itself as a tag would make a series of every event.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from influxdb_client.client.write.point import Point
from influxdb_client.domain.write_precision import WritePrecision
from msgspec import Struct

from processors.store import Record, Table, captured_ns, newest, revision, table_of
from schemas.messages import AnalysisLedger, Detections, EndLedger, Event, Flow, IngestLedger
from schemas.results import identity, to_json

SLOTTED: Final[tuple[Table, ...]] = ("events", "ledger")
"""tables where tags and time alone don't make the identity"""
UNKNOWN_SPEED: Final = -1.0
"""a point can't hold null"""

_Point: Final[Any] = Point  # its methods have no types
Tags = tuple[tuple[str, str], ...]
Place = tuple[Table, Tags, int]
"""table, tags without the slot, time in ns"""


class Held(Struct, frozen=True):
    """A point that the database holds."""

    slot: int
    identity: str
    revision: int


def place_of(record: Record) -> Place:
    tags: dict[str, str]
    match record:
        case Detections():
            tags = {"camera": record.camera}
        case Event():
            tags = {"camera": record.camera, "kind": record.kind, "rule": record.rule}
        case Flow():
            tags = {
                "camera": record.camera,
                "line": record.line,
                "label": record.label,
                "direction": record.direction,
            }
        case IngestLedger():
            tags = {"camera": record.camera, "stage": "ingest"}
        case AnalysisLedger():
            tags = {"camera": record.camera, "stage": "analysis"}
        case EndLedger():
            tags = {"camera": record.camera, "stage": "end"}
    return table_of(record), tidy_tags(tags), captured_ns(record)


def tidy_tags(tags: dict[str, str]) -> Tags:
    """InfluxDB has no empty tag values."""
    return tuple(sorted((name, value) for name, value in tags.items() if value))


def assign(records: Sequence[Record], held: dict[Place, list[Held]]) -> list[tuple[Record, int]]:
    """The records to be written, each with its slot; those below a revision that is held are left out."""
    taken = {place: {point.slot: point for point in points} for place, points in held.items()}
    chosen: list[tuple[Record, int]] = []
    for record in newest(records):
        place = place_of(record)
        slots = taken.setdefault(place, {})
        name = identity(record)
        own = next((point for point in slots.values() if place[0] not in SLOTTED or point.identity == name), None)
        if own is not None and own.revision > revision(record):
            continue
        slot = own.slot if own is not None else _first_free(slots)
        slots[slot] = Held(slot, name, revision(record))
        chosen.append((record, slot))
    return chosen


def spans(times: Iterable[int], gap_ns: int = 60_000_000_000) -> list[tuple[int, int]]:
    """Stretches [first, last] that hold all times and no hole longer than `gap_ns`."""
    found: list[tuple[int, int]] = []
    for time in sorted(times):
        if found and time - found[-1][1] <= gap_ns:
            found[-1] = found[-1][0], time
        else:
            found.append((time, time))
    return found


def point(record: Record, slot: int) -> Any:
    table, tags, time = place_of(record)
    made = _Point(table).time(time, WritePrecision.NS)
    for name, value in tags:
        made.tag(name, value)
    if table in SLOTTED:
        made.tag("slot", str(slot))
    for name, field in _fields(record).items():
        made.field(name, field)
    made.field("identity", identity(record))
    made.field("revision", revision(record))
    return made.field("json", to_json(record).decode())


def probe() -> Any:
    """A point that any bucket takes."""
    return _Point("rewatch_probe").field("ok", True)


def _fields(record: Record) -> dict[str, str | int | float]:
    """What a dashboard draws; the whole message is in the field `json`."""
    match record:
        case Detections():
            tracks = {box.track for box in record.boxes if box.track is not None}
            return {"boxes": len(record.boxes), "tracks": len(tracks)}
        case Event():
            return {"label": record.label or "", "track": record.track or ""}
        case Flow():
            speed = UNKNOWN_SPEED if record.mean_speed is None else float(record.mean_speed)
            return {"count": record.count, "mean_speed": speed}
        case IngestLedger():
            return {"received": record.received, "published": record.published, "lost": record.lost}
        case AnalysisLedger():
            return {
                "consumed": record.consumed,
                "decoded": record.decoded,
                "inferred": record.inferred,
                "skipped": record.skipped,
                "failed": record.failed,
            }
        case EndLedger():
            return {"published": record.published}


def _first_free(slots: dict[int, Held]) -> int:
    return next(number for number in range(len(slots) + 1) if number not in slots)
