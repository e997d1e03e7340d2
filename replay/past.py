"""What was published of a span the first time: results by identity, and the checkpoints that are left."""

from collections.abc import Collection
from typing import Any, Final

import msgspec
from msgspec import Struct

from replay.log import PartitionLog
from replay.span import Span
from schemas.messages import AnalysisLedger, Checkpoint, Detections, EndLedger, Event, Flow, IngestLedger, LedgerEntry
from schemas.results import identity
from schemas.topics import CHECKPOINTS, DETECTIONS, EVENTS, FLOW, LEDGER

Outcome = Detections | Event | Flow | AnalysisLedger
"""the results that a replay may revise"""

_DECODERS: Final[dict[str, msgspec.json.Decoder[Any]]] = {
    DETECTIONS.name: msgspec.json.Decoder(Detections),
    EVENTS.name: msgspec.json.Decoder(Event),
    FLOW.name: msgspec.json.Decoder(Flow),
    LEDGER.name: msgspec.json.Decoder(LedgerEntry),
}
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


def keyframe_of(message: Outcome) -> int:
    """Offset of the keyframe whose GOP it comes from; of a gap, or of what an end brought out, that record's own."""
    return message.keyframe_offset if isinstance(message, AnalysisLedger) else message.provenance.keyframe_offset


def published(
    bootstrap: str, span: Span, until_offset: int, topics: Collection[str] = tuple(_DECODERS)
) -> dict[Key, Outcome]:
    """The newest revision of every result of the span's camera, from the capture time `span.from_ns` on, that comes
    from a GOP in front of `until_offset`."""
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
                    if time_of(message) < span.from_ns or not _of_the_log(message, span):
                        continue
                    if keyframe_of(message) >= until_offset:
                        continue
                    known = found.get(key_of(message))
                    if known is None or message.revision >= known.revision:
                        found[key_of(message)] = message
    return found


def repaired(bootstrap: str, span: Span, since_ns: int) -> list[int]:
    """Keyframe offsets of the GOPs in front of the span, since then, that a replay has analysed after a failure: the
    live checkpoints behind them know nothing of it."""
    before = msgspec.structs.replace(
        span, from_ns=since_ns, stamped_ms=span.stamped_ms - (span.from_ns - since_ns) // 1_000_000
    )
    entries = published(bootstrap, before, span.keyframe_offset, (LEDGER.name,)).values()
    return [entry.keyframe_offset for entry in entries if isinstance(entry, AnalysisLedger) and entry.revision > 0]


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
