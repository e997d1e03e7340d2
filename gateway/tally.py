"""What a file's results add up to. Results may come more than once: identity and revision decide."""

from collections import Counter, defaultdict
from typing import Any, Final

import msgspec

from gateway.log import Record
from schemas.analysis import Analysis, LineRule
from schemas.ledger import Ledger
from schemas.messages import Detections, Event, Flow, LedgerEntry
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
