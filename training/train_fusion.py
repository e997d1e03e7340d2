"""Trains and publishes the fusion of space and time: `python -m training.train_fusion --help`.

Needs the extra `train`. Runs on a CPU; stopped, it goes on from its last checkpoints when started again.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec
import torch
import typer
from torch import nn

from training.audience import Terminal, say_figures
from training.fusion.backbone import BUNDLED, channels_of
from training.fusion.clip_set import Rendering, clip_set
from training.fusion.features import features
from training.fusion.lesson import PictureLesson, RunLesson
from training.fusion.network import Head, PictureNetwork
from training.fusion.publishing import Sets, publish_int8
from training.fusion.publishing import publish as published
from training.practice import practise
from training.trainer import Lesson, Recipe, Trainer

SETS = Sets(learning=Rendering(600, 400), judging=Rendering(8000, 24))
"""far apart: no junction of one is in the other"""
PICTURES = Recipe(
    steps=1400, batch=32, peak_rate=3e-3, weight_decay=0.02, warmup_steps=40, plain_share=0.1, average_decay=0.995
)
RUNS = Recipe(
    steps=1400, batch=16, peak_rate=4e-3, weight_decay=0.02, warmup_steps=40, plain_share=0.0, average_decay=0.99
)

app = typer.Typer(help="The fusion of space and time, from rendered clips to served model.", no_args_is_help=True)
Work = Annotated[Path, typer.Option(help="Data and checkpoints.")]
Scenes = Annotated[int, typer.Option(help="Junctions to learn from.")]
_WORK = Path.home() / ".cache" / "rewatch" / "training" / "fusion"


@app.command()
def train(
    work: Work = _WORK,
    scenes: Scenes = SETS.learning.scenes,
    name: Annotated[str, typer.Option("--backbone", help="resnet-small, or torchvision's resnet18 ... 101.")] = BUNDLED,
    picture_steps: int = PICTURES.steps,
    run_steps: int = RUNS.steps,
    threads: Annotated[int, typer.Option(help="The weights depend on it.")] = 1,
    every: Annotated[int, typer.Option(help="Steps between checkpoints.")] = 50,
) -> None:
    """Render; then the backbone learns on single pictures; then, on its features, the LSTM with its head, and the
    baseline: the same head without it, with the same recipe on the same runs."""
    torch.set_num_threads(threads)
    clips = clip_set(msgspec.structs.replace(SETS.learning, scenes=scenes), work)
    pictures = msgspec.structs.replace(PICTURES, steps=picture_steps)
    network = _learn("backbone", pictures, lambda: PictureNetwork(name), PictureLesson(clips), work, every).average
    channels = channels_of(network.backbone)
    lesson = RunLesson(features(network.backbone, channels, clips, True, work))
    runs = msgspec.structs.replace(RUNS, steps=run_steps)
    _learn("fusion", runs, lambda: Head(channels), lesson, work, every)
    _learn("baseline", runs, lambda: Head(channels, temporal=False), lesson, work, every)


def _learn(
    part: str, recipe: Recipe, network: Callable[[], nn.Module], lesson: Lesson, work: Path, every: int
) -> Trainer:
    trainer = Trainer(recipe, network, lesson)
    with Terminal(part) as audience:
        practise(trainer, work / f"{part}.pt", every, audience)
    return trainer


@app.command()
def publish(
    work: Work = _WORK,
    repository: Annotated[Path, typer.Option(help="Model repository to write into.")] = Path("triton_models"),
    name: Annotated[str, typer.Option("--backbone", help="What was trained.")] = BUNDLED,
) -> None:
    """Export the last checkpoints, judge on held-out junctions, write it and its INT8 variant into the repository."""
    torch.set_num_threads(1)
    say_figures(published(work, repository, SETS, name))
    say_figures(publish_int8(work, repository, SETS))


@app.command()
def quantize(
    work: Work = _WORK,
    repository: Annotated[Path, typer.Option(help="Model repository to read from and write into.")] = Path(
        "triton_models"
    ),
) -> None:
    """The INT8 variant of the published network, judged on the same junctions; needs no checkpoint."""
    torch.set_num_threads(1)
    say_figures(publish_int8(work, repository, SETS))


if __name__ == "__main__":
    app()
