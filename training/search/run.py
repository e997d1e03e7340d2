"""The whole search, from an order to a recipe; what was tried is not tried again."""

from pathlib import Path
from typing import Final

import msgspec

from training.audience import Audience
from training.course.order import Order
from training.course.preparation import prepare, usual
from training.course.record import alone
from training.model_repository import draft_of
from training.search.learner import Learner
from training.search.outcome import Outcome
from training.search.series import best_of, try_out
from training.search.space import space
from training.search.study import opened

STUDY: Final = "study.db"
RECIPE: Final = "recipe.json"
_CHECKPOINT: Final = "trial.pt"


def run(
    order: Order,
    repository: Path,
    work: Path,
    trials: int,
    seconds: float | None,
    audience: Audience,
    anew: bool = False,
) -> Outcome:
    """Until so many were tried, those of before included; or, after so many seconds, as many as were then begun.

    Raises DatasetError, SplitError, LeakError, PictureError, ModelError, RunError, SearchError and OSError. Stopped,
    the same order goes on.
    """
    with alone(work):
        study, recipe, checkpoint = (work / name for name in (STUDY, RECIPE, _CHECKPOINT))
        if anew:
            for file in (study, checkpoint):
                file.unlink(missing_ok=True)
        audience.say(f"reading {order.folder}")
        prepared = prepare(order, repository, work)
        first = usual(prepared.start)
        with opened(study, prepared.basis, space(first), first) as search:
            tried = try_out(search, lambda each: Learner(prepared, checkpoint, each), trials, seconds, audience)
            best, importance = best_of(tried), search.importance()
        draft_of(recipe, msgspec.json.format(msgspec.json.encode(best.chosen), indent=1)).replace(recipe)
        return Outcome(tried, best, importance, str(study), str(recipe))
