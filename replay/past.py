"""What was published of a span the first time: results by identity, and the checkpoints that are left."""

from collections.abc import Collection
from typing import Any, Final

import msgspec
from msgspec import Struct

from processors.chain import MEMORY_NS
from replay.log import PartitionLog
from replay.span import Span
from schemas.messages import (
    AnalysisLedger,
    Checkpoint,
    Detections,
    EndLedger,
    Event,
    FailedWindow,
    Flow,
    IngestLedger,
    LedgerEntry,
)
from schemas.results import identity
from schemas.topics import CHECKPOINTS, DETECTIONS, EVENTS, FAILED_WINDOWS, FLOW, LEDGER

Outcome = Detections | Event | Flow | AnalysisLedger
"""the results that a replay may revise"""

_DECODERS: Final[dict[str, msgspec.json.Decoder[Any]]] = {
    DETECTIONS.name: msgspec.json.Decoder(Detections),
    EVENTS.name: msgspec.json.Decoder(Event),
    FLOW.name: msgspec.json.Decoder(Flow),
    LEDGER.name: msgspec.json.Decoder(LedgerEntry),
}
_END: Final = 2**63
_MINUTE_NS: Final = 60_000_000_000
_EARLY_MS: Final = 5_000
"""clocks of two machines differ"""


class Key(Struct, frozen=True):
    kind: str
    identity: str


def key_of(message: Outcome) -> Key:
    return Key(type(message).__name__, identity(message))


def time_of(message: Outcome) -> int:
    """Capture time in ns; of a flow row the beginning of its minute."""
    return message.minute_ns if isinstance(message, Flow) else message.captured_ns


def lies_in(message: Outcome, span: Span) -> bool:
    """It comes out of the span's GOPs or of later ones; where the span begins within a GOP, it speaks of its time: of a
    flow row's minute the end is enough.

    Where the GOP itself is the beginning, time would not do: a minute's row comes out of the first frame behind it,
    which may be that keyframe, and pictures that are shown before a keyframe may come after it."""
    if keyframe_of(message) < span.keyframe_offset:
        return False
    if span.from_ns <= span.keyframe_ns:
        return True
    if isinstance(message, Flow):
        return message.minute_ns + _MINUTE_NS > span.from_ns
    return message.captured_ns >= span.from_ns


def keyframe_of(message: Outcome) -> int:
    """Offset of the keyframe whose GOP it comes from; of a gap, or of what an end brought out, that record's own."""
    return message.keyframe_offset if isinstance(message, AnalysisLedger) else message.provenance.keyframe_offset


def published(
    bootstrap: str, span: Span, until_offset: int, topics: Collection[str] = tuple(_DECODERS)
) -> dict[Key, Outcome]:
    """The newest revision of every result of the span's camera that lies in it or behind it and comes from a GOP in
    front of `until_offset`."""
    found: dict[Key, Outcome] = {}
    for topic, decoder in _DECODERS.items():
        if topic not in topics:
            continue
        with PartitionLog(bootstrap, topic, span.partition) as log:
            start = log.at(min(span.stamped_ms, span.from_ns // 1_000_000) - _EARLY_MS)
            for records in log.read(start):
                for record in records:
                    if record.key != span.camera.encode():
                        continue
                    try:
                        message = decoder.decode(record.value)
                    except msgspec.DecodeError:
                        continue
                    if isinstance(message, IngestLedger | EndLedger):
                        continue
                    if not lies_in(message, span) or not _of_the_log(message, span):
                        continue
                    if keyframe_of(message) >= until_offset:
                        continue
                    known = found.get(key_of(message))
                    if known is None or message.revision >= known.revision:
                        found[key_of(message)] = message
    return found


def doubtful(bootstrap: str, span: Span) -> int:
    """Offset of the keyframe from which on, up to the span, live checkpoints are not to be believed; the span's own
    where they are. They are not behind what was shed, or repaired by a replay of which they know nothing: as far as a
    state remembers, and as far as a backfill has found them to differ."""
    first, first_ns, low_ns = span.keyframe_offset, span.from_ns, span.from_ns
    while first_ns - MEMORY_NS < low_ns:
        low_ns = first_ns - max(MEMORY_NS, span.from_ns - first_ns)
        stamped_ms = span.stamped_ms - (span.from_ns - low_ns) // 1_000_000
        before = msgspec.structs.replace(span, keyframe_offset=0, keyframe_ns=0, from_ns=low_ns, stamped_ms=stamped_ms)
        for entry in published(bootstrap, before, first, (LEDGER.name,)).values():
            if isinstance(entry, AnalysisLedger) and (entry.revision > 0 or entry.shed):
                first, first_ns = min(first, entry.keyframe_offset), min(first_ns, entry.captured_ns)
    return min(first, *_looked_at(bootstrap, span), span.keyframe_offset)


def _looked_at(bootstrap: str, span: Span) -> list[int]:
    """Where the backfills began that have gone over the span's beginning."""
    found = []
    with PartitionLog(bootstrap, FAILED_WINDOWS.name, span.partition) as log:
        for records in log.read(log.at(span.stamped_ms - _EARLY_MS)):
            for record in records:
                if record.key != span.camera.encode():
                    continue
                try:
                    window = msgspec.json.decode(record.value, type=FailedWindow)
                except msgspec.DecodeError:
                    continue
                over = window.keyframe_offset <= span.keyframe_offset < window.last_offset
                if window.shed and window.topic == span.topic and over:
                    found.append(window.keyframe_offset)
    return found


def shed(bootstrap: str, span: Span) -> dict[int, int]:
    """Of the span and behind it, GOPs that are shed until now: capture time by keyframe offset, in order."""
    entries = published(bootstrap, span, _END, (LEDGER.name,)).values()
    found = {e.keyframe_offset: e.captured_ns for e in entries if isinstance(e, AnalysisLedger) and e.shed}
    return dict(sorted(found.items()))


def checkpoints(bootstrap: str, span: Span) -> list[Checkpoint]:
    """Those of the camera that compaction has left, in the order of their offsets."""
    found = []
    with PartitionLog(bootstrap, CHECKPOINTS.name, span.partition) as log:
        for records in log.read(log.low):
            for record in records:
                if record.key != span.camera.encode() or not record.value:
                    continue
                try:
                    checkpoint = msgspec.json.decode(record.value, type=Checkpoint)
                except msgspec.DecodeError:
                    continue
                if (checkpoint.topic, checkpoint.partition) == (span.topic, span.partition):
                    found.append(checkpoint)
    return sorted(found, key=lambda checkpoint: checkpoint.offset)


def _of_the_log(message: Outcome, span: Span) -> bool:
    """Gap and end events of another topic's records are none of this span's."""
    where = message if isinstance(message, AnalysisLedger) else message.provenance
    return (where.topic, where.partition) == (span.topic, span.partition)
