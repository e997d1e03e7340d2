"""Trains and publishes the inspection cascade: `python -m training.train_inspection --help`.

Needs the extra `train`. Runs on a CPU; stopped, it goes on from its last checkpoints when started again.
"""

from pathlib import Path
from typing import Annotated

import torch
import typer

from training.audience import Terminal, say_figures
from training.datasets.reading import format_of, read_dataset
from training.inspection.contract import Role, parse_config
from training.inspection.lesson import InspectionLesson
from training.inspection.loss import locator_loss, screen_loss
from training.inspection.network import Locator, Screen
from training.inspection.part_set import Rendering, part_set
from training.inspection.photographs import judge
from training.inspection.publishing import NAMES, Sets, publish_int8
from training.inspection.publishing import publish as published
from training.model_repository import GRAPH, read_config
from training.practice import practise
from training.trainer import Recipe, Trainer
from training.trial import session

LEARNING = Rendering(300, 40_000)
SETS = Sets(
    learning=LEARNING,
    levelling=Rendering(500, 1600, clear_of_print=True),
    calibration=Rendering(700, 2800, 1.0, clear_of_print=True),
    judging=Rendering(900, 2400, clear_of_print=True),
    anywhere=Rendering(930, 200, 1.0),
    sized=950,
)
"""far apart: no line of one is in another"""


def _recipe(steps: int, peak_rate: float, seed: int = 1) -> Recipe:
    return Recipe(
        seed=seed,
        steps=steps,
        batch=32,
        peak_rate=peak_rate,
        weight_decay=0.01,
        warmup_steps=60,
        plain_share=0.1,
        average_decay=0.995,
        clip=5.0,
    )


NETWORKS = {
    "screen": (Screen, screen_loss, _recipe(8000, 4e-3)),
    "locator": (Locator, locator_loss, _recipe(8000, 3e-3)),
}

app = typer.Typer(help="The inspection cascade, from rendered parts to served models.", no_args_is_help=True)
Work = Annotated[Path, typer.Option(help="Data and checkpoints.")]
_WORK = Path.home() / ".cache" / "rewatch" / "training" / "inspection"


@app.command()
def train(
    work: Work = _WORK,
    parts: Annotated[int, typer.Option(help="Part pictures to learn from.")] = LEARNING.count,
    screen_steps: int = NETWORKS["screen"][2].steps,
    locator_steps: int = NETWORKS["locator"][2].steps,
    seed: int = Recipe().seed,
    threads: Annotated[int, typer.Option(help="The weights depend on it.")] = 1,
    every: Annotated[int, typer.Option(help="Steps between checkpoints.")] = 25,
    only: Annotated[Role | None, typer.Option(help="One of the two, beside which the other can learn.")] = None,
) -> None:
    """Render, then learn: first the screen, then the locator."""
    torch.set_num_threads(threads)
    data = part_set(Rendering(LEARNING.seed, parts), work)
    wanted: list[tuple[Role, int]] = [("screen", screen_steps), ("locator", locator_steps)]
    for name, steps in wanted:
        if only not in (None, name):
            continue
        network, loss, usual = NETWORKS[name]
        trainer = Trainer(_recipe(steps, usual.peak_rate, seed), network, InspectionLesson(data, loss))
        with Terminal(name) as audience:
            practise(trainer, work / f"{name}.pt", every, audience)


@app.command()
def publish(
    work: Work = _WORK,
    repository: Annotated[Path, typer.Option(help="Model repository to write into.")] = Path("triton_models"),
    miss_rate: Annotated[float, typer.Option(help="Share of defective parts that may slip through.")] = 0.005,
) -> None:
    """Export the last checkpoints, choose thresholds, judge on held-out lines, write both into the repository."""
    torch.set_num_threads(1)
    report = published(work, repository, SETS, miss_rate)
    say_figures(report)


@app.command()
def quantize(
    work: Work = _WORK,
    repository: Annotated[Path, typer.Option(help="Model repository to read from and write into.")] = Path(
        "triton_models"
    ),
    miss_rate: Annotated[float, typer.Option(help="Share of defective parts that may slip through.")] = 0.005,
) -> None:
    """The INT8 variant of what is published, judged on the same lines; if it does not pay, the card says so."""
    torch.set_num_threads(1)
    trial, objection = publish_int8(work, repository, SETS, miss_rate)
    say_figures(trial, objection)


@app.command()
def photographs(
    folder: Annotated[Path, typer.Argument(help="Labelled pictures: COCO, YOLO or VOC.")],
    repository: Annotated[Path, typer.Option(help="Model repository to read from.")] = Path("triton_models"),
) -> None:
    """What the published cascade says of photographs of surfaces that it has not learnt from."""
    screen, locator = (session(str(repository / name / "1" / GRAPH)) for name in NAMES.values())
    threshold = parse_config(read_config(repository / NAMES["screen"])).threshold
    report = judge(screen, locator, threshold, read_dataset(folder, format_of(folder)))
    say_figures(report)


if __name__ == "__main__":
    app()
