"""`rewatch models promote, rollback`: which version of a model answers."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from cli.reach import reached
from runtime.config import Settings
from training.contract import ModelError
from training.model_server import TritonServer
from training.promotion import Promotion, roll_back
from training.promotion import promote as make_live

Name = Annotated[str, typer.Argument(help="A stored model.")]
Repository = Annotated[
    Path | None, typer.Option("--repository", help="Folder of served models. Default: `models` in the cache.")
]
Server = Annotated[str | None, typer.Option("--triton", help="gRPC address; default: that of the settings.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object.")]


def promote(
    name: Name,
    version: Annotated[int, typer.Argument(min=1, help="A stored version.")],
    also: Annotated[
        list[int] | None,
        typer.Option("--also", help="Serve this older one too, for replays. Repeatable."),
    ] = None,
    repository: Repository = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Make a version live, and swap it in a running Triton without losing a frame."""
    with _refusals():
        done = make_live(_folder(repository), name, version, _triton(server), tuple(also or ()))
    _say(done, as_json)


def rollback(name: Name, repository: Repository = None, server: Server = None, as_json: Json = False) -> None:
    """Make the version live that was so before."""
    with _refusals():
        done = roll_back(_folder(repository), name, _triton(server))
    _say(done, as_json)


def _folder(repository: Path | None) -> Path:
    return repository or Settings().cache.expanduser() / "models"


def _triton(address: str | None) -> TritonServer:
    return TritonServer(address or reached().triton)


def _say(done: Promotion, as_json: bool) -> None:
    if as_json:
        typer.echo(msgspec.json.encode(done).decode())
        return
    also = [str(version) for version in done.served if version != done.live]
    typer.echo(f"{done.model}: version {done.live} is live" + (f"; served too: {', '.join(also)}" if also else ""))
    typer.echo(done.server)


class _refusals:
    """Expected failures as one line, and exit status 1."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, ModelError | OSError):
            typer.echo(f"{type(error).__name__}: {error}", err=True)
            raise typer.Exit(1) from error
