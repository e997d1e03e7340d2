"""What `rewatch train` and `rewatch tune` share: their options, and what is said of bad ones."""

from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from training.contract import ModelError
from training.course.order import Order
from training.datasets.dataset import DatasetError
from training.datasets.reading import READERS

DEFAULT: Final = Order("", Path())
ERR: Final = Console(stderr=True)
_BUNDLED: Final = Path(__file__).resolve().parents[1] / "triton_models"

Folder = Annotated[Path, typer.Argument(help="Pictures and their labels, as `rewatch dataset check` reads them.")]
Name = Annotated[str, typer.Option(help="Of the model; one that is stored gets its next version.")]
Format = Annotated[
    str | None, typer.Option("--format", help=f"One of {', '.join(READERS)}; default: what it looks like.")
]
Size = Annotated[
    str | None, typer.Option(help="WIDTHxHEIGHT of the network's input, multiples of 32; default: what fits.")
]
Start = Annotated[str | None, typer.Option("--from", help="Go on from this stored model: its name, or its folder.")]
Rehearse = Annotated[
    Path | None, typer.Option(help="Labelled pictures of what it knew before, mixed in so that it is not forgotten.")
]
RehearseShare = Annotated[float, typer.Option(min=0.05, max=0.9, help="How much of what is shown is old.")]
Steps = Annotated[int | None, typer.Option(min=1, help="Default: 1500, or 600 with --from.")]
Batch = Annotated[int, typer.Option(min=2, help="Pictures a step.")]
Seed = Annotated[int, typer.Option(help="Of the split and of all chance.")]
Threads = Annotated[int, typer.Option(min=1, help="The weights depend on it.")]
Work = Annotated[Path | None, typer.Option(help="For checkpoints. Default: in the cache.")]
Repository = Annotated[
    Path | None, typer.Option("--repository", help="Folder of served models. Default: `models` in the cache.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object; how far it is goes to stderr.")]


def model_of(named: str | None, models: Path) -> Path | None:
    """Stored, bundled, or anywhere."""
    if named is None:
        return None
    places = [models / named, _BUNDLED / named, Path(named)]
    return next((place for place in places if (place / "config.pbtxt").is_file()), places[0])


def size_of(text: str | None) -> tuple[int, int] | None:
    """Raises ModelError for what is no size."""
    if text is None:
        return None
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise ModelError(f"--size is WIDTHxHEIGHT, such as 448x256, not {text!r}")
    return int(width), int(height)


def fail_by(error: DatasetError, command: str, folder: Path) -> NoReturn:
    """With the first of its problems."""
    for problem in error.problems[:20]:
        ERR.print(str(problem), highlight=False, soft_wrap=True, markup=False)
    fail(command, f"{folder}: {len(error.problems)} problems; `rewatch dataset check` shows all")


def fail(command: str, error: Exception | str) -> NoReturn:
    ERR.print(f"[red]{command}:[/red] {escape(str(error))}", highlight=False, soft_wrap=True)
    raise typer.Exit(1)


def extra_is_missing(command: str, error: ImportError) -> NoReturn:
    fail(command, f"training needs the extra `train` (pip install 'rewatch[train]'): {error}")
