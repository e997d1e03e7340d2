"""What is left when everything has come to rest: every row of every table, and what speaks against it."""

import asyncio
import time
from collections.abc import Collection
from itertools import groupby, pairwise
from typing import Final

import msgspec
from msgspec import Struct

from cli.collect import Record, read_all
from cli.ledger import ledgers
from cli.system import INFLUX_DATABASE
from cli.windows import states
from devstack.stack import Stack
from processors.influx import InfluxStore
from processors.store import TABLES, Query, decode, newest, table_of
from processors.store import Record as Row
from processors.triton import TritonDetector
from replay.again import look_again
from replay.compare import Comparison
from schemas.codec import decode as decode_frame
from schemas.messages import AccessUnit, EndLedger, Event
from schemas.results import identity, rfc3339, to_json
from schemas.topics import DETECTIONS, EVENTS, FLOW, FRAMES, LEDGER
from schemas.windows import OPEN
from tests.chaos.scene import FPS, LIVE, RECORDED, SECOND_NS

RESULTS: Final = (DETECTIONS.name, EVENTS.name, FLOW.name, LEDGER.name)
_DARK_NS: Final = 4 * SECOND_NS // FPS
"""frames further apart than this have others missing between them"""
_REORDER_NS: Final = SECOND_NS
"""how far ahead of others a picture may be sent"""

Rows = dict[str, bytes]
"""content without its revision, by where it is and its identity"""


class Outcome(Struct, frozen=True):
    rows: Rows
    """of the recorded cameras"""
    live_rows: int
    complaints: list[str]


def settle(stack: Stack, cameras: Collection[str], patience: float = 240.0) -> str:
    """Waits until the cameras' ends are analysed, no failed window waits and the store holds all. Returns what is still
    missing when patience ends."""
    bootstrap = stack.addresses.kafka_bootstrap
    deadline = time.monotonic() + patience
    store = InfluxStore(stack.addresses.influx_url, "", "rewatch", INFLUX_DATABASE)
    try:
        while True:
            missing = _unsettled(bootstrap, store, cameras)
            if not missing or time.monotonic() > deadline:
                return missing
            time.sleep(2.5)
    finally:
        store.close()


def outcome(stack: Stack, with_live: bool) -> Outcome:
    bootstrap = stack.addresses.kafka_bootstrap
    records = read_all(bootstrap, RESULTS)
    rows = {f"Kafka {name}": row for name, row in _published(records, RECORDED).items()}
    store = InfluxStore(stack.addresses.influx_url, "", "rewatch", INFLUX_DATABASE)
    try:
        for table in TABLES:
            for camera in RECORDED:
                for row in store.read(Query(table, camera=camera, limit=None)):
                    rows[f"InfluxDB {table} {identity(row)}"] = _content(row)
    finally:
        store.close()
    complaints = [
        f"{camera}: {one.frames} frames {one.what}: {one.reason}"
        for camera, each in ledgers(records).items()
        for one in each.missing()
        if one.what in ("failed", "unexplained", "waiting") and (camera == LIVE or one.what == "failed")
    ]
    live_rows = 0
    if with_live:
        live_rows, found = _live(stack, records)
        complaints += found
    return Outcome(rows, live_rows, complaints)


def _published(records: list[Record], cameras: Collection[str]) -> Rows:
    wanted = {camera.encode() for camera in cameras}
    decoded = [decode(record.topic, record.value) for record in records if record.key in wanted]
    return {f"{table_of(row)} {identity(row)}": _content(row) for row in newest(decoded)}


def _content(row: Row) -> bytes:
    return to_json(msgspec.structs.replace(row, revision=0) if hasattr(row, "revision") else row)


def _unsettled(bootstrap: str, store: InfluxStore, cameras: Collection[str]) -> str:
    records = read_all(bootstrap, RESULTS)
    rows = newest(decode(record.topic, record.value) for record in records)
    ended = {row.camera for row in rows if isinstance(row, EndLedger)}
    if set(cameras) - ended:
        return f"the end of {sorted(set(cameras) - ended)} was not analysed"
    waiting = [one for one in states(bootstrap) if one.state in OPEN]
    if waiting:
        return f"{len(waiting)} failed windows wait"
    for table in TABLES:
        wanted, held = sum(table_of(row) == table for row in rows), store.count(Query(table))
        if held != wanted:
            return f"InfluxDB holds {held} of {wanted} rows of {table}"
    return ""


def _live(stack: Stack, records: list[Record]) -> tuple[int, list[str]]:
    """Nobody knows what the live camera's tables would have been: but its log is there, and can be looked at again."""
    bootstrap = stack.addresses.kafka_bootstrap
    frames = [record for record in read_all(bootstrap, [FRAMES.name]) if record.key == LIVE.encode()]
    units = [decode_frame(record.key, record.value, record.headers) for record in frames]
    captured = _captured([unit for unit in units if isinstance(unit, AccessUnit)])
    if not captured:
        return 0, ["the live camera has no frames"]
    complaints = _gaps(captured, records)

    async def look() -> Comparison:
        detector = TritonDetector(stack.addresses.triton_grpc, True)
        try:
            again = await look_again(bootstrap, detector, LIVE, captured[0], captured[-1] + SECOND_NS)
            return again.comparison
        finally:
            await detector.stop()

    comparison = asyncio.run(look())
    counts = comparison.counts()
    complaints += [
        f"live camera, looked at again: {number} {kind} {change}"
        for kind, changes in counts.items()
        for change, number in changes.items()
        if change != "same" and number
    ]
    complaints += [
        f"first: {(one.before and to_json(one.before))!r} is now {(one.after and to_json(one.after))!r}"
        for one in comparison.differences[:1]
    ]
    return sum(changes["same"] for changes in counts.values()), complaints


def _captured(units: list[AccessUnit]) -> list[int]:
    """Capture times, without the pictures that had come ahead of others when a session broke off: they were shown after
    pictures that never came."""
    found: list[int] = []
    for _, session in groupby(units, key=lambda unit: unit.session):
        times = sorted(unit.captured_ns for unit in session)
        holes = [after for before, after in pairwise(times) if after - before > _DARK_NS]
        while holes and times[-1] - holes[-1] < _REORDER_NS:
            del times[times.index(holes.pop()) :]
        found += times
    return sorted(found)


def _gaps(captured: list[int], records: list[Record]) -> list[str]:
    """The gaps that the ledger names are exactly the times without frames."""
    dark = [(a, b) for a, b in pairwise(captured) if b - a > _DARK_NS]
    gaps = []
    for record in records:
        if record.topic == EVENTS.name and record.key == LIVE.encode():
            event = msgspec.json.decode(record.value or b"", type=Event)
            if event.kind == "gap":
                gaps.append((int(event.details["from_ns"]), int(event.details["to_ns"])))
    unnamed = [pair for pair in dark if not any(_same(pair, gap) for gap in gaps)]
    invented = [gap for gap in gaps if not any(_same(pair, gap) for pair in dark) and gap[1] - gap[0] > _DARK_NS]
    named = ", ".join(f"{rfc3339(start)} to {rfc3339(end)}" for start, end in gaps) or "none"
    return [
        f"live camera: {what} from {rfc3339(start)} to {rfc3339(end)}; gaps: {named}"
        for what, found in (("nothing", unnamed), ("a gap and frames", invented))
        for start, end in found
    ]


def _same(dark: tuple[int, int], gap: tuple[int, int]) -> bool:
    """A gap begins with the last picture that came, which may be one that was ahead of others."""
    return -_DARK_NS <= gap[0] - dark[0] <= _REORDER_NS + _DARK_NS and abs(gap[1] - dark[1]) <= _DARK_NS


def differing(one: Rows, other: Rows) -> list[str]:
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
