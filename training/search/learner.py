"""An attempt that learns: the course's training with other hyperparameters, judged on the validation part."""

from pathlib import Path

import msgspec
import torch

from training.audience import Audience
from training.course.hyperparameters import Hyperparameters
from training.course.learning import looks, served
from training.course.preparation import Prepared, trainer_of
from training.evaluation import evaluate
from training.practice import practise
from training.search.attempt import FailedError, Report
from training.trainer import CheckpointError, LossError, Trainer


class Learner:
    """`checkpoint` is the running attempt's own."""

    def __init__(self, prepared: Prepared, checkpoint: Path, audience: Audience) -> None:
        self._prepared, self._checkpoint, self._audience = prepared, checkpoint, audience

    def __call__(self, chosen: Hyperparameters, report: Report, goes_on: bool) -> float:
        if not goes_on:
            self._checkpoint.unlink(missing_ok=True)
        basis = msgspec.structs.replace(self._prepared.basis, **msgspec.structs.asdict(chosen))
        prepared = msgspec.structs.replace(self._prepared, basis=basis)
        torch.set_num_threads(basis.threads)
        trainer = self._trainer(prepared)
        validation = prepared.part(prepared.new, "validation")
        every = prepared.order.every
        wanted = looks(basis.steps, every) - {basis.steps}

        def figure() -> float:
            return evaluate(served(trainer.average, prepared), validation).map50_95

        def look(step: int) -> None:
            if step in wanted:
                report(step, figure())

        try:
            practise(trainer, self._checkpoint, every, self._audience, look)
        except LossError as error:
            raise FailedError(str(error)) from None
        return figure()

    def _trainer(self, prepared: Prepared) -> Trainer:
        """That can go on from the checkpoint. One that is cut off, or of the attempt before, which left it when this
        one was stopped before it could save, goes."""
        trainer = trainer_of(prepared)
        if self._checkpoint.exists():
            try:
                trainer.load(self._checkpoint)
            except CheckpointError:
                self._checkpoint.unlink()
                return trainer_of(prepared)
        return trainer
