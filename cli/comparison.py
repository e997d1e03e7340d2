"""What looking again has found, for people: one table of all cameras, and their events in order of time."""

from collections.abc import Sequence
from typing import Final

from rich.console import Console

from cli.table import table
from replay.again import Again
from replay.compare import Difference
from schemas.messages import Event
from schemas.results import rfc3339

_SHOWN: Final = 40


def show(found: Sequence[Again]) -> None:
    console = Console()
    numbers = "same", "gained", "lost", "changed"
    shown = table("camera", "", *numbers, numbers=numbers)
    for again in found:
        about = again.span.camera, rfc3339(again.span.from_ns), rfc3339(again.until_ns), ""
        for line, (kind, counts) in zip(about, again.comparison.counts().items(), strict=True):
            shown.add_row(line, kind, *(str(count) for count in counts.values()))
        shown.add_section()
    console.print(shown)
    differences = [one for again in found for one in again.comparison.differences if one.key.kind == "Event"]
    events = sorted(differences, key=lambda one: (_event(one).captured_ns, _event(one).camera))
    for difference in events[:_SHOWN]:
        console.print(_line(difference), highlight=False)
    if len(events) > _SHOWN:
        console.print(f"and {len(events) - _SHOWN} more; --json has all")
    for again in found:
        name = again.span.camera
        if again.cold:
            console.print(
                f"{name} started cold, half a minute early: what depends on more of the past than that may differ.",
                highlight=False,
            )
        if not again.consistent and again.comparison.differences:
            console.print(f"{name}: what came after the end was not looked at again.", highlight=False)


def _event(difference: Difference) -> Event:
    event = difference.after or difference.before
    assert isinstance(event, Event)
    return event


def _line(difference: Difference) -> str:
    event = _event(difference)
    what = f"{event.kind} {event.rule} {event.label or ''}"
    return f"{difference.change:8} {rfc3339(event.captured_ns)} {event.camera} {what}"
