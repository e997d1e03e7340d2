"""`rewatch ingest` and `rewatch cameras …`."""

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from cli.reach import reached
from cli.table import table
from ingest.camera_file import CameraFileError, load_cameras
from ingest.camera_topic import Cameras, CameraTopicError, NoCameraTopic, read_cameras, write_cameras
from ingest.service import build_service
from ingest.source import name_of
from runtime.config import Settings
from runtime.logging import configure
from schemas.analysis import CameraSpec, Experiment

cameras = typer.Typer(name="cameras", help="The cameras that the running system watches.", no_args_is_help=True)

Kafka = Annotated[
    str | None, typer.Option(help="Bootstrap servers; default: REWATCH_KAFKA, else that of `rewatch up`.")
]


def ingest() -> None:
    """Run the ingest process: cameras into the log, until SIGTERM or Ctrl-C."""
    settings = Settings()
    configure(settings.log_level, settings.log_json, role="ingest")
    raise typer.Exit(asyncio.run(_serve(settings)))


async def _serve(settings: Settings) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return await build_service(settings).run(stop)


def _bootstrap(kafka: str | None) -> str:
    return kafka or reached().kafka


def _fail(error: Exception) -> typer.Exit:
    typer.secho(str(error), fg=typer.colors.RED, err=True)
    return typer.Exit(1)


def _known(bootstrap: str) -> Cameras:
    try:
        return read_cameras(bootstrap)
    except NoCameraTopic:
        return {}


def _tell_who_left(before: Cameras, written: list[CameraSpec]) -> None:
    """A comparison of models that goes on without one of its cameras is worth a word."""
    for spec in written:
        part = before[spec.id].experiment if spec.id in before else msgspec.UNSET
        if isinstance(part, Experiment) and spec.experiment != part:
            typer.echo(f"{spec.id} takes no part in the experiment {part.name} any more", err=True)


@cameras.command("add")
def add(
    camera: Annotated[str, typer.Argument(help="The camera's id.")],
    url: Annotated[str, typer.Argument(help="rtsp://, rtmp://, http(s)://, /dev/videoN or a file.")],
    model: Annotated[str | None, typer.Option(help="The served model; default: that of the schema.")] = None,
    udp: Annotated[bool, typer.Option("--udp", help="RTSP over UDP.")] = False,
    loop: Annotated[bool, typer.Option("--loop", help="A file: start again at its end.")] = False,
    pace: Annotated[str, typer.Option(help="A file: live or max.")] = "live",
    group: Annotated[str, typer.Option(help="The ingest group that reads it.")] = "",
    kafka: Kafka = None,
) -> None:
    """Add or change one camera."""
    spec = {
        "id": camera,
        "source": {"url": url, "transport": "udp" if udp else "tcp", "loop": loop, "pace": pace},
        "analysis": {"model": model} if model else {},
        "labels": {"ingest": group} if group else {},
    }
    bootstrap = _bootstrap(kafka)
    try:
        wanted = [msgspec.convert(spec, CameraSpec)]
        known = _known(bootstrap)
        write_cameras(bootstrap, wanted, [])
    except (msgspec.ValidationError, CameraTopicError) as error:
        raise _fail(error) from error
    typer.echo(f"{camera} added")
    _tell_who_left(known, wanted)


@cameras.command("apply")
def apply(
    file: Annotated[Path, typer.Argument(help="YAML with a list `cameras`.")],
    prune: Annotated[
        bool, typer.Option("--prune", help="Also remove every camera that the file does not name.")
    ] = False,
    kafka: Kafka = None,
) -> None:
    """Add or change all cameras of a file. With a mistake in it, nothing is changed."""
    bootstrap = _bootstrap(kafka)
    try:
        specs = load_cameras(file)
        known = _known(bootstrap)
        gone = sorted(set(known) - {spec.id for spec in specs}) if prune else []
        write_cameras(bootstrap, specs, gone)
    except (CameraFileError, CameraTopicError) as error:
        raise _fail(error) from error
    typer.echo(f"{len(specs)} cameras applied, {len(gone)} removed")
    _tell_who_left(known, specs)


@cameras.command("list")
def show(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array, addresses with their passwords.")] = False,
    kafka: Kafka = None,
) -> None:
    """List the cameras."""
    try:
        known = read_cameras(_bootstrap(kafka))
    except CameraTopicError as error:
        raise _fail(error) from error
    if as_json:
        typer.echo(msgspec.json.encode(list(known.values())).decode())
        return
    listed = table("camera", "source", "model", "rules", "group")
    for spec in sorted(known.values(), key=lambda spec: spec.id):
        rules = ", ".join(rule.name for rule in spec.analysis.rules)
        listed.add_row(spec.id, name_of(spec.source.url), spec.analysis.model, rules, spec.labels.get("ingest", ""))
    Console().print(listed)


@cameras.command("remove")
def remove(camera: Annotated[str, typer.Argument(help="The camera's id.")], kafka: Kafka = None) -> None:
    """Remove one camera. What it has sent stays in the log."""
    bootstrap = _bootstrap(kafka)
    try:
        if camera not in read_cameras(bootstrap):
            raise CameraTopicError(f"there is no camera {camera}")
        write_cameras(bootstrap, [], [camera])
    except CameraTopicError as error:
        raise _fail(error) from error
    typer.echo(f"{camera} removed")
