"""Events per hour of two shares of cameras: what counts, what is found, what is said of too little."""

import os
import random

import numpy as np
import pytest

from experiments.gathering import Seen
from experiments.shares import ALL, Kind, Shares, report
from experiments.significance import ALPHA
from schemas.experiment import ArmName
from schemas.messages import Event, Provenance

SEED = int(os.environ.get("REWATCH_TEST_SEED") or random.randrange(10**6))
MINUTE = 60_000_000_000


@pytest.fixture
def dice() -> np.random.Generator:
    print(f"seed {SEED}; repeat with REWATCH_TEST_SEED={SEED}")
    return np.random.default_rng(SEED)


def event(camera: str, minute: int, number: int, kind: str = "line_crossed", model: str = "old") -> Event:
    where = Provenance("frames", 0, 0, 0, 0, model, "1", "c")
    return Event(
        f"{camera}-{minute}-{number}-{kind}", camera, kind, "r", minute * MINUTE + number, None, None, None, {}, where
    )


def traffic(dice: np.random.Generator, rates: dict[str, float], minutes: int = 60) -> tuple[Seen, dict[str, ArmName]]:
    """Cameras whose names begin with their arm."""
    arms: dict[str, ArmName] = {camera: "b" if camera.startswith("b") else "a" for camera in rates}
    model = {"a": "old", "b": "new"}
    events = [
        event(camera, minute, number, model=model[arms[camera]])
        for camera, rate in rates.items()
        for minute in range(minutes)
        for number in range(dice.poisson(rate / 60))
    ]
    windows = {camera: dict.fromkeys(range(minutes), frozenset({model[arm]})) for camera, arm in arms.items()}
    return Seen(windows, tuple(events)), arms


def judged(seen: Seen, arms: dict[str, ArmName], seed: int = 1) -> Shares:
    return report(seen, "old", "new", arms, 0, 60.0, seed)


def of(found: Shares, kind: str = ALL) -> Kind:
    return next(each for each in found.kinds if each.kind == kind)


def test_a_planted_difference_is_found(dice: np.random.Generator) -> None:
    rates = {f"{arm}{number}": 60.0 + 5 * number + (60 if arm == "b" else 0) for arm in "ab" for number in range(6)}
    found = judged(*traffic(dice, rates))
    assert of(found).verdict == "more events"
    assert of(found, "line_crossed").verdict == "more events"
    effect = of(found).effect
    assert effect.difference is not None
    assert effect.low is not None
    assert effect.high is not None
    assert effect.low < 60 < effect.high
    assert found.windows == {"a": 360, "b": 360}


def test_busy_and_quiet_cameras_alone_are_no_difference(dice: np.random.Generator) -> None:
    """Windows of one camera are alike: were each a witness, nearly every deal would look like a difference."""
    wrong = 0
    for seed in range(60):
        rates = {f"{arm}{number}": float(dice.gamma(2, 100)) for arm in "ab" for number in range(5)}
        wrong += of(judged(*traffic(dice, rates, 30), seed)).verdict != "no difference"
    print(f"claimed wrongly: {wrong} of 60")
    assert wrong <= 60 * ALPHA + 5 * (60 * ALPHA * (1 - ALPHA)) ** 0.5


def test_three_cameras_an_arm_are_not_enough_whatever_they_show(dice: np.random.Generator) -> None:
    rates = {f"{arm}{number}": 600.0 if arm == "b" else 6.0 for arm in "ab" for number in range(3)}
    found = of(judged(*traffic(dice, rates)))
    assert found.verdict == "not enough data"
    assert "3 and 3 cameras" in found.effect.missing


def test_few_windows_are_not_enough(dice: np.random.Generator) -> None:
    rates = {f"{arm}{number}": 60.0 for arm in "ab" for number in range(6)}
    found = of(judged(*traffic(dice, rates, minutes=3)))
    assert found.verdict == "not enough data"
    assert found.effect.missing == "18 windows of arm a and 18 windows of arm b, 20 are wanted"


def test_windows_in_which_another_model_answered_are_left_out() -> None:
    windows = {0: frozenset({"old"}), 1: frozenset({"old", "new"}), 2: frozenset({"new"})}
    seen = Seen({"b1": windows}, tuple(event("b1", minute, 0, model="new") for minute in range(3)))
    (figures,) = judged(seen, {"b1": "b"}).cameras
    assert (figures.windows, figures.events_per_hour) == (1, {ALL: 60.0, "line_crossed": 60.0})


def test_cameras_outside_the_experiment_are_left_out_unless_it_is_over() -> None:
    seen = Seen({"x": {0: frozenset({"old"})}, "b1": {0: frozenset({"new"})}}, ())
    assert [each.camera for each in judged(seen, {"b1": "b"}).cameras] == ["b1"]
    over = judged(seen, {}).cameras
    assert [(each.camera, each.arm) for each in over] == [("b1", "b"), ("x", "a")]


def test_many_kinds_make_each_prove_more(dice: np.random.Generator) -> None:
    rates = {f"{arm}{number}": 60.0 + (20 if arm == "b" else 0) for arm in "ab" for number in range(6)}
    seen, arms = traffic(dice, rates)
    rare = tuple(event(camera, 1, 9, kind=f"kind-{number}") for number, camera in enumerate(sorted(arms)))
    found = judged(Seen(seen.models, (*seen.events, *rare)), arms)
    for kind in found.kinds:
        assert kind.p_of_many is not None
        assert kind.effect.p is not None
        assert kind.p_of_many >= kind.effect.p


def test_no_camera_at_all() -> None:
    found = judged(Seen({}, ()), {"b1": "b"})
    assert found.cameras == ()
    assert of(found).verdict == "not enough data"
