"""`rewatch models tensorrt`: a model in Triton's official image by TensorRT, in half precision or in eight bits."""

from typing import Annotated, NoReturn

import msgspec
import numpy as np
import typer

from cli import pictures as pictures_of
from cli.model_versions import Json, Name, Repository, Server
from cli.pictures import Cameras, Clips, From, Pixels, To
from cli.reach import reached
from replay.log import LogGoneError, LogSilentError
from runtime.config import Settings
from training.acceleration import Acceleration, accelerate, decelerate
from training.contract import ModelError
from training.model_repository import load
from training.model_server import TritonServer
from training.tensorrt import ENGINES, Precision


def tensorrt(
    name: Name,
    precision: Annotated[str | None, typer.Option(help="fp16, or int8 with pictures to calibrate with.")] = None,
    off: Annotated[bool, typer.Option("--off", help="Without TensorRT again.")] = False,
    clips: Clips = None,
    cameras: Cameras = None,
    start: From = "",
    end: To = "",
    pictures: Annotated[int, typer.Option(min=8, max=1000, help="At most so many, of all sources together.")] = 160,
    engines: Annotated[
        str, typer.Option(help="Folder for what TensorRT builds, as Triton sees it; it must be able to write there.")
    ] = ENGINES,
    seen_as: Annotated[
        str | None, typer.Option(help="The repository as Triton sees it. Default: where it is here.")
    ] = None,
    more: Annotated[
        list[str] | None, typer.Option("--option", help="KEY=VALUE, another option of the accelerator. Repeatable.")
    ] = None,
    repository: Repository = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Have Triton run a model by TensorRT where there is a GPU; elsewhere it runs as before."""
    folder = repository or Settings().cache.expanduser() / "models"
    triton = TritonServer(server or reached().triton)
    try:
        if off == (precision is not None):
            raise ModelError("say either --precision fp16, --precision int8 or --off")
        if off:
            _say(decelerate(folder, name, triton), as_json)
            return

        def gathered() -> Pixels:
            detector = load(folder / name).detector
            sources = pictures_of.of_all(clips or [], cameras or [], start, end, detector, pictures)
            return np.concatenate(sources)

        done = accelerate(
            folder,
            name,
            _precision(precision),
            triton,
            engines=engines,
            seen_as=seen_as or str(folder.resolve()),
            pictures=gathered,
            more=dict(_option(text) for text in more or []),
        )
    except (ModelError, ValueError, OSError, LogGoneError, LogSilentError) as error:
        _fail(error)
    _say(done, as_json)


def _precision(text: str | None) -> Precision:
    if text == "fp16":
        return "fp16"
    if text == "int8":
        return "int8"
    raise ModelError(f"{text!r} is no precision of ours: fp16 or int8")


def _option(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise ModelError(f"--option is KEY=VALUE, not {text!r}")
    return key, value


def _say(done: Acceleration, as_json: bool) -> None:
    if as_json:
        typer.echo(msgspec.json.encode(done).decode())
        return
    for key, value in done.options.items():
        typer.echo(f"{key} {value}")
    if not done.options:
        typer.echo(f"{done.model} runs without TensorRT")
    if done.calibrated:
        typer.echo(f"calibrated: {done.calibrated} values")
    typer.echo(done.server)


def _fail(error: Exception) -> NoReturn:
    typer.echo(f"{type(error).__name__}: {error}", err=True)
    raise typer.Exit(1) from error
