"""`rewatch ledger`: where every frame is, and why one is missing."""

from collections.abc import Iterable
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console

from cli.collect import Record, read_all
from cli.reach import reached
from cli.table import table
from schemas.ledger import Frames, Ledger
from schemas.messages import COLD, AnalysisLedger, Event, IngestLedger, LedgerEntry
from schemas.results import rfc3339
from schemas.topics import EVENTS, LEDGER


class Missing(msgspec.Struct, frozen=True):
    """Some frames of one GOP, or of a hole in the log, that have no result."""

    camera: str
    captured_ns: int
    session: str
    gop: int | None
    frames: int
    """-1: nobody can know how many"""
    what: str
    """lost, failed, gap, waiting, unexplained; forgotten: no frame is missing, but tracks begin anew"""
    reason: str


class CameraLedger:
    """One camera's accounts, and the holes in its log."""

    def __init__(self, camera: str) -> None:
        self.camera = camera
        self.accounts = Ledger()
        self._gaps: dict[str, Event] = {}

    def add(self, entry: LedgerEntry | Event) -> None:
        if isinstance(entry, Event):
            self._gaps[entry.id] = entry
        else:
            self.accounts.add(entry)

    def frames(self) -> Frames:
        return self.accounts.frames()

    def missing(self) -> list[Missing]:
        """In order of capture. A GOP that was published and not analysed waits, if nothing behind it was analysed."""
        found = []
        latest = max((entry.captured_ns for entry in self.accounts.analysis.values()), default=0)
        for key, entry in self.accounts.ingest.items():
            if entry.lost:
                found.append(self._of(entry, entry.lost, "lost", entry.reason or "no reason given"))
            done = self.accounts.analysis.get(key)
            left = entry.published - (done.consumed if done is not None else 0)
            if left > 0:
                waits = done is None and entry.captured_ns > latest
                why = "not analysed yet" if waits else "published, but never seen by a worker"
                found.append(self._of(entry, left, "waiting" if waits else "unexplained", why))
        for analysed in self.accounts.analysis.values():
            if analysed.failed:
                found.append(self._of(analysed, analysed.failed, "failed", analysed.reason or "no reason given"))
            elif analysed.reason.startswith(COLD):
                found.append(self._of(analysed, 0, "forgotten", analysed.reason))
        for gap in self._gaps.values():
            start, lost = int(gap.details.get("from_ns", gap.captured_ns)), int(gap.details.get("lost", -1))
            reason = f"{gap.details.get('reason', '')}, until {rfc3339(gap.captured_ns)}"
            found.append(Missing(self.camera, start, "", None, lost, "gap", reason))
        return sorted(found, key=lambda one: one.captured_ns)

    def _of(self, entry: IngestLedger | AnalysisLedger, frames: int, what: str, reason: str) -> Missing:
        return Missing(self.camera, entry.captured_ns, entry.session, entry.gop, frames, what, reason)


def ledgers(records: Iterable[Record]) -> dict[str, CameraLedger]:
    """By camera, of records of the topics ledger and events."""
    found: dict[str, CameraLedger] = {}
    for record in records:
        entry: LedgerEntry | Event
        if record.topic == LEDGER.name:
            entry = msgspec.json.decode(record.value or b"", type=LedgerEntry)
        elif record.topic == EVENTS.name:
            entry = msgspec.json.decode(record.value or b"", type=Event)
            if entry.kind != "gap":
                continue
        else:
            continue
        found.setdefault(entry.camera, CameraLedger(entry.camera)).add(entry)
    return found


def ledger(
    camera: Annotated[str | None, typer.Option(help="One camera; default: all.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
) -> None:
    """Where every frame is that the log still knows of. Exit status 1 if one is missing without a reason."""
    found = ledgers(read_all(reached().kafka, [LEDGER.name, EVENTS.name]))
    chosen = [found[name] for name in sorted(found) if camera in (None, name)]
    missing = [one for each in chosen for one in each.missing()]
    if as_json:
        cameras: list[dict[str, Any]] = [
            {"id": each.camera, "frames": each.frames(), "missing": each.missing()} for each in chosen
        ]
        typer.echo(msgspec.json.encode({"cameras": cameras}).decode())
    else:
        _print(chosen, missing)
    if any(one.what == "unexplained" for one in missing):
        raise typer.Exit(1)


def _print(chosen: list[CameraLedger], missing: list[Missing]) -> None:
    console = Console()
    sums = table("camera", *Frames.__struct_fields__, numbers=Frames.__struct_fields__, title="frames")
    for each in chosen:
        sums.add_row(each.camera, *(str(count) for count in msgspec.structs.astuple(each.frames())))
    console.print(sums)
    if not missing:
        console.print("Nothing is missing.")
        return
    columns = "since", "camera", "session", "GOP", "frames", "what", "reason"
    gone = table(*columns, numbers=("GOP", "frames"), title="missing")
    for one in missing:
        count = "?" if one.frames < 0 else str(one.frames)
        gop = "" if one.gop is None else str(one.gop)
        gone.add_row(rfc3339(one.captured_ns), one.camera, one.session, gop, count, one.what, one.reason)
    console.print(gone)
