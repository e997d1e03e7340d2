"""What became of a camera's access units, as the topic `ledger` tells it: the sums, and whether they hold."""

from msgspec import Struct

from schemas.messages import AnalysisLedger, EndLedger, IngestLedger, LedgerEntry


class Frames(Struct):
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
    """One camera's accounts: the edge's and the newest revision of the worker's, by GOP."""

    def __init__(self) -> None:
        self.ingest: dict[Gop, IngestLedger] = {}
        self.analysis: dict[Gop, AnalysisLedger] = {}
        self.end: EndLedger | None = None

    def add(self, entry: LedgerEntry) -> None:
        if isinstance(entry, EndLedger):
            self.end = entry
        elif isinstance(entry, IngestLedger):
            self.ingest[entry.session, entry.gop] = entry
        else:
            known = self.analysis.get((entry.session, entry.gop))
            if known is None or entry.revision >= known.revision:
                self.analysis[entry.session, entry.gop] = entry

    def unread(self) -> int:
        """Published access units of GOPs that no worker has accounted for yet."""
        return sum(entry.published for name, entry in self.ingest.items() if name not in self.analysis)

    def settled(self) -> bool:
        """Whether every sum holds, GOP by GOP, for all that both sides have told."""
        edge = all(entry.received == entry.published + entry.lost for entry in self.ingest.values())
        worker = all(
            entry.consumed == entry.decoded + entry.failed and entry.decoded == entry.inferred + entry.skipped
            for entry in self.analysis.values()
        )
        both = self.ingest.keys() & self.analysis.keys()
        return edge and worker and all(self.ingest[name].published == self.analysis[name].consumed for name in both)

    def drop_untold(self) -> None:
        """Leaves out what the edge has not accounted for yet: its entry may come after the worker's."""
        self.analysis = {name: entry for name, entry in self.analysis.items() if name in self.ingest}

    def frames(self) -> Frames:
        ingest, analysis = self.ingest.values(), self.analysis.values()
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
        return sum(entry.consumed for entry in self.analysis.values())

    def failure(self) -> str:
        """Why frames failed; the first reason given."""
        return next((entry.reason for entry in self.analysis.values() if entry.failed and entry.reason), "")
