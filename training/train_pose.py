"""Trains and publishes the shop's pose network: `python -m training.train_pose --help`.

Needs the extra `train`. Runs on a CPU; stopped, it goes on from its last checkpoint when started again.
"""

from pathlib import Path
from typing import Annotated

import torch
import typer

from training.audience import Terminal, say_figures
from training.pose.crop_set import CropRendering, crop_set
from training.pose.lesson import PoseLesson
from training.pose.network import ShopPose
from training.pose.publishing import publish as published
from training.pose.publishing import publish_int8
from training.practice import practise
from training.trainer import Recipe, Trainer

LEARNING, JUDGING = CropRendering(20_000, 12_000), CropRendering(60_000, 500)
"""far apart: no shop of one is in the other"""

app = typer.Typer(help="The shop's pose network, from rendered crops to a served model.", no_args_is_help=True)
Work = Annotated[Path, typer.Option(help="Data and checkpoint.")]
_WORK = Path.home() / ".cache" / "rewatch" / "training" / "pose"


@app.command()
def train(
    work: Work = _WORK,
    steps: int = 8000,
    seed: int = Recipe().seed,
    threads: Annotated[int, typer.Option(help="The weights depend on it.")] = 1,
    every: Annotated[int, typer.Option(help="Steps between checkpoints.")] = 50,
) -> None:
    """Render, then learn."""
    torch.set_num_threads(threads)
    recipe = Recipe(seed=seed, steps=steps, batch=32, peak_rate=3e-3, weight_decay=0.02, warmup_steps=60,
                    plain_share=0.1, average_decay=0.995)  # fmt: skip
    trainer = Trainer(recipe, ShopPose, PoseLesson(crop_set(LEARNING, work)))
    with Terminal() as audience:
        practise(trainer, work / "shop-pose.pt", every, audience)


@app.command()
def publish(
    work: Work = _WORK,
    repository: Annotated[Path, typer.Option(help="Model repository to write into.")] = Path("triton_models"),
) -> None:
    """Export the last checkpoint, judge it on held-out shops, write it into the repository."""
    torch.set_num_threads(1)
    report = published(work, repository, LEARNING, JUDGING)
    say_figures(report)


@app.command()
def quantize(
    work: Work = _WORK,
    repository: Annotated[Path, typer.Option(help="Model repository to read from and write into.")] = Path(
        "triton_models"
    ),
) -> None:
    """The INT8 variant of what is published, judged on the same shops; if it does not pay, the card says so."""
    torch.set_num_threads(1)
    trial, objection = publish_int8(work, repository, LEARNING, JUDGING)
    say_figures(trial, objection)


if __name__ == "__main__":
    app()
