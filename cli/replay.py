"""`rewatch replay`, `rewatch backtest`, `rewatch verify`: a stretch of the log through the chain once more."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
import yaml
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from cli.moment import nanoseconds
from cli.reach import reached
from processors.triton import TritonDetector
from replay import evidence
from replay.again import Again, look_again
from replay.compare import Difference, revisions
from replay.log import LogGoneError, LogSilentError
from replay.publish import PublishError, publish, publish_into
from replay.verify import EventUnknownError, Verdict, verify_event
from runtime.config import Settings
from schemas.analysis import Analysis
from schemas.messages import Detections, Event
from schemas.results import Result, rfc3339

Json = Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")]
From = Annotated[str, typer.Option("--from", help="Capture time: 2025-11-21T06:00 (UTC unless it says), or ns.")]
To = Annotated[str, typer.Option("--to", help="Likewise.")]
Model = Annotated[str | None, typer.Option(help="Another served model.")]
Rules = Annotated[Path | None, typer.Option(help="YAML with what changes in the analysis: rules, tracking, labels.")]

_SHOWN: Final = 40
_console = Console(stderr=True)
_EXPECTED: Final = (LogGoneError, LogSilentError, PublishError, EventUnknownError, FileExistsError, ValueError)


def replay(
    camera: Annotated[str, typer.Option(help="The camera's id.")],
    start: From,
    end: To,
    model: Model = None,
    rules: Rules = None,
    into: Annotated[
        str | None, typer.Option(help="Publish everything to this topic, and revise nothing; made if missing.")
    ] = None,
    even_cold: Annotated[
        bool, typer.Option("--even-cold", help="Publish although no checkpoint was left to start from.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Look again, and publish what comes out different as the next revision."""
    settings = reached()
    from_ns, to_ns = nanoseconds(start, "--from"), nanoseconds(end, "--to")
    with _reported(as_json):
        again = _look(settings, camera, from_ns, to_ns, _change(model, rules), as_json)
        if into is not None:
            found = list(again.found.values())
            published = publish_into(settings.kafka, into, found, settings.replication_factor)
        elif again.cold and model is None and rules is None and not even_cold:
            # tracks older than the warm-up have other names now: that is no reason to revise anything
            published = 0
        else:
            published = publish(settings.kafka, revisions(again.comparison))
    _show(again, as_json, {"published": published})


def backtest(
    cameras: Annotated[list[str], typer.Option("--camera", help="A camera's id. Repeatable.")],
    start: From,
    end: To,
    model: Model = None,
    rules: Rules = None,
    as_json: Json = False,
) -> None:
    """What another model or other rules would have made of the past. Publishes nothing."""
    settings = reached()
    from_ns, to_ns = nanoseconds(start, "--from"), nanoseconds(end, "--to")
    change = _change(model, rules)
    if change is None:
        raise typer.BadParameter("a backtest wants --model or --rules")
    reports = []
    for camera in cameras:
        with _reported(as_json):
            again = _look(settings, camera, from_ns, to_ns, change, as_json)
        if as_json:
            reports.append(_report(again))
        else:
            _show(again, False, {})
    if as_json:
        typer.echo(msgspec.json.encode({"cameras": reports}).decode())


def verify(
    event: Annotated[str, typer.Argument(help="The event's id.")],
    export: Annotated[
        Path | None, typer.Option(help="Make this folder: clip, event, verdict, model card, and their sums.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Derive an event from the log again. Exit status 1 if what comes out is not what was published."""
    settings = reached()
    with _reported(as_json):
        verdict = asyncio.run(_verify(settings, event))
        if export is not None:
            evidence.export(settings.kafka, verdict, export, _card(settings, verdict.event.provenance.model))
    if as_json:
        typer.echo(msgspec.json.encode(verdict).decode())
    else:
        console = Console()
        console.print(
            f"[bold]{'same' if verdict.same else 'DIFFERENT'}[/]  {verdict.event.kind} {event}", highlight=False
        )
        console.print(verdict.why, highlight=False)
    if not verdict.same:
        raise typer.Exit(1)


def _card(settings: Settings, model: str) -> Path | None:
    places = (Path(__file__).resolve().parents[1] / "triton_models", settings.cache.expanduser() / "models")
    cards = (place / model / "README.md" for place in places)
    return next((card for card in cards if card.is_file()), None)


async def _verify(settings: Settings, event: str) -> Verdict:
    detector = TritonDetector(settings.triton, settings.triton_shared_memory)
    try:
        return await verify_event(settings.kafka, detector, event)
    finally:
        await detector.stop()


def _look(
    settings: Settings,
    camera: str,
    from_ns: int,
    to_ns: int,
    change: Callable[[Analysis], Analysis] | None,
    quiet: bool,
) -> Again:
    with Progress(
        TextColumn(camera), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeElapsedColumn(),
        console=_console, disable=quiet,
    ) as progress:  # fmt: skip
        task = progress.add_task(camera, total=(to_ns - from_ns) / 1e9)

        def seen(message: Result) -> None:
            if isinstance(message, Detections):
                progress.update(task, completed=max(0, message.captured_ns - from_ns) / 1e9)

        async def run() -> Again:
            detector = TritonDetector(settings.triton, settings.triton_shared_memory)
            try:
                return await look_again(
                    settings.kafka, detector, camera, from_ns, to_ns, change, seen, settings.decode_threads
                )
            finally:
                await detector.stop()

        return asyncio.run(run())


def _change(model: str | None, rules: Path | None) -> Callable[[Analysis], Analysis] | None:
    """From a keyframe's analysis to the wanted one. Raises typer.BadParameter."""
    if model is None and rules is None:
        return None
    given: Any = {}
    if rules is not None:
        try:
            given = yaml.safe_load(rules.read_text()) or {}
        except (OSError, yaml.YAMLError) as error:
            raise typer.BadParameter(f"{rules}: {error}") from error
        if not isinstance(given, dict):
            raise typer.BadParameter(f"{rules}: wants a mapping such as `rules: [...]`")
    if model is not None:
        given = {**given, "model": model}

    def changed(analysis: Analysis) -> Analysis:
        return msgspec.convert({**msgspec.to_builtins(analysis), **given}, Analysis)

    try:
        msgspec.convert({**msgspec.to_builtins(Analysis()), **given, "signals": given.get("signals", [])}, Analysis)
    except msgspec.ValidationError as error:
        # a rule may want a signal that only the keyframes' analysis has
        if "signal" not in str(error):
            raise typer.BadParameter(f"{rules or '--model'}: {error}") from error
    return changed


class _reported:
    """Expected failures as one line, or one JSON object, and exit status 1."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if not isinstance(error, _EXPECTED):
            return
        if self._as_json:
            typer.echo(msgspec.json.encode({"error": str(error)}).decode())
        else:
            _console.print(f"[red]{error}", highlight=False)
        raise typer.Exit(1) from error


def _report(again: Again) -> dict[str, Any]:
    return {
        "camera": again.span.camera,
        "from": rfc3339(again.span.from_ns),
        "to": rfc3339(again.until_ns),
        "frames": again.frames,
        "cold": again.cold,
        "consistent": again.consistent,
        "counts": again.comparison.counts(),
        "events": [
            {"change": difference.change, "before": difference.before, "after": difference.after}
            for difference in again.comparison.differences
            if difference.key.kind == "Event"
        ],
    }


def _show(again: Again, as_json: bool, more: dict[str, Any]) -> None:
    if as_json:
        typer.echo(msgspec.json.encode({**_report(again), **more}).decode())
        return
    console = Console()
    table = Table(title=f"{again.span.camera}  {rfc3339(again.span.from_ns)} to {rfc3339(again.until_ns)}")
    for column in ("", "same", "gained", "lost", "changed"):
        table.add_column(column, justify="left" if not column else "right")
    for kind, counts in again.comparison.counts().items():
        table.add_row(kind, *(str(count) for count in counts.values()))
    console.print(table)
    events = [difference for difference in again.comparison.differences if difference.key.kind == "Event"]
    for difference in events[:_SHOWN]:
        console.print(_line(difference), highlight=False)
    if len(events) > _SHOWN:
        console.print(f"and {len(events) - _SHOWN} more; --json has all")
    if again.cold:
        console.print("It started cold, half a minute early: what depends on more of the past than that may differ.")
        console.print("Without another model or rules nothing is then published, unless --even-cold says so.")
    if not again.consistent and again.comparison.differences:
        console.print("What came after the end was not looked at again.")
    for name, value in more.items():
        console.print(f"{name}: {value}", highlight=False)


def _line(difference: Difference) -> str:
    event = difference.after or difference.before
    assert isinstance(event, Event)
    return f"{difference.change:8} {rfc3339(event.captured_ns)} {event.kind} {event.rule} {event.label or ''}"
