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
    if checkpoint.exists():
        trainer.load(checkpoint)
        audience.say(f"going on from step {trainer.step} of {end}")

    def report(step: int, losses: Mapping[str, float]) -> None:
        told = ", ".join(f"{name} {loss:.4f}" for name, loss in losses.items())
        audience.say(f"step {step} of {end}: {told}")
        reached(step)

    def reached(step: int) -> None:
        audience.step(step, end)
        if look:
            look(step)

    # the look may have been missed by who was stopped right behind a checkpoint
    reached(trainer.step)
    trainer.run(checkpoint, every, report)
