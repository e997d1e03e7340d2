"""A search for hyperparameters, on a formula instead of a training. Needs Optuna of the extra `train`, not PyTorch."""

import contextlib
import itertools
import math
import random
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

pytest.importorskip("optuna", reason="the extra `train` (Optuna) isn't installed")

from training.audience import Audience, Listener
from training.course.hyperparameters import USUAL, Hyperparameters
from training.course.record import Basis
from training.search.attempt import Attempt, FailedError, Hill, Report
from training.search.outcome import Tried
from training.search.series import best_of, try_out
from training.search.space import space
from training.search.study import SearchError, opened

BASIS = Basis("data", (64, 64), ("bolt",), "", "", 0.0, 30, 2, USUAL.peak_rate, 1, 1)


def searched(
    file: Path, attempt: Attempt, trials: int = 14, basis: Basis = BASIS, listener: Audience | None = None
) -> tuple[Tried, ...]:
    with opened(file, basis, space(USUAL), USUAL) as search:
        return try_out(search, lambda _: attempt, trials, None, listener or Listener())


def figures(tried: Sequence[Tried]) -> list[tuple[str, float | None]]:
    return [(one.state, one.figure) for one in tried]


def test_it_finds_better_than_the_usual_with_which_it_begins(tmp_path: Path) -> None:
    with opened(tmp_path / "study.db", BASIS, space(USUAL), USUAL) as search:
        tried = try_out(search, lambda _: Hill(), 25, None, Listener())
        importance = search.importance()
    first, best = tried[0], best_of(tried)
    assert first.chosen == USUAL
    assert [one.number for one in tried] == list(range(1, 26))
    assert first.figure == pytest.approx(0.5 - 0.1 * math.log(2) - 0.03)
    assert best.figure is not None
    assert best.figure > 0.46
    assert sum(importance.values()) == pytest.approx(1, abs=0.01)
    assert set(list(importance)[:2]) == {"peak_rate", "variation"}, "the others play no part in the formula"


def test_poor_ones_are_given_up_half_way(tmp_path: Path) -> None:
    tried = searched(tmp_path / "study.db", Hill(), 20)
    pruned = [one for one in tried if one.state == "pruned"]
    assert pruned
    assert all(one.number > 5 for one in pruned), "there must be others to be worse than"
    for one in pruned:
        there = [o.figure * one.step / 40 for o in tried[: one.number] if o.state == "finished" and o.figure]
        assert one.step in (10, 20, 30)
        assert one.figure is not None
        assert one.figure < sorted(there)[len(there) // 2]


def test_the_same_seed_tries_the_same_and_another_others(tmp_path: Path) -> None:
    one, again = (searched(tmp_path / name, Hill()) for name in ("a.db", "b.db"))
    assert one == again
    other = searched(tmp_path / "c.db", Hill(), basis=msgspec.structs.replace(BASIS, seed=2))
    assert other[0] == one[0]
    assert all(a.chosen != b.chosen for a, b in itertools.zip_longest(one[1:], other[1:]))


def test_stopped_wherever_it_comes_to_the_same(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    undisturbed = searched(tmp_path / "whole.db", Hill(cliff=0.0045))
    # none lies behind the last step that is taken
    stops = sorted(random.Random(seed).sample(range(1, sum(each.step // 10 for each in undisturbed) + 1), 8))
    hill, disturbed, stopped = Hill(cliff=0.0045, stops=stops), None, -1
    while disturbed is None:
        stopped += 1
        with contextlib.suppress(KeyboardInterrupt):
            disturbed = searched(tmp_path / "stopped.db", hill)
    assert disturbed == undisturbed
    assert {one.state for one in undisturbed} == {"finished", "pruned", "failed"}
    assert stopped == len(stops)
    assert sum(goes_on for _, goes_on in hill.tried) == stopped
    for (before, _), (rate, goes_on) in itertools.pairwise(hill.tried):
        assert not goes_on or rate == before, "what was stopped comes next"


def test_between_two_commands_nothing_is_lost(tmp_path: Path) -> None:
    file, listener = tmp_path / "study.db", Listener()
    whole = searched(tmp_path / "whole.db", Hill(), 9)
    assert searched(file, Hill(), 4) == whole[:4]
    assert searched(file, Hill(), 9, listener=listener) == whole
    assert listener.said[0] == "going on: 4 were tried before"
    idle = Hill()
    assert searched(file, idle, 9) == whole
    assert idle.tried == []


class Odd:
    """Answers with what is no number: on the way, at the end, or not at all."""

    def __init__(self) -> None:
        self._times = 0

    def __call__(self, chosen: Hyperparameters, report: Report, goes_on: bool) -> float:
        self._times += 1
        if self._times == 2:
            report(10, math.nan)
        if self._times == 3:
            raise FailedError("step 4: the loss is no number any more")
        return math.inf if self._times == 1 else 0.1 * self._times


def test_what_is_no_number_is_a_trial_that_failed_with_its_reason(tmp_path: Path) -> None:
    file, listener = tmp_path / "study.db", Listener()
    tried = searched(file, Odd(), 5, listener=listener)
    assert figures(tried) == [("failed", None)] * 3 + [("finished", 0.4), ("finished", 0.5)]
    assert [one.reason for one in tried[:3]] == [
        "the figure is no number", "step 10: the figure is no number", "step 4: the loss is no number any more",
    ]  # fmt: skip
    assert listener.said[2].startswith("trial 3 of 5: failed: step 4: the loss is no number any more; peak rate ")
    assert best_of(tried).number == 5
    assert searched(file, Hill(), 5) == tried, "they count, and are not tried again"


def test_where_none_has_finished_there_is_no_best(tmp_path: Path) -> None:
    with pytest.raises(SearchError, match=r"no trial has finished \(trial 1: failed: the loss is no number any more"):
        best_of(searched(tmp_path / "study.db", Hill(cliff=0), 2))
    with pytest.raises(SearchError, match="none was begun"):
        best_of(())
    with pytest.raises(SearchError, match="0 trials: at least one is wanted"):
        searched(tmp_path / "study.db", Hill(), 0)


def test_when_time_is_up_no_further_one_is_begun(tmp_path: Path) -> None:
    ticks = itertools.count(0.0, 10.0)
    with opened(tmp_path / "study.db", BASIS, space(USUAL), USUAL) as search:
        tried = try_out(search, lambda _: Hill(), 9, 25.0, Listener(), lambda: next(ticks))
    assert len(tried) == 2


def test_a_study_of_something_else_is_refused_with_what_differs(tmp_path: Path) -> None:
    file = tmp_path / "study.db"
    tried = searched(file, Hill(), 2)
    other = msgspec.structs.replace(BASIS, data="other pictures", steps=60)
    with pytest.raises(SearchError, match=r"differs in data \(data, now other pictur\), steps \(30, now 60\); --anew"):
        searched(file, Hill(), 2, other)
    assert searched(file, Hill(), 2) == tried


def nonsense(file: Path) -> None:
    file.write_bytes(b"nonsense" * 1000)


def cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:20_000])


def another_database(file: Path) -> None:
    file.unlink()
    with sqlite3.connect(file) as database:
        database.execute("create table cameras (name text)")
    database.close()


def of_nothing(file: Path) -> None:
    with sqlite3.connect(file) as database:
        database.execute("delete from study_user_attributes")
    database.close()


def of_another_name(file: Path) -> None:
    with sqlite3.connect(file) as database:
        database.execute("update studies set study_name = 'mine'")
    database.close()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (nonsense, "file is not a database"),
        (cut_off, "malformed"),
        (another_database, "no such table"),
        (of_nothing, "no study of hyperparameters"),
        (of_another_name, "no study of hyperparameters"),
        (Path.unlink, None),
    ],
)
def test_a_file_that_is_no_study_is_refused_and_left_alone(tmp_path: Path, spoil: object, says: str | None) -> None:
    file = tmp_path / "study.db"
    searched(file, Hill(), 2)
    assert callable(spoil)
    spoil(file)
    if says is None:
        file.mkdir()
        says = "unable to open database file"
        content = None
    else:
        content = file.read_bytes()
    with pytest.raises(SearchError, match=rf"study\.db: .*{says}.*; --anew begins again"):
        searched(file, Hill(), 2)
    assert content is None or file.read_bytes() == content


def test_what_was_begun_and_never_became_a_study_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / ".study.db.draft").write_bytes(b"nonsense")
    assert len(searched(tmp_path / "study.db", Hill(), 1)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["study.db"]
