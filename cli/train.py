"""`rewatch train`: from a folder of labelled pictures to a live model, with one command."""

from pathlib import Path
from typing import Annotated, NoReturn

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.reach import reached
from runtime.config import Settings
from training.audience import Terminal
from training.contract import ModelError
from training.course.order import Order
from training.datasets.dataset import DatasetError
from training.datasets.leaks import LeakError
from training.datasets.picture_file import PictureError
from training.datasets.reading import READERS
from training.datasets.split import SplitError
from training.model_server import TritonServer

_BUNDLED = Path(__file__).resolve().parents[1] / "triton_models"
_DEFAULT = Order("", Path())
_err = Console(stderr=True)


def train(
    folder: Annotated[Path, typer.Argument(help="Pictures and their labels, as `rewatch dataset check` reads them.")],
    name: Annotated[str, typer.Option(help="Of the model; one that is stored gets its next version.")],
    format_name: Annotated[
        str | None, typer.Option("--format", help=f"One of {', '.join(READERS)}; default: what it looks like.")
    ] = None,
    size: Annotated[
        str | None, typer.Option(help="WIDTHxHEIGHT of the network's input, multiples of 32; default: what fits.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="Go on from this stored model: its name, or its folder.")
    ] = None,
    rehearse: Annotated[
        Path | None,
        typer.Option(help="Labelled pictures of what it knew before, mixed in so that it is not forgotten."),
    ] = None,
    rehearse_share: Annotated[
        float, typer.Option(min=0.05, max=0.9, help="How much of what is shown is old.")
    ] = _DEFAULT.rehearse_share,
    steps: Annotated[int | None, typer.Option(min=1, help="Default: 1500, or 600 with --from.")] = None,
    batch: Annotated[int, typer.Option(min=2, help="Pictures a step.")] = _DEFAULT.batch,
    rate: Annotated[float | None, typer.Option(min=0, help="Peak rate; default: 0.002, or 0.0005 with --from.")] = None,
    seed: Annotated[int, typer.Option(help="Of the split and of all chance.")] = _DEFAULT.seed,
    threads: Annotated[int, typer.Option(min=1, help="The weights depend on it.")] = _DEFAULT.threads,
    at_least: Annotated[
        float, typer.Option(min=0, max=1, help="mAP50 on the test part below which nothing is published.")
    ] = _DEFAULT.at_least,
    times_faster: Annotated[
        float, typer.Option(min=0, help="INT8 is served where it is so many times as fast.")
    ] = _DEFAULT.times_faster,
    kept: Annotated[
        float, typer.Option(min=0, max=1, help="And keeps so much of the mAP50-95 on the validation part.")
    ] = _DEFAULT.kept,
    anew: Annotated[
        bool, typer.Option("--anew", help="Forget what was begun or published from the same data.")
    ] = False,
    work: Annotated[Path | None, typer.Option(help="For checkpoints. Default: in the cache.")] = None,
    repository: Annotated[
        Path | None, typer.Option("--repository", help="Folder of served models. Default: `models` in the cache.")
    ] = None,
    server: Annotated[str | None, typer.Option("--triton", help="gRPC address; default: that of the settings.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object; how far it is goes to stderr.")] = False,
) -> None:
    """Split, learn, judge, quantise, publish, and go live in a running Triton. Stopped, the same command goes on."""
    cache = Settings().cache.expanduser()
    models = repository or cache / "models"
    try:
        from training.course.run import run
        from training.trainer import LossError
    except ImportError as error:
        _fail(f"training needs the extra `train` (pip install 'rewatch[train]'): {error}")
    from training.course.record import RunError

    try:
        order = Order(
            name=name,
            folder=folder,
            format=format_name,
            size=_size(size),
            start=_model(start, models),
            rehearse=rehearse,
            rehearse_share=rehearse_share,
            steps=steps,
            batch=batch,
            peak_rate=rate,
            seed=seed,
            threads=threads,
            at_least=at_least,
            times_faster=times_faster,
            kept=kept,
        )
        with Terminal(console=_err) as audience:
            outcome = run(
                order,
                models,
                work or cache / "training" / name,
                TritonServer(server or reached().triton),
                audience,
                anew,
            )
    except DatasetError as error:
        for problem in error.problems[:20]:
            _err.print(str(problem), highlight=False, soft_wrap=True, markup=False)
        _fail(f"{folder}: {len(error.problems)} problems; `rewatch dataset check` shows all")
    except (SplitError, LeakError, PictureError, RunError, LossError, ModelError, OSError) as error:
        _fail(error)
    if as_json:
        typer.echo(msgspec.json.encode(outcome).decode())
        return
    table = Table("", "pictures", "mAP50", "mAP50-95")
    result = outcome.result
    for title, figures in (
        ("test part, before", result.start),
        ("test part", result.test),
        ("old test part, before", result.rehearsed_start),
        ("old test part", result.rehearsed),
    ):
        if figures is not None:
            table.add_row(title, str(figures.pictures), f"{figures.map50:.3f}", f"{figures.map50_95:.3f}")
    shown = Console()
    shown.print(table)
    made = outcome.quantization
    kind = f"INT8, {made.times_faster:g} times as fast" if made else f"float32: {outcome.float32_because}"
    shown.print(kind, highlight=False, soft_wrap=True, markup=False)
    shown.print(
        f"{outcome.name}: version {outcome.version} is live, from {outcome.folder}", soft_wrap=True, markup=False
    )
    shown.print(outcome.promotion.server, highlight=False, soft_wrap=True, markup=False)


def _model(named: str | None, models: Path) -> Path | None:
    """Stored, bundled, or anywhere."""
    if named is None:
        return None
    places = [models / named, _BUNDLED / named, Path(named)]
    return next((place for place in places if (place / "config.pbtxt").is_file()), places[0])


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise ModelError(f"--size is WIDTHxHEIGHT, such as 448x256, not {text!r}")
    return int(width), int(height)


def _fail(error: Exception | str) -> NoReturn:
    _err.print(f"[red]train:[/red] {escape(str(error))}", highlight=False, soft_wrap=True)
    raise typer.Exit(1)
