"""`rewatch analyze`: one video file through the pipeline, answered as JSON or tables."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import av
import httpx
import msgspec
import typer
import yaml
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from cli.stack import running_stack
from cli.system import System
from cli.table import table
from devstack.service import ServiceError
from runtime.config import Settings
from schemas.analysis import Analysis, LineRule

ROLES: Final = ("ingest", "worker-batch", "gateway")
SERVERS: Final = ("kafka", "triton")
BUNDLED: Final = Path(__file__).resolve().parents[1] / "triton_models"

_console = Console(stderr=True)


class _Failed(Exception):
    pass


def analyze(
    clip: Annotated[Path, typer.Argument(help="Any video file that FFmpeg reads.", dir_okay=False)],
    model: Annotated[str, typer.Option(help="A served model's name; see `rewatch models list`.")] = "junction-yolo",
    line: Annotated[
        list[str] | None,
        typer.Option(help="NAME=X1,Y1,X2,Y2: count what crosses; fractions of the picture, or pixels. Repeatable."),
    ] = None,
    rules: Annotated[Path | None, typer.Option(help="YAML with an analysis: rules, classes, sampling.")] = None,
    gateway: Annotated[str | None, typer.Option(help="A running gateway; default: that of `rewatch up`.")] = None,
    repository: Annotated[
        Path | None, typer.Option(help="Where the model is; default: the bundled ones, then `models` in the cache.")
    ] = None,
    token: Annotated[str, typer.Option(envvar="REWATCH_API_TOKEN", help="The gateway's bearer token.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
) -> None:
    """Analyse a file with what runs already, or with what this command starts for it and stops afterwards."""
    try:
        if not clip.is_file():
            raise _Failed(f"{clip} is not a file")
        analysis = _analysis(model, line or [], rules, clip)
        with _gateway(gateway, model, repository) as url:
            result = _analyze(url, token, clip, analysis)
    except (_Failed, ServiceError) as error:
        if as_json:
            typer.echo(msgspec.json.encode({"file": clip.name, "error": str(error)}).decode())
        else:
            _console.print(f"[red]{error}", highlight=False)
        raise typer.Exit(1) from error
    if as_json:
        typer.echo(msgspec.json.encode(result).decode())
    else:
        _tables(result)


def _analysis(model: str, lines: list[str], rules: Path | None, clip: Path) -> Analysis:
    given: dict[str, Any] = {}
    if rules is not None:
        try:
            given = yaml.safe_load(rules.read_text()) or {}
        except (OSError, yaml.YAMLError) as error:
            raise _Failed(f"{rules}: {error}") from error
        if not isinstance(given, dict):
            raise _Failed(f"{rules}: wants a mapping such as `rules: [...]`")
    try:
        analysis = msgspec.convert({**given, "model": model}, Analysis)
    except msgspec.ValidationError as error:
        raise _Failed(f"{rules or '--model'}: {error}") from error
    parsed = tuple(_line(text, clip) for text in lines)
    try:
        return msgspec.convert(
            msgspec.to_builtins(msgspec.structs.replace(analysis, rules=(*analysis.rules, *parsed))), Analysis
        )
    except (ValueError, msgspec.ValidationError) as error:
        raise _Failed(str(error)) from error


def _line(text: str, clip: Path) -> LineRule:
    name, _, numbers = text.partition("=")
    try:
        x1, y1, x2, y2 = (float(number) for number in numbers.split(","))
    except ValueError as error:
        raise _Failed(f"--line {text}: wants NAME=X1,Y1,X2,Y2") from error
    if max(x1, y1, x2, y2) > 1:
        width, height = _size(clip)
        x1, x2, y1, y2 = x1 / width, x2 / width, y1 / height, y2 / height
    return LineRule(name, (x1, y1), (x2, y2))


def _size(clip: Path) -> tuple[int, int]:
    try:
        with av.open(str(clip)) as container:
            context = container.streams.video[0].codec_context
            return context.width, context.height
    except (av.FFmpegError, IndexError) as error:
        raise _Failed(f"{clip}: not a video: {error}") from error


@contextlib.contextmanager
def _gateway(given: str | None, model: str, repository: Path | None) -> Iterator[str]:
    if given is not None:
        yield given.rstrip("/")
        return
    state = running_stack()
    running = next((service.address for service in state.services if service.name == "gateway"), "") if state else ""
    if running:
        yield running
        return
    places = (repository,) if repository else (BUNDLED, Settings().cache.expanduser() / "models")
    if not any((place / model).is_dir() for place in places):
        raise _Failed(f"no model {model} in {' or '.join(map(str, places))}; see `rewatch models --help`")
    with contextlib.ExitStack() as undo:
        with _console.status("starting Kafka, Triton and our own processes"):
            system = undo.enter_context(System(None, SERVERS, ROLES, (model,), repository))
        yield system.gateway_url


def _analyze(url: str, token: str, clip: Path, analysis: Analysis) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    fields = {"model": analysis.model, "analysis": msgspec.json.encode(analysis).decode(), "async": "true"}
    try:
        with (
            httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False) as client,
            clip.open("rb") as file,
        ):
            # the file goes last: the gateway then knows the form before the bytes
            accepted = client.post("/analyze", data=fields, files={"file": (clip.name, file)}, timeout=None)
            if accepted.status_code != 202:
                raise _Failed(_detail(accepted))
            return _await(client, accepted.json()["status_url"])
    except httpx.HTTPError as error:
        raise _Failed(f"gateway {url}: {error or type(error).__name__}") from error


def _await(client: httpx.Client, status_url: str) -> dict[str, Any]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed} frames"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=_console) as progress:
        task = progress.add_task("analysing", total=None)
        while True:
            answer = client.get(status_url)
            if answer.status_code != 200:
                raise _Failed(_detail(answer))
            job = answer.json()
            analysed, published = job["progress"]["analysed"], job["progress"]["published"]
            # what is not sampled is done, too
            progress.update(task, completed=published if job["state"] == "done" else analysed, total=published or None)
            if job["state"] == "done":
                return dict(job["result"])
            if job["state"] in ("failed", "cancelled"):
                raise _Failed(job["error"] or job["state"])
            time.sleep(0.3)


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"{answer.status_code} {answer.text[:200]}"


def _tables(result: dict[str, Any]) -> None:
    console = Console()
    console.print(f"{result['file']} with {result['model']['name']} version {result['model']['version']}")
    for title in ("frames", "tracks", "counts"):
        counts = table(*result[title], numbers=result[title], title=title)
        counts.add_row(*(str(value) for value in result[title].values()))
        console.print(counts)
    for event in result["events"]:
        console.print(
            f"{event['captured_ns'] / 1e9:9.2f} s  {event['kind']:14} {event['rule']:16} {event['label'] or ''}"
        )
    if result.get("error"):
        _console.print(f"[yellow]read in part: {result['error']}")
