"""What a file's results add up to. Results may come more than once: identity and revision decide."""

from collections import Counter, defaultdict
from typing import Any, Final

import msgspec

from gateway.log import Record
from schemas.analysis import Analysis, LineRule
from schemas.messages import AnalysisLedger, Detections, EndLedger, Event, Flow, IngestLedger, LedgerEntry
from schemas.results import identity
from schemas.topics import DETECTIONS, EVENTS, FLOW

MAX_EVENTS: Final = 10_000

_timing = msgspec.json.Decoder(dict[str, float])
_ledger: msgspec.json.Decoder[LedgerEntry] = msgspec.json.Decoder(LedgerEntry)
_decoders: Final[dict[str, msgspec.json.Decoder[Any]]] = {
    DETECTIONS.name: msgspec.json.Decoder(Detections),
    EVENTS.name: msgspec.json.Decoder(Event),
    FLOW.name: msgspec.json.Decoder(Flow),
}


class Frames(msgspec.Struct):
    """received = published + lost; published = decoded + failed; decoded = inferred + skipped."""

    received: int = 0
    published: int = 0
    decoded: int = 0
    inferred: int = 0
    skipped: int = 0
    failed: int = 0
    lost: int = 0


Gop = tuple[str, int]
"""session, number"""


class Ledger:
    """Sums of one camera's ledger."""

    def __init__(self) -> None:
        self._ingest: dict[Gop, IngestLedger] = {}
        self._analysis: dict[Gop, AnalysisLedger] = {}
        self.end: EndLedger | None = None

    def add(self, entry: LedgerEntry) -> None:
        if isinstance(entry, EndLedger):
            self.end = entry
        elif isinstance(entry, IngestLedger):
            self._ingest[entry.session, entry.gop] = entry
        else:
            known = self._analysis.get((entry.session, entry.gop))
            if known is None or entry.revision >= known.revision:
                self._analysis[entry.session, entry.gop] = entry

    def unread(self) -> int:
        """Published access units of GOPs that no worker has accounted for yet."""
        return sum(entry.published for name, entry in self._ingest.items() if name not in self._analysis)

    def settled(self) -> bool:
        """Whether every sum holds, GOP by GOP, for all that both sides have told."""
        edge = all(entry.received == entry.published + entry.lost for entry in self._ingest.values())
        worker = all(
            entry.consumed == entry.decoded + entry.failed and entry.decoded == entry.inferred + entry.skipped
            for entry in self._analysis.values()
        )
        both = self._ingest.keys() & self._analysis.keys()
        return edge and worker and all(self._ingest[name].published == self._analysis[name].consumed for name in both)

    def drop_untold(self) -> None:
        """Leaves out what the edge has not accounted for yet: its entry may come after the worker's."""
        self._analysis = {name: entry for name, entry in self._analysis.items() if name in self._ingest}

    def frames(self) -> Frames:
        ingest, analysis = self._ingest.values(), self._analysis.values()
        return Frames(
            received=sum(entry.received for entry in ingest),
            published=sum(entry.published for entry in ingest),
            lost=sum(entry.lost for entry in ingest),
            decoded=sum(entry.decoded for entry in analysis),
            inferred=sum(entry.inferred for entry in analysis),
            skipped=sum(entry.skipped for entry in analysis),
            failed=sum(entry.failed for entry in analysis),
        )

    def consumed(self) -> int:
        return sum(entry.consumed for entry in self._analysis.values())

    def failure(self) -> str:
        """Why frames failed; the first reason given."""
        return next((entry.reason for entry in self._analysis.values() if entry.failed and entry.reason), "")


def decode_ledger(record: Record) -> LedgerEntry | None:
    """None for what is no ledger entry."""
    try:
        return None if record.value is None else _ledger.decode(record.value)
    except msgspec.MsgspecError:
        return None


class Tally:
    def __init__(self, analysis: Analysis) -> None:
        self._analysis = analysis
        self._frames: dict[int, int] = {}
        self._labels: dict[str, Counter[str]] = defaultdict(Counter)
        self._latencies: list[float] = []
        self._events: dict[str, Event] = {}
        self._flow: dict[str, Flow] = {}
        self._model: tuple[str, str] | None = None

    def add(self, topic: str, record: Record) -> None:
        """Ignores what cannot be read: the ledger says whether anything is missing."""
        if record.value is None:
            return
        try:
            message: Detections | Event | Flow = _decoders[topic].decode(record.value)
        except msgspec.MsgspecError:
            return
        if isinstance(message, Detections):
            self._add_detections(message, record.headers.get("timing"))
        elif isinstance(message, Event):
            known = self._events.get(message.id)
            if known is None or message.revision >= known.revision:
                self._events[message.id] = message
        else:
            known_row = self._flow.get(identity(message))
            if known_row is None or message.revision >= known_row.revision:
                self._flow[identity(message)] = message

    def _add_detections(self, message: Detections, timing: bytes | None) -> None:
        if self._frames.get(message.captured_ns, -1) >= message.revision:
            return
        self._frames[message.captured_ns] = message.revision
        self._model = message.provenance.model, message.provenance.model_version
        for box in message.boxes:
            if box.track is not None:
                self._labels[box.track][box.label] += 1
        if timing is not None:
            try:
                stages = _timing.decode(timing)
            except msgspec.MsgspecError:
                return
            if "total" in stages:
                # a file's capture times lie in no real past, and read at full speed its frames queue for each other:
                # its latency is that of the work on a frame
                waiting = stages.get("transport", 0.0) + stages.get("queue", 0.0)
                self._latencies.append(stages["total"] - waiting)

    def result(self, ledger: Ledger) -> dict[str, Any]:
        events = sorted(self._events.values(), key=lambda event: (event.captured_ns, event.id))
        flow = sorted(self._flow.values(), key=lambda row: (row.minute_ns, row.line, row.label, row.direction))
        counts = {rule.name: 0 for rule in self._analysis.rules if isinstance(rule, LineRule)}
        for event in events:
            if event.kind == "line_crossed":
                counts[event.rule] = counts.get(event.rule, 0) + 1
        name, version = self._model or (self._analysis.model, None)
        return {
            "frames": msgspec.to_builtins(ledger.frames()),
            "tracks": dict(sorted(self._tracks().items())),
            "counts": counts,
            "events": [msgspec.to_builtins(event) for event in events[:MAX_EVENTS]],
            "events_total": len(events),
            "flow": [msgspec.to_builtins(row) for row in flow],
            "model": {"name": name, "version": version},
            "latency_ms": self._percentiles(),
        }

    def _tracks(self) -> Counter[str]:
        # a tie goes to the label that comes first in the alphabet: the same for the same file
        return Counter(min(seen, key=lambda label: (-seen[label], label)) for seen in self._labels.values())

    def _percentiles(self) -> dict[str, float] | None:
        ordered = sorted(self._latencies)
        if not ordered:
            return None
        return {f"p{share}": round(ordered[max(0, -(-len(ordered) * share // 100) - 1)], 1) for share in (50, 95, 99)}
