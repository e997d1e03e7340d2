"""The columns of the Parquet tables, as DuckDB types, and the way back from a row to its message."""

from typing import Any, Final

import msgspec

from processors.store import Record, Table, table_of
from schemas.messages import AnalysisLedger, Detections, EndLedger, Event, Flow, IngestLedger

_PROVENANCE: Final = {
    "topic": "VARCHAR",
    "partition": "INTEGER",
    "keyframe_offset": "BIGINT",
    "first_offset": "BIGINT",
    "last_offset": "BIGINT",
    "model": "VARCHAR",
    "model_version": "VARCHAR",
    "config": "VARCHAR",
}
_BOX: Final = {
    "label": "VARCHAR",
    "score": "DOUBLE",
    "x1": "DOUBLE",
    "y1": "DOUBLE",
    "x2": "DOUBLE",
    "y2": "DOUBLE",
    "track": "VARCHAR",
}

COLUMNS: Final[dict[Table, dict[str, Any]]] = {
    "detections": {
        "camera": "VARCHAR",
        "captured_ns": "BIGINT",
        "session": "VARCHAR",
        "gop": "BIGINT",
        "pts": "BIGINT",
        "width": "INTEGER",
        "height": "INTEGER",
        "boxes": [_BOX],
        "signals": "MAP(VARCHAR, VARCHAR)",
        "provenance": _PROVENANCE,
        "revision": "INTEGER",
    },
    "events": {
        "id": "VARCHAR",
        "camera": "VARCHAR",
        "kind": "VARCHAR",
        "rule": "VARCHAR",
        "captured_ns": "BIGINT",
        "track": "VARCHAR",
        "label": "VARCHAR",
        "box": _BOX,
        "details": "JSON",
        "provenance": _PROVENANCE,
        "revision": "INTEGER",
    },
    "flow": {
        "camera": "VARCHAR",
        "line": "VARCHAR",
        "minute_ns": "BIGINT",
        "label": "VARCHAR",
        "direction": "VARCHAR",
        "count": "BIGINT",
        "mean_speed": "DOUBLE",
        "provenance": _PROVENANCE,
        "revision": "INTEGER",
    },
    # three stages in one table: what a stage does not have is null
    "ledger": {
        "stage": "VARCHAR",
        "camera": "VARCHAR",
        "session": "VARCHAR",
        "gop": "BIGINT",
        "captured_ns": "BIGINT",
        "received": "BIGINT",
        "published": "BIGINT",
        "lost": "BIGINT",
        "consumed": "BIGINT",
        "decoded": "BIGINT",
        "inferred": "BIGINT",
        "skipped": "BIGINT",
        "failed": "BIGINT",
        "topic": "VARCHAR",
        "partition": "INTEGER",
        "keyframe_offset": "BIGINT",
        "reason": "VARCHAR",
        "error": "VARCHAR",
        "revision": "INTEGER",
    },
}
TIME_COLUMN: Final[dict[Table, str]] = {
    "detections": "captured_ns",
    "events": "captured_ns",
    "flow": "minute_ns",
    "ledger": "captured_ns",
}

_TYPES: Final[dict[str, type[Record]]] = {
    "detections": Detections,
    "events": Event,
    "flow": Flow,
    "ingest": IngestLedger,
    "analysis": AnalysisLedger,
    "end": EndLedger,
}


def to_row(record: Record) -> str:
    """JSON with every column of the record's table."""
    table = table_of(record)
    if table != "ledger":
        return msgspec.json.encode(record).decode()
    everything = {**dict.fromkeys(COLUMNS[table]), "revision": 0, **msgspec.to_builtins(record)}
    return msgspec.json.encode(everything).decode()


def to_record(table: Table, row: dict[str, Any]) -> Record:
    """A null where the message has a default means that the file is older than the field."""
    type_ = _TYPES[row["stage"] if table == "ledger" else table]
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(type_):
        value = row.get(field.name)
        if value is not None or field.required:
            values[field.name] = value
    if table == "ledger":
        values["stage"] = row["stage"]
    if table == "events":
        values["details"] = msgspec.json.decode(values["details"])
    return msgspec.convert(values, type_)
