"""`rewatch train`: from a folder of labelled pictures to a live model, with one command."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from cli import course
from cli.course import DEFAULT
from cli.reach import reached
from cli.table import table
from runtime.config import Settings
from training.audience import Terminal
from training.contract import ModelError
from training.course.hyperparameters import read_recipe
from training.course.order import Order
from training.datasets.dataset import DatasetError
from training.datasets.leaks import LeakError
from training.datasets.picture_file import PictureError
from training.datasets.split import SplitError
from training.model_server import TritonServer


def train(
    folder: course.Folder,
    name: course.Name,
    format_name: course.Format = None,
    size: course.Size = None,
    start: course.Start = None,
    rehearse: course.Rehearse = None,
    rehearse_share: course.RehearseShare = DEFAULT.rehearse_share,
    steps: course.Steps = None,
    batch: course.Batch = DEFAULT.batch,
    rate: Annotated[float | None, typer.Option(min=0, help="Peak rate; default: 0.002, or 0.0005 with --from.")] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="JSON file of hyperparameters, as `rewatch tune` writes it.")
    ] = None,
    seed: course.Seed = DEFAULT.seed,
    threads: course.Threads = DEFAULT.threads,
    at_least: Annotated[
        float, typer.Option(min=0, max=1, help="mAP50 on the test part below which nothing is published.")
    ] = DEFAULT.at_least,
    times_faster: Annotated[
        float, typer.Option(min=0, help="INT8 is served where it is so many times as fast.")
    ] = DEFAULT.times_faster,
    kept: Annotated[
        float, typer.Option(min=0, max=1, help="And keeps so much of the mAP50-95 on the validation part.")
    ] = DEFAULT.kept,
    anew: Annotated[
        bool, typer.Option("--anew", help="Forget what was begun or published from the same data.")
    ] = False,
    work: course.Work = None,
    repository: course.Repository = None,
    server: Annotated[str | None, typer.Option("--triton", help="gRPC address; default: that of the settings.")] = None,
    as_json: course.Json = False,
) -> None:
    """Split, learn, judge, quantise, publish, and go live in a running Triton. Stopped, the same command goes on."""
    cache = Settings().cache.expanduser()
    models = repository or cache / "models"
    try:
        from training.course.run import run
        from training.trainer import LossError
    except ImportError as error:
        course.extra_is_missing("train", error)
    from training.course.record import RunError

    try:
        order = Order(
            name=name,
            folder=folder,
            format=format_name,
            size=course.size_of(size),
            start=course.model_of(start, models),
            rehearse=rehearse,
            rehearse_share=rehearse_share,
            steps=steps,
            batch=batch,
            peak_rate=rate,
            recipe=None if recipe is None else read_recipe(recipe),
            seed=seed,
            threads=threads,
            at_least=at_least,
            times_faster=times_faster,
            kept=kept,
        )
        with Terminal(console=course.ERR) as audience:
            outcome = run(
                order,
                models,
                work or cache / "training" / name,
                TritonServer(server or reached().triton),
                audience,
                anew,
            )
    except DatasetError as error:
        course.fail_by(error, "train", folder)
    except (SplitError, LeakError, PictureError, RunError, LossError, ModelError, OSError) as error:
        course.fail("train", error)
    if as_json:
        typer.echo(msgspec.json.encode(outcome).decode())
        return
    figures_of = "pictures", "mAP50", "mAP50-95"
    parts = table("", *figures_of, numbers=figures_of)
    result = outcome.result
    for title, figures in (
        ("test part, before", result.start),
        ("test part", result.test),
        ("old test part, before", result.rehearsed_start),
        ("old test part", result.rehearsed),
    ):
        if figures is not None:
            parts.add_row(title, str(figures.pictures), f"{figures.map50:.3f}", f"{figures.map50_95:.3f}")
    shown = Console()
    shown.print(parts)
    made = outcome.quantization
    kind = f"INT8, {made.times_faster:g} times as fast" if made else f"float32: {outcome.float32_because}"
    shown.print(kind, highlight=False, soft_wrap=True, markup=False)
    shown.print(
        f"{outcome.name}: version {outcome.version} is live, from {outcome.folder}", soft_wrap=True, markup=False
    )
    shown.print(outcome.promotion.server, highlight=False, soft_wrap=True, markup=False)
