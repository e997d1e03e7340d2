"""`rewatch replay`, `rewatch backtest`, `rewatch verify`: a stretch of the log through the chain once more."""

import asyncio
import os
import re
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
import yaml
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from cli import comparison
from cli.moment import FORMS, nanoseconds
from cli.reach import reached
from processors.keyframe_index import KeyframeIndex
from processors.triton import TritonDetector
from replay import evidence
from replay.again import Again
from replay.log import LogGoneError, LogSilentError
from replay.publish import PublishError
from replay.request import carry_out, report
from replay.verify import EventUnknownError, Verdict, verify_event
from runtime.config import Settings
from schemas.analysis import check_changes
from schemas.messages import Detections, Provenance, ReplayRequest
from schemas.results import Result
from training.model_card import encode_card
from training.model_repository import card_of

Json = Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")]
From = Annotated[str, typer.Option("--from", help=f"Capture time: {FORMS}.")]
To = Annotated[str, typer.Option("--to", help="Likewise.")]
Model = Annotated[str | None, typer.Option(help="Another served model.")]
Rules = Annotated[Path | None, typer.Option(help="YAML with what changes in the analysis: rules, tracking, labels.")]

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
    speed: Annotated[str, typer.Option(help="max, or times the pace of the capture: 1x, 2x, 0.5x.")] = "max",
    even_cold: Annotated[
        bool, typer.Option("--even-cold", help="Publish although no checkpoint was left to start from.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Look again, and publish what comes out different as the next revision."""
    settings = reached()
    request = ReplayRequest(
        id="",
        camera=camera,
        from_ns=nanoseconds(start, "--from"),
        to_ns=nanoseconds(end, "--to"),
        changes=_changes(model, rules),
        into=into or "",
        speed=_times(speed),
        even_cold=even_cold,
    )
    with _reported(as_json):
        (found,) = asyncio.run(_carry_out(settings, [request], as_json))
        if isinstance(found, Exception):
            raise found
    again, published = found
    if as_json:
        typer.echo(msgspec.json.encode(report(again, published)).decode())
        return
    comparison.show([again])
    if again.cold and not (request.changes or request.into or request.even_cold):
        typer.echo("Without another model or rules nothing is then published, unless --even-cold says so.")
    typer.echo(f"published: {published}")


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
    changes = _changes(model, rules)
    if not changes:
        raise typer.BadParameter("a backtest wants --model or --rules")
    requests = [
        ReplayRequest(id="", camera=camera, from_ns=from_ns, to_ns=to_ns, kind="backtest", changes=changes)
        for camera in dict.fromkeys(cameras)
    ]
    found = asyncio.run(_carry_out(settings, requests, as_json))
    done = [one[0] for one in found if not isinstance(one, Exception)]
    failed = {
        request.camera: str(one) or repr(one)
        for request, one in zip(requests, found, strict=True)
        if isinstance(one, Exception)
    }
    if as_json:
        answer: dict[str, Any] = {"cameras": [report(again) for again in done]}
        if failed:
            answer["failed"] = [{"camera": camera, "error": error} for camera, error in failed.items()]
        typer.echo(msgspec.json.encode(answer).decode())
    else:
        if done:
            comparison.show(done)
        for camera, error in failed.items():
            _console.print(f"[red]{camera}: {error}", highlight=False)
    if failed:
        raise typer.Exit(1)


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
            evidence.export(settings.kafka, verdict, export, _card(settings, verdict.event.provenance))
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


def _card(settings: Settings, provenance: Provenance) -> dict[str, bytes]:
    """Of the version that answered, as far as it is stored here: for machines, and for people where there is one."""
    places = (Path(__file__).resolve().parents[1] / "triton_models", settings.cache.expanduser() / "models")
    model = next((place / provenance.model for place in places if (place / provenance.model).is_dir()), None)
    if model is None:
        return {}
    card, text = card_of(model, int(provenance.model_version or 1)), model / "README.md"
    found = {} if card is None else {"model-card.json": encode_card(card)}
    return {**found, "model-card.md": text.read_bytes()} if text.is_file() else found


async def _verify(settings: Settings, event: str) -> Verdict:
    detector = TritonDetector(settings.triton, settings.triton_shared_memory)
    try:
        return await verify_event(settings.kafka, detector, event)
    finally:
        await detector.stop()


async def _carry_out(
    settings: Settings, requests: list[ReplayRequest], quiet: bool
) -> list[tuple[Again, int] | Exception]:
    """In the order of the requests: what was found and how much was published, or what came in the way."""
    free = asyncio.Semaphore(os.cpu_count() or 1)
    detector = TritonDetector(settings.triton, settings.triton_shared_memory)
    index = KeyframeIndex(settings.redis)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )

    async def one(request: ReplayRequest, progress: Progress) -> tuple[Again, int] | Exception:
        task = progress.add_task(request.camera, total=(request.to_ns - request.from_ns) / 1e9, start=False)

        def seen(message: Result) -> None:
            if isinstance(message, Detections):
                progress.update(task, completed=max(0, message.captured_ns - request.from_ns) / 1e9)

        async with free:
            progress.start_task(task)
            try:
                return await carry_out(settings, detector, request, seen, index)
            except Exception as error:
                return error
            finally:
                progress.stop_task(task)

    try:
        with Progress(*columns, console=_console, disable=quiet) as progress:
            return list(await asyncio.gather(*(one(request, progress) for request in requests)))
    finally:
        await detector.stop()
        index.close()


def _times(speed: str) -> float | None:
    """None for `max`. Raises typer.BadParameter."""
    if speed == "max":
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)x?", speed)
    if found is None or not float(found[1]) > 0:
        raise typer.BadParameter(f"{speed!r} is neither max nor a multiple such as 1x or 0.5x", param_hint="--speed")
    return float(found[1])


def _changes(model: str | None, rules: Path | None) -> dict[str, Any]:
    """What shall differ from the keyframes' analysis. Raises typer.BadParameter."""
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
    try:
        check_changes(given)
    except msgspec.ValidationError as error:
        raise typer.BadParameter(f"{rules or '--model'}: {error}") from error
    return given  # type: ignore[no-any-return]


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
