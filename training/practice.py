"""Practice: on from the last checkpoint, to the recipe's end, before an audience."""

from collections.abc import Callable, Mapping
from pathlib import Path

from training.audience import Audience
from training.trainer import Trainer


def practise(
    trainer: Trainer, checkpoint: Path, every: int, audience: Audience, look: Callable[[int], None] | None = None
) -> None:
    """Every `every` steps, and at the end, the checkpoint is written and the mean losses since the last one are told.
    `look` is called with the step behind each checkpoint, and before the first step.

    Raises CheckpointError, LossError, OSError; the checkpoint before stays.
    """
    end = trainer.recipe.steps
    _resume(trainer, checkpoint, audience)

    def report(step: int, losses: Mapping[str, float]) -> None:
        audience.say(f"step {step} of {end}: {_told(losses)}")
        reached(step)

    def reached(step: int) -> None:
        audience.step(step, end)
        if look:
            look(step)

    # the look may have been missed by who was stopped right behind a checkpoint
    reached(trainer.step)
    trainer.run(checkpoint, every, report)


def practise_in_turns(trainers: Mapping[str, Trainer], folder: Path, every: int, audience: Audience) -> None:
    """As `practise`, of several that are to be compared: each goes on to its next checkpoint, NAME.pt in the folder,
    then the next one does. Wherever it is stopped, they have learnt from the same samples but for one such turn.

    Raises CheckpointError, LossError, OSError; the checkpoints before stay.
    """
    end = max(trainer.recipe.steps for trainer in trainers.values())
    for name, trainer in trainers.items():
        _resume(trainer, folder / f"{name}.pt", audience, f"{name}: ")
    for until in range(every, end + every, every):
        for name, trainer in trainers.items():

            def report(step: int, losses: Mapping[str, float], name: str = name) -> None:
                audience.say(f"{name}: step {step} of {end}: {_told(losses)}")

            trainer.run(folder / f"{name}.pt", every, report, until)
        audience.step(min(until, end), end)


def _resume(trainer: Trainer, checkpoint: Path, audience: Audience, before: str = "") -> None:
    if checkpoint.exists():
        trainer.load(checkpoint)
        audience.say(f"{before}going on from step {trainer.step} of {trainer.recipe.steps}")


def _told(losses: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {loss:.4f}" for name, loss in losses.items())
