"""A search by Optuna that survives being killed: everything it knows is in one SQLite file.

What is tried next follows from the file and the seed alone. A trial that was running when its process died does not
count; it is tried again, from its checkpoint, and the search comes to the same as one that nobody disturbed.
"""

import contextlib
import logging
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import optuna
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from training.course.hyperparameters import Hyperparameters
from training.course.record import Basis, differences
from training.search.attempt import Attempt, FailedError, PrunedError
from training.search.outcome import State, Tried
from training.search.space import Range

_NAME: Final = "hyperparameters"
_AT_RANDOM: Final = 5
"""trials before the sampler goes by what it has seen, and before one is pruned"""
_ENOUGH: Final = 8
"""finished trials that say something about what matters"""
_STATES: Final[Mapping[TrialState, State]] = {
    TrialState.COMPLETE: "finished",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}


class SearchError(ValueError):
    """There is no going on with a study, or nothing came of it; the text says why and what to do."""


class Search:
    """A study in its file. Never open in two processes: each takes what runs in the other for dead."""

    def __init__(self, study: optuna.Study, file: Path, space: Mapping[str, Range], basis: Basis) -> None:
        self._study, self._file, self._basis = study, file, basis
        self._space = {name: FloatDistribution(each.low, each.high, log=each.log) for name, each in space.items()}
        study.pruner = optuna.pruners.MedianPruner(_AT_RANDOM, n_warmup_steps=basis.steps // 2)

    def tried(self) -> tuple[Tried, ...]:
        """All that count, in order. Raises SearchError."""
        with _storing(self._file):
            return tuple(self._told(number, trial) for number, trial in enumerate(self._counted(), 1))

    def try_next(self, attempt: Attempt) -> Tried:
        """One trial. Raises SearchError, and what `attempt` raises besides its own errors: the trial is then tried
        again when the study is opened the next time."""
        with _storing(self._file):
            # a sampler for each trial: one for all would draw the first numbers again after a restart
            seed = np.random.SeedSequence((self._basis.seed, len(self._counted()))).generate_state(1)[0]
            self._study.sampler = optuna.samplers.TPESampler(n_startup_trials=_AT_RANDOM, seed=int(seed))
            trial = self._study.ask(self._space)
            known = self._known(trial)

        def report(step: int, figure: float) -> None:
            if not math.isfinite(figure):
                raise FailedError(f"step {step}: the figure is no number")
            with _storing(self._file):
                if step not in known:
                    trial.report(figure, step)
                if trial.should_prune():
                    raise PrunedError

        figure, state = None, TrialState.COMPLETE
        try:
            figure = attempt(_chosen(trial.params), report, "goes_on_from" in trial.user_attrs)
            if not math.isfinite(figure):
                raise FailedError("the figure is no number")
        except PrunedError:
            state = TrialState.PRUNED
        except FailedError as error:
            figure, state = None, TrialState.FAIL
            with _storing(self._file):
                trial.set_user_attr("reason", str(error))
        with _storing(self._file):
            told = self._study.tell(trial, figure, state)
            return self._told(len(self._counted()), told)

    def importance(self) -> dict[str, float]:
        """Shares by hyperparameter, the greatest first; empty where too few have finished."""
        with _storing(self._file):
            if sum(trial.state is TrialState.COMPLETE for trial in self._counted()) < _ENOUGH:
                return {}
            found = optuna.importance.get_param_importances(self._study)
        return {name: round(share, 3) for name, share in sorted(found.items(), key=lambda each: -each[1])}

    def _counted(self) -> list[FrozenTrial]:
        """One without a reason did not fail: it was stopped."""
        over = self._study.get_trials(deepcopy=False, states=tuple(_STATES))
        return [trial for trial in over if trial.state is not TrialState.FAIL or "reason" in trial.user_attrs]

    def _known(self, trial: Trial) -> set[int]:
        """Steps whose figures are known from before the trial was stopped; they are its own again, for the pruner."""
        number = trial.user_attrs.get("goes_on_from")
        if number is None:
            return set()
        figures = self._study.get_trials(deepcopy=False)[number].intermediate_values
        for step, figure in figures.items():
            trial.report(figure, step)
        return set(figures)

    def _told(self, number: int, trial: FrozenTrial) -> Tried:
        complete = trial.state is TrialState.COMPLETE
        step = self._basis.steps if complete else trial.last_step or 0
        figure = trial.value if complete else trial.intermediate_values.get(step)
        reason = str(trial.user_attrs.get("reason", ""))
        return Tried(number, _STATES[trial.state], _chosen(trial.params), step, figure, reason)


@contextlib.contextmanager
def opened(file: Path, basis: Basis, space: Mapping[str, Range], usual: Hyperparameters) -> Iterator[Search]:
    """Made where it is missing; its first trial is the usual. Raises SearchError for a file that is no study, or one
    of another basis."""
    optuna.logging.set_verbosity(logging.WARNING)
    if not file.exists():
        # whole or not at all
        draft = file.with_name(f".{file.name}.draft")
        draft.unlink(missing_ok=True)
        with _storage(draft, new=True) as storage, _storing(draft):
            study = optuna.create_study(storage=storage, study_name=_NAME, direction="maximize")
            study.set_user_attr("basis", msgspec.json.encode(basis).decode())
            study.enqueue_trial(msgspec.to_builtins(usual))
        draft.replace(file)
    with _storage(file, new=False) as storage:
        with _storing(file, "; --anew begins again"):
            study = _loaded(file, storage, basis)
            _try_again(study)
        yield Search(study, file, space, basis)


@contextlib.contextmanager
def _storage(file: Path, new: bool) -> Iterator[optuna.storages.RDBStorage]:
    with _storing(file, "" if new else "; --anew begins again"):
        storage = optuna.storages.RDBStorage(f"sqlite:///{file.absolute()}", skip_table_creation=not new)
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


@contextlib.contextmanager
def _storing(file: Path, advice: str = "") -> Iterator[None]:
    """Raises SearchError for all that the file is to blame for."""
    try:
        yield
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        cause = error.__cause__ if isinstance(error, optuna.exceptions.StorageInternalError) else error
        why = str(getattr(cause, "orig", None) or error).splitlines()[0]
        raise SearchError(f"{file}: {why}{advice}") from None


def _loaded(file: Path, storage: optuna.storages.RDBStorage, basis: Basis) -> optuna.Study:
    try:
        study = optuna.load_study(storage=storage, study_name=_NAME)
        found = msgspec.json.decode(study.user_attrs["basis"], type=Basis)
    except (KeyError, TypeError, msgspec.DecodeError):
        raise SearchError(f"{file}: no study of hyperparameters; --anew begins again") from None
    if named := differences(found, basis):
        raise SearchError(f"{file} is of a training that differs in {named}; --anew begins again")
    return study


def _try_again(study: optuna.Study) -> None:
    """What was running when its process died stands in line again, and is over."""
    lined_up = [trial.user_attrs.get("goes_on_from") for trial in study.get_trials(states=(TrialState.WAITING,))]
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        whole = trial.params.keys() == set(Hyperparameters.__struct_fields__)
        # with a reason it had failed; without all parameters the sampler will draw the same again
        if whole and "reason" not in trial.user_attrs and trial.number not in lined_up:
            study.enqueue_trial(trial.params, {"goes_on_from": trial.number})
        study.tell(trial.number, state=TrialState.FAIL)


def _chosen(params: Mapping[str, float]) -> Hyperparameters:
    return msgspec.convert(dict(params), Hyperparameters)
