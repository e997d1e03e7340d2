from typing import Any

import msgspec

from cli.collect import Record
from cli.ledger import CameraLedger, ledgers
from schemas.ledger import Frames
from schemas.messages import COLD, AnalysisLedger, Event, IngestLedger, LedgerEntry, Provenance
from schemas.results import to_json, topic_of

SECOND = 1_000_000_000


def published(gop: int, count: int, lost: int = 0, reason: str = "") -> IngestLedger:
    return IngestLedger("cam", "s1", gop, gop * 2 * SECOND, count + lost, count, lost, reason)


def analysed(gop: int, consumed: int, failed: int = 0, **more: Any) -> AnalysisLedger:
    done = consumed - failed
    where = {"topic": "frames", "partition": 1, "keyframe_offset": gop * 100, **more}
    return AnalysisLedger("cam", "s1", gop, gop * 2 * SECOND, consumed, done, done, 0, failed, **where)


def read(*entries: LedgerEntry | Event) -> CameraLedger:
    records = [Record(topic_of(e).name, 1, n, 0, b"cam", to_json(e), {}) for n, e in enumerate(entries)]
    return ledgers(records)["cam"]


def test_sums_take_the_newest_revision_of_each_group_once() -> None:
    ledger = read(
        published(0, 30), published(0, 30), analysed(0, 30, failed=30, reason="no model"), analysed(0, 30, revision=1),
        analysed(0, 30, failed=30, reason="no model"),
    )  # fmt: skip
    assert ledger.frames() == Frames(received=30, published=30, decoded=30, inferred=30)
    assert ledger.missing() == []


def test_every_missing_frame_has_its_reason() -> None:
    gap = Event(
        "e1", "cam", "gap", "", 20 * SECOND, None, None, None,
        {"reason": "connection lost", "from_ns": 9 * SECOND, "to_ns": 20 * SECOND, "lost": -1},
        Provenance("frames", 1, 500, 500, 500, "", "", ""),
    )  # fmt: skip
    ledger = read(
        published(0, 30), analysed(0, 30, failed=12, reason="corrupt"),
        published(1, 0, lost=30, reason="kafka away"), published(2, 30), published(3, 30), analysed(3, 30), gap,
        published(11, 30), published(4, 30), analysed(4, 30, reason=f"{COLD}another format"),
    )  # fmt: skip
    assert [(one.what, one.gop, one.frames, one.reason) for one in ledger.missing()] == [
        ("failed", 0, 12, "corrupt"),
        ("lost", 1, 30, "kafka away"),
        ("unexplained", 2, 30, "published, but never seen by a worker"),
        ("forgotten", 4, 0, "cold start: another format"),
        ("gap", None, -1, "connection lost, until 1970-01-01T00:00:20.000000Z"),
        ("waiting", 11, 30, "not analysed yet"),
    ]
    assert msgspec.json.encode(ledger.missing())
