"""Trains and publishes the bundled detector: `python -m training.train_detector --help`.

Needs the extra `train`. Runs on a CPU; stopped, it goes on from its last checkpoint when started again.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from simulator.actors import LABELS
from training.audience import Terminal
from training.contract import Suppression
from training.detection_lesson import DetectionLesson
from training.evaluation import NEAR, Report, evaluate
from training.export import to_onnx
from training.families.sides import FAMILY
from training.int8 import read_served, store_variant
from training.junction_samples import Rendering, folder_of, sample_set
from training.model_card import digest, own_card
from training.model_repository import load, store
from training.network import JunctionYolo
from training.practice import practise
from training.provenance import commit_of
from training.quantization import Data, Floor
from training.quantization import quantize as quantized
from training.raw_network import prepare
from training.samples import commit_in
from training.served_graph import wrap
from training.trainer import Recipe, Trainer
from training.trial import try_out

NAME = "junction-yolo"
FLOOR = Floor(times_faster=1.4, kept=0.97)
"""a point of mAP at most"""
LEARNING_SEED, JUDGING_SEED = 100, 9000
"""far apart: no scene of one is in the other"""

app = typer.Typer(help="The bundled detector, from rendered scenes to served model.", no_args_is_help=True)
Work = Annotated[Path, typer.Option(help="Data and checkpoints.")]
PerVariant = Annotated[int, typer.Option(help="Pictures to learn from, of each variant.")]
Judged = Annotated[int, typer.Option(help="Pictures to judge by, of each variant.")]
Threads = Annotated[int, typer.Option(help="The weights depend on it.")]
_WORK = Path.home() / ".cache" / "rewatch" / "training"


@app.command()
def train(
    work: Work = _WORK,
    per_variant: PerVariant = 800,
    steps: int = Recipe().steps,
    batch: int = Recipe().batch,
    seed: int = Recipe().seed,
    plain_share: float = Recipe().plain_share,
    threads: Threads = 2,
    every: Annotated[int, typer.Option(help="Steps between checkpoints.")] = 100,
) -> None:
    """Render, then learn."""
    torch.set_num_threads(threads)
    samples = sample_set(Rendering(LEARNING_SEED, per_variant), work / "samples")
    recipe = Recipe(seed=seed, steps=steps, batch=batch, plain_share=plain_share)
    trainer = Trainer(recipe, lambda: JunctionYolo(len(LABELS)), DetectionLesson(samples))
    with Terminal() as audience:
        practise(trainer, work / "checkpoint.pt", every, audience)


@app.command()
def publish(
    work: Work = _WORK,
    repository: Annotated[Path, typer.Option(help="Model repository to write into.")] = Path("triton_models"),
    per_variant: PerVariant = 800,
    judged: Judged = 100,
    threads: Threads = 2,
) -> None:
    """Export the last checkpoint, judge it on held-out scenes, write it into the model repository."""
    judging, learnt = Rendering(JUDGING_SEED, judged), Rendering(LEARNING_SEED, per_variant)
    samples = sample_set(judging, work / "samples")
    state = torch.load(work / "checkpoint.pt", weights_only=True)
    network = JunctionYolo(len(LABELS))
    network.load_state_dict(state["average"])
    raw = to_onnx(network, judging.height, judging.width)
    model = wrap(prepare(raw), FAMILY, NAME, LABELS, Suppression(iou=0.6, candidates=300))
    note = try_out(model)
    report = evaluate(model, samples)
    facts = {
        "steps": int(state["step"]),
        "recipe": state["recipe"],
        "learnt_from": learnt,
        "judged_on": judging,
        "threads": threads,
        "learnt_from_sha256": digest(folder_of(learnt, work / "samples") / "pixels.npy"),
        "learnt_from_simulator": commit_in(folder_of(learnt, work / "samples")),
        "commit": commit_of(Path(__file__).parent),
        "parameters": sum(p.numel() for p in network.parameters()),
        "result": report,
    }
    graph = model.graph.SerializeToString(deterministic=True)
    folder = store(
        repository, model, own_card(NAME, FAMILY.name, "training/train_detector.py", graph, facts, note), replace=True
    )
    (folder / "README.md").write_text(_readme(facts, report), encoding="utf-8")
    typer.echo(f"{folder}: mAP50 {report.map50:.3f}, mAP50-95 {report.map50_95:.3f}")


@app.command()
def quantize(
    work: Work = _WORK,
    repository: Annotated[Path, typer.Option(help="Model repository to read from and write into.")] = Path(
        "triton_models"
    ),
    per_variant: PerVariant = 800,
    judged: Judged = 100,
    every: Annotated[int, typer.Option(help="Calibrate on every n-th picture that it learnt from.")] = 16,
) -> None:
    """The INT8 variant of the published detector, judged on the same scenes."""
    learnt, judging = Rendering(LEARNING_SEED, per_variant), Rendering(JUDGING_SEED, judged)
    calibration = np.ascontiguousarray(sample_set(learnt, work / "samples").pixels[::every])
    samples = sample_set(judging, work / "samples")
    stored = load(repository / NAME)
    data = Data(calibration, f"scenes from seed {LEARNING_SEED}", f"scenes from seed {JUDGING_SEED}", "mAP50-95")
    variant, report = quantized(
        read_served(stored), f"{NAME}-int8", data, lambda model: evaluate(model, samples).map50_95, FLOOR, typer.echo
    )
    folder = store_variant(stored, variant, report, repository, replace=True)
    typer.echo(f"{folder}: {report.judged_by} {report.after:.3f}, {report.times_faster:g} times as fast")


def _readme(facts: dict[str, object], report: Report) -> str:
    variants = "\n".join(
        f"| {name} | {figures['map50']:.3f} | {figures['map50_95']:.3f} |"
        for name, figures in report.by_variant.items()
    )
    classes = "\n".join(f"| {name} | {figure:.3f} |" for name, figure in report.by_class.items())
    return f"""\
# {NAME}

A small YOLO of plain convolutions with ReLU ({facts["parameters"]:,} parameters), for junctions as
the repository's simulator renders them. Classes: {", ".join(LABELS)}. Input 448x256, letterboxed to the top left.

It has seen rendered scenes only. For real cameras import or pull a detector that has learnt from photographs.

Trained by `python -m training.train_detector train`, exported and judged by `... publish`; seeds, recipe and commit
are in `card.json`. Licence: Apache-2.0. Nothing but the simulator's own pictures went into it.

Judged on {report.pictures} pictures with {report.objects} objects, of scenes that it hasn't learnt from, by COCO's
rules:

| variant | mAP50 | mAP50-95 |
|---|---|---|
{variants}
| all | {report.map50:.3f} | {report.map50_95:.3f} |
| all, at least {NEAR} pixels high | {report.near["map50"]:.3f} | {report.near["map50_95"]:.3f} |

| class | mAP50-95 |
|---|---|
{classes}

Objects down to 6 pixels high (of 252) count otherwise, and those of which others hide two thirds.
"""


if __name__ == "__main__":
    app()
