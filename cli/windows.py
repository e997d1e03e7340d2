"""`rewatch windows`: what could not be analysed, or was left for later, and what became of it."""

from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from cli.collect import read_all
from cli.reach import reached
from schemas.messages import AnalysisLedger, FailedWindow, LedgerEntry
from schemas.topics import FAILED_WINDOWS, LEDGER


class FailedState(msgspec.Struct, frozen=True):
    state: str
    """waiting, repaired, given up; shed, backfilled; behind: done, but not yet what was said after it"""
    window: FailedWindow
    """the latest attempt"""


def windows(
    camera: Annotated[str | None, typer.Option(help="One camera; default: all.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line instead of a table.")] = False,
) -> None:
    """Failed and shed windows that the log still knows, and what became of them."""
    found = states(reached().kafka, camera)
    if as_json:
        for one in found:
            typer.echo(msgspec.json.encode(one).decode())
        return
    table = Table("camera", "session", "GOP", "keyframe", "attempts", "state", "reason")
    for one in found:
        window = one.window
        where = f"{window.topic}/{window.partition}@{window.keyframe_offset}"
        table.add_row(
            window.camera, window.session, str(window.gop), where, str(window.attempt), one.state, window.reason
        )
    Console().print(table)


def states(bootstrap: str, camera: str | None = None) -> list[FailedState]:
    """By camera and offset. A failed window is repaired when its newest ledger entry has no failed frame; a shed one is
    backfilled when its entry does not say shed."""
    latest: dict[tuple[str, int, int], FailedWindow] = {}
    ledger: dict[tuple[str, int, int], AnalysisLedger] = {}
    for record in read_all(bootstrap, [FAILED_WINDOWS.name, LEDGER.name]):
        if camera is not None and record.key != camera.encode():
            continue
        if record.topic == FAILED_WINDOWS.name:
            window = msgspec.json.decode(record.value or b"", type=FailedWindow)
            key = window.topic, window.partition, window.keyframe_offset
            if key not in latest or window.attempt >= latest[key].attempt:
                latest[key] = window
            continue
        entry: LedgerEntry = msgspec.json.decode(record.value or b"", type=LedgerEntry)
        if isinstance(entry, AnalysisLedger):
            key = entry.topic, entry.partition, entry.keyframe_offset
            if key not in ledger or entry.revision >= ledger[key].revision:
                ledger[key] = entry
    return [
        FailedState(_state(latest[key], ledger.get(key)), latest[key])
        for key in sorted(latest, key=lambda key: (latest[key].camera, key))
    ]


def _state(window: FailedWindow, entry: AnalysisLedger | None) -> str:
    if window.shed and window.attempt > 0 and not window.given_up:
        return "behind"
    if window.shed and entry is not None and not entry.shed:
        return "backfilled"
    if not window.shed and entry is not None and entry.revision > 0 and entry.failed == 0:
        return "repaired"
    if window.given_up:
        return "given up"
    return "shed" if window.shed else "waiting"
