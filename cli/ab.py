"""`rewatch ab`: two models compared, in the shadow over a stretch of the log, or on shares of the live cameras."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import msgspec
import typer
from rich.console import Console
from rich.markup import escape

from cli import ab_tables
from cli.moment import FORMS, nanoseconds
from cli.reach import reached
from cli.table import table
from cli.truth import truth_of_log
from experiments import shares
from experiments.gathering import Gathering
from ingest.camera_topic import CameraTopicError, read_cameras, write_cameras
from processors.errors import WindowFailedError
from processors.keyframe_index import KeyframeIndex
from processors.triton import TritonDetector
from replay.gathered import read_into
from replay.log import LogGoneError, LogSilentError
from replay.scoring import Occurrence
from replay.shadow import Candidate, Shadow, Stretch
from replay.shadow import shadow as compare
from runtime.config import Settings
from schemas.experiment import NoExperimentError, compared, running, started, stopped

app = typer.Typer(help="Two models compared on the same frames, or on shares of the cameras.", no_args_is_help=True)
_err = Console(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")]
From = Annotated[str, typer.Option("--from", help=f"Capture time: {FORMS}.")]
To = Annotated[str, typer.Option("--to", help="Likewise.")]
Window = Annotated[float, typer.Option(min=1, max=86_400, help="Seconds that are compared as one.")]
Seed = Annotated[int, typer.Option(min=0, help="Of the permutations that are drawn.")]
Name = Annotated[str, typer.Argument(help="The experiment's name.")]
Model = Annotated[str, typer.Option(help="A served model, or one version of it: NAME:2.")]


@app.command()
def shadow(
    cameras: Annotated[list[str], typer.Option("--camera", help="A camera's id. Repeatable.")],
    start: From,
    end: To,
    a: Model,
    b: Model,
    truth: Annotated[
        list[str] | None,
        typer.Option(help="CAMERA=CLIP, a simulated clip that the camera showed, its truth beside it. Repeatable."),
    ] = None,
    window: Window = 60.0,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Let both look at a stretch of the log, and hold them against each other and against the truth. Publishes
    nothing."""
    settings = reached()
    wanted = tuple(dict.fromkeys(cameras))
    stretch = Stretch(wanted, nanoseconds(start, "--from"), nanoseconds(end, "--to"), window)
    with _refusals():
        known = {
            camera: truth_of_log(settings.kafka, camera, clip, stretch.from_ns, stretch.to_ns)
            for camera, clip in _clips(truth or [])
        }
        found = asyncio.run(_shadow(settings, stretch, (Candidate.of(a), Candidate.of(b)), known, seed, as_json))
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
    else:
        ab_tables.show_shadow(found)
    if found.failed:
        raise typer.Exit(1)


@app.command("start")
def begin(
    name: Name,
    a: Annotated[str, typer.Option(help="The model that the cameras have now.")],
    b: Annotated[str, typer.Option(help="The model that a share of them gets.")],
    share: Annotated[float, typer.Option(help="Of the cameras, between 0 and 1, for b.")] = 0.5,
    as_json: Json = False,
) -> None:
    """Give a share of the live cameras the other model, from their next keyframe on."""
    settings = reached()
    with _refusals():
        chosen = started(read_cameras(settings.kafka), name, a, b, share)
        asyncio.run(_check_served(settings, b))
        write_cameras(settings.kafka, chosen, [])
    _, arms = running({spec.id: spec for spec in chosen}, name)
    if as_json:
        typer.echo(msgspec.json.encode({"experiment": name, "cameras": arms}).decode())
        return
    divided = table("camera", "arm", "model")
    for spec in chosen:
        divided.add_row(spec.id, arms[spec.id], spec.analysis.model)
    Console().print(divided)


@app.command("stop")
def end(
    name: Name,
    keep: Annotated[str, typer.Option(help="a: every camera as before; b: every camera gets the other model.")] = "a",
    as_json: Json = False,
) -> None:
    """End an experiment: all its cameras have one model again."""
    if keep not in ("a", "b"):
        raise typer.BadParameter(f"{keep!r} is neither a nor b", param_hint="--keep")
    settings = reached()
    kept: Literal["a", "b"] = "b" if keep == "b" else "a"
    with _refusals():
        changed = stopped(read_cameras(settings.kafka), name, kept)
        write_cameras(settings.kafka, changed, [])
    models = {spec.id: spec.analysis.model for spec in changed}
    if as_json:
        typer.echo(msgspec.json.encode({"experiment": name, "cameras": models}).decode())
    else:
        typer.echo(f"{name} has ended: " + ", ".join(f"{camera} {model}" for camera, model in models.items()))


@app.command()
def report(
    name: Name,
    start: From,
    end: To,
    a: Annotated[str | None, typer.Option(help="Of an experiment that was stopped: its models.")] = None,
    b: Annotated[str | None, typer.Option(help="Likewise.")] = None,
    window: Window = 60.0,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Events per hour of both shares, and whether they differ by more than chance."""
    settings = reached()
    from_ns, to_ns = nanoseconds(start, "--from"), nanoseconds(end, "--to")
    with _refusals():
        gathering = Gathering(from_ns, to_ns, window)
        try:
            first, second, arms = compared(read_cameras(settings.kafka), name, a, b)
        except NoExperimentError as error:
            raise ValueError(f"{error}: say which models with --a and --b") from error
        read_into(gathering, settings.kafka)
        found = shares.report(gathering.seen((first, second)), first, second, arms, from_ns, window, seed)
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
    else:
        ab_tables.show_shares(found)


async def _shadow(
    settings: Settings,
    stretch: Stretch,
    candidates: tuple[Candidate, Candidate],
    truth: dict[str, list[Occurrence]],
    seed: int,
    quiet: bool,
) -> Shadow:
    detector = TritonDetector(settings.triton, settings.triton_shared_memory)
    index = KeyframeIndex(settings.redis)

    def said(line: str) -> None:
        if not quiet:
            _err.print(line, highlight=False)

    try:
        return await compare(settings, detector, stretch, candidates, truth, seed, index, said)
    finally:
        index.close()
        await detector.stop()


async def _check_served(settings: Settings, model: str) -> None:
    """Raises ValueError."""
    detector = TritonDetector(settings.triton, settings.triton_shared_memory)
    try:
        await detector.contract(model)
    except WindowFailedError as error:
        raise ValueError(str(error)) from error
    finally:
        await detector.stop()


def _clips(truth: list[str]) -> Iterator[tuple[str, Path]]:
    """Raises ValueError."""
    for text in truth:
        camera, _, clip = text.partition("=")
        if not camera or not clip:
            raise ValueError(f"--truth is CAMERA=CLIP, not {text!r}")
        yield camera, Path(clip)


@contextmanager
def _refusals() -> Iterator[None]:
    """Expected failures as one line, and exit status 1."""
    try:
        yield
    except (LogGoneError, LogSilentError, CameraTopicError, OSError, ValueError) as error:
        _fail(error)


def _fail(error: Exception) -> NoReturn:
    _err.print(f"[red]{escape(str(error))}", highlight=False, soft_wrap=True)
    raise typer.Exit(1) from error
