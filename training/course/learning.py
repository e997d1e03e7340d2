"""Learning with checkpoints, and a look at the validation part now and then."""

from pathlib import Path
from typing import Final

import msgspec
import torch

from training.audience import Audience
from training.contract import ServedModel, Suppression
from training.course.preparation import Prepared, trainer_of
from training.course.record import CHECKPOINT, Record, RunError, check_basis, forget, read_record, write_record
from training.evaluation import evaluate
from training.export import to_onnx
from training.families.sides import FAMILY
from training.network import JunctionYolo
from training.practice import practise
from training.raw_network import prepare
from training.served_graph import wrap
from training.trainer import CheckpointError, Trainer

_LOOKS: Final = 6


def begin(prepared: Prepared, work: Path, anew: bool) -> Record:
    """What was done before for the same basis. A training that is published already gives way to one of another
    basis. Raises RunError for one that is not, unless `anew`."""
    if anew:
        forget(work)
    found, start = read_record(work), prepared.start
    basis = prepared.basis
    if (
        found is not None
        and start is not None
        and (start.name, start.version) == (prepared.order.name, found.published)
    ):
        # it would go on from what came of itself: that is asked for with `anew`
        basis = msgspec.structs.replace(basis, start=found.basis.start)
    # where no step was saved there is nothing to lose
    lost = found is not None and not found.published and (work / CHECKPOINT).exists()
    if found is not None and found.basis != basis and not lost:
        forget(work)
        found = None
    if found is not None:
        check_basis(work, found.basis, basis)
        found = msgspec.structs.replace(found, basis=basis)
        write_record(work, found)
        return found
    work.mkdir(parents=True, exist_ok=True)
    record = Record(prepared.basis)
    write_record(work, record)
    return record


def learn(prepared: Prepared, work: Path, record: Record, audience: Audience) -> tuple[Trainer, Record]:
    """To the last step. Raises LossError, OSError, RunError; the last checkpoint stays."""
    torch.set_num_threads(prepared.basis.threads)
    trainer = trainer_of(prepared)
    validation = prepared.part(prepared.new, "validation")
    every, steps = prepared.order.every, prepared.basis.steps
    wanted = looks(steps, every)

    def look(step: int) -> None:
        nonlocal record
        if step in wanted and step not in record.judged:
            figure = evaluate(served(trainer.average, prepared), validation).map50
            record = msgspec.structs.replace(record, judged={**record.judged, step: figure})
            write_record(work, record)
            audience.say(f"step {step}: mAP50 {figure:.3f} on the validation part")

    try:
        practise(trainer, work / CHECKPOINT, every, audience, look)
    except CheckpointError as error:
        raise RunError(f"{error}; --anew begins again") from None
    return trainer, record


def looks(steps: int, every: int) -> set[int]:
    """The steps behind which one looks; the last is among them."""
    return {min(steps, every * max(1, round(steps * i / _LOOKS / every))) for i in range(1, _LOOKS)} | {steps}


def served(network: JunctionYolo, prepared: Prepared) -> ServedModel:
    """In float32."""
    width, height = prepared.size
    return wrap(
        prepare(to_onnx(network, height, width)),
        FAMILY,
        prepared.order.name,
        prepared.classes,
        Suppression(iou=0.6, candidates=300),
    )
