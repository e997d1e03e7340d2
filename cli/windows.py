"""`rewatch windows`: what could not be analysed, or was left for later, and what became of it."""

from typing import Annotated

import msgspec
import typer
from rich.console import Console

from cli.collect import read_all
from cli.reach import reached
from cli.table import table
from schemas.messages import AnalysisLedger, FailedWindow, LedgerEntry
from schemas.topics import FAILED_WINDOWS, LEDGER
from schemas.windows import Windows, WindowState


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
    shown = table("camera", "session", "GOP", "keyframe", "attempts", "state", "reason", numbers=("GOP", "attempts"))
    for one in found:
        window = one.window
        where = f"{window.topic}/{window.partition}@{window.keyframe_offset}"
        shown.add_row(
            window.camera, window.session, str(window.gop), where, str(window.attempt), one.state, window.reason
        )
    Console().print(shown)


def states(bootstrap: str, camera: str | None = None) -> list[WindowState]:
    """By camera and offset."""
    records = read_all(bootstrap, [FAILED_WINDOWS.name, LEDGER.name])
    wanted = [record for record in records if camera is None or record.key == camera.encode()]
    found = Windows()
    for record in wanted:
        if record.topic == FAILED_WINDOWS.name:
            found.failed(msgspec.json.decode(record.value or b"", type=FailedWindow))
    for record in wanted:
        if record.topic == LEDGER.name:
            entry: LedgerEntry = msgspec.json.decode(record.value or b"", type=LedgerEntry)
            if isinstance(entry, AnalysisLedger):
                found.analysed(entry)
    return found.states()
