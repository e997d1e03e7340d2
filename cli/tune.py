"""`rewatch tune`: which hyperparameters train best on a folder of labelled pictures."""

from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from cli import course
from cli.course import DEFAULT
from runtime.config import Settings
from training.audience import Terminal
from training.contract import ModelError
from training.course.order import Order
from training.datasets.dataset import DatasetError
from training.datasets.leaks import LeakError
from training.datasets.picture_file import PictureError
from training.datasets.split import SplitError
from training.search.outcome import Outcome


def tune(
    folder: course.Folder,
    name: Annotated[str, typer.Option(help="Of the model that is to be trained; nothing is published yet.")],
    trials: Annotated[int, typer.Option(min=1, help="How many are tried, those of before included.")] = 20,
    timeout: Annotated[float | None, typer.Option(min=0, help="Seconds after which no further trial is begun.")] = None,
    format_name: course.Format = None,
    size: course.Size = None,
    start: course.Start = None,
    rehearse: course.Rehearse = None,
    rehearse_share: course.RehearseShare = DEFAULT.rehearse_share,
    steps: course.Steps = None,
    batch: course.Batch = DEFAULT.batch,
    seed: course.Seed = DEFAULT.seed,
    threads: course.Threads = DEFAULT.threads,
    anew: Annotated[bool, typer.Option("--anew", help="Forget what was tried.")] = False,
    work: course.Work = None,
    repository: course.Repository = None,
    as_json: course.Json = False,
) -> None:
    """Train again and again with other hyperparameters, judged on the validation part; poor ones are given up early.
    Stopped, the same command goes on. `rewatch train --recipe` then takes what was best."""
    cache = Settings().cache.expanduser()
    models = repository or cache / "models"
    try:
        from training.search.run import run
        from training.search.study import SearchError
    except ImportError as error:
        course.extra_is_missing("tune", error)
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
            seed=seed,
            threads=threads,
        )
        with Terminal(console=course.ERR) as audience:
            outcome = run(order, models, work or cache / "training" / name, trials, timeout, audience, anew)
    except DatasetError as error:
        course.fail_by(error, "tune", folder)
    except (SplitError, LeakError, PictureError, RunError, SearchError, ModelError, OSError) as error:
        course.fail("tune", error)
    if as_json:
        typer.echo(msgspec.json.encode(outcome).decode())
        return
    shown = Console()
    shown.print(_table(outcome))
    if outcome.importance:
        shares = ", ".join(f"{each.replace('_', ' ')} {share:.0%}" for each, share in outcome.importance.items())
        shown.print(f"what the figure depends on: {shares}", highlight=False, soft_wrap=True)
    best = f"the best is trial {outcome.best.number}, to be trained with the same options and"
    shown.print(f"{best} --recipe {outcome.recipe}", highlight=False, soft_wrap=True, markup=False)


def _table(outcome: Outcome) -> Table:
    short = {"peak_rate": "rate", "weight_decay": "decay", "plain_share": "plain", "average_decay": "average"}
    names = outcome.best.chosen.__struct_fields__
    columns = ("trial", "mAP50-95", "step", *(short.get(name, name) for name in names))
    table = Table(*(Column(each, no_wrap=True) for each in columns), Column("", overflow="fold"))
    for one in outcome.tried:
        figure = "–" if one.figure is None else f"{one.figure:.3f}"
        chosen = [f"{getattr(one.chosen, name):.2g}" for name in names]
        what = "best" if one == outcome.best else one.reason or ("" if one.state == "finished" else one.state)
        table.add_row(str(one.number), figure, str(one.step), *chosen, escape(what))
    return table
