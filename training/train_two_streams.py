"""Trains and publishes the two streams: `python -m training.train_two_streams --help`.

Needs the extra `train`. Runs on a CPU; stopped, it goes on from its last checkpoints when started again.
"""

from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
import onnx
import torch
import typer

from training.audience import Terminal, say_figures
from training.hard_clips.clip_set import Rendering, clip_set
from training.hard_clips.eyes import bundled_eyes
from training.hard_clips.features import features
from training.hard_clips.sets import Sets
from training.practice import practise_in_turns
from training.trainer import Recipe, Trainer
from training.two_streams.flows import flows
from training.two_streams.lesson import PictureLesson
from training.two_streams.network import ENLARGED, TwoStreams
from training.two_streams.publishing import PARTS, publish_int8
from training.two_streams.publishing import publish as published

SETS = Sets(learning=Rendering(700, 160), draws=2, judging=Rendering(7100, 48))
"""far apart: no junction of one is in the other"""
RECIPE = Recipe(
    steps=2400, batch=32, peak_rate=3e-3, weight_decay=0.02, warmup_steps=40, plain_share=0.0, average_decay=0.98
)

app = typer.Typer(help="Appearance and optical flow, from rendered clips to served model.", no_args_is_help=True)
Work = Annotated[Path, typer.Option(help="Data and checkpoints.")]
Detector = Annotated[Path, typer.Option(help="The bundled detector's graph, whose first stages are frozen.")]
_WORK = Path.home() / ".cache" / "rewatch" / "training" / "two-streams"
_DETECTOR = Path("triton_models/junction-yolo/1/model.onnx")


@app.command()
def render(work: Work = _WORK) -> None:
    """Only the clips, of both sets."""
    for rendering in (SETS.learning, SETS.judging):
        typer.echo(f"{rendering.name}: sha256 {clip_set(rendering, work).sha256}")


@app.command()
def train(
    work: Work = _WORK,
    detector: Detector = _DETECTOR,
    scenes: Annotated[int, typer.Option(help="Junctions to learn from.")] = SETS.learning.scenes,
    steps: int = RECIPE.steps,
    threads: Annotated[int, typer.Option(help="The weights depend on it.")] = 1,
    every: Annotated[int, typer.Option(help="Steps between checkpoints.")] = 50,
) -> None:
    """Render; then, on frozen features and flow, the network learns, and the baseline: the same without flow, with the
    same recipe on the same pictures."""
    torch.set_num_threads(threads)
    clips = clip_set(msgspec.structs.replace(SETS.learning, scenes=scenes), work)
    eyes = bundled_eyes(onnx.load(detector), ENLARGED)
    seed, draws = SETS.learning.seed, SETS.draws
    lesson = PictureLesson(features(eyes, clips, seed, draws, work), flows(clips, seed, draws, work), clips)
    recipe = msgspec.structs.replace(RECIPE, steps=steps)
    trainers = {part: Trainer(recipe, partial(TwoStreams, part == PARTS[0]), lesson) for part in PARTS}
    with Terminal() as audience:
        practise_in_turns(trainers, work, every, audience)


@app.command()
def publish(
    work: Work = _WORK,
    repository: Annotated[Path, typer.Option(help="Model repository to write into.")] = Path("triton_models"),
    detector: Detector = _DETECTOR,
) -> None:
    """Export the last checkpoints, judge on held-out junctions, write the model into the repository."""
    torch.set_num_threads(1)
    report = published(work, repository, SETS, detector)
    say_figures(report)


@app.command()
def quantize(
    work: Work = _WORK,
    repository: Annotated[Path, typer.Option(help="Model repository to read from and write into.")] = Path(
        "triton_models"
    ),
) -> None:
    """The INT8 variant of what is published, judged on the same junctions; if it does not pay, the card says so."""
    torch.set_num_threads(1)
    trial, objection = publish_int8(work, repository, SETS)
    say_figures(trial, objection)


if __name__ == "__main__":
    app()
