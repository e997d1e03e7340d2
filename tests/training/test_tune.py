# ruff: noqa: E402 - what needs PyTorch can only be imported after asking for it
"""`rewatch tune` with real trainings of a few steps: enough to see that every part is there, not to be good."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch", reason="the extra `train` (PyTorch) isn't installed")

from cli.main import build
from tests.training import folders
from tests.training.test_course import BOXES
from tests.training.test_model_versions import ROOT
from training.audience import Listener
from training.course.hyperparameters import USUAL, read_recipe
from training.course.order import Order
from training.course.preparation import prepare, trainer_of
from training.course.record import Basis
from training.model_repository import card_of
from training.search.attempt import FailedError, PrunedError
from training.search.learner import Learner
from training.search.run import RECIPE, STUDY, run

pytestmark = pytest.mark.timeout(240)
RUN = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"})
SMALL = {"size": (64, 64), "steps": 6, "batch": 2, "threads": 1, "every": 1, "at_least": 0.0}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folders.coco(tmp_path / "pictures", dict(list(BOXES.items())[:10]))
    return tmp_path / "pictures"


def order(pictures: Path, **more: Any) -> Order:
    return Order("parts", pictures, **{**SMALL, **more})


def command(pictures: Path, work: Path, *words: object) -> list[str]:
    options = ["--steps", "40", "--batch", "2", "--size", "64x64", "--threads", "1", "--work", work, *words]
    return ["tune", *map(str, [pictures, "--name", "parts", *options, "--repository", pictures.parent / "models"])]


def relabel(pictures: Path) -> None:
    listed = pictures / "annotations" / "instances.json"
    content = msgspec.json.decode(listed.read_bytes())
    content["annotations"][0]["bbox"][2] -= 1
    listed.write_bytes(msgspec.json.encode(content))


def test_killed_in_the_middle_of_a_trial_it_comes_to_the_same(pictures: Path) -> None:
    words = command(pictures, pictures.parent / "killed", "--trials", 2, "--json")
    checkpoint = pictures.parent / "killed" / "trial.pt"
    process = subprocess.Popen([sys.executable, "-m", "cli.main", *words], cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        while not checkpoint.exists():
            assert process.poll() is None, "it must not end before it is killed"
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    gone_on = RUN.invoke(build("tune"), words)
    assert gone_on.exit_code == 0, gone_on.output
    undisturbed = RUN.invoke(build("tune"), command(pictures, pictures.parent / "whole", "--trials", 2, "--json"))
    told, wanted = (msgspec.json.decode(done.stdout) for done in (gone_on, undisturbed))
    assert told["tried"] == wanted["tried"]
    assert told["best"] == wanted["best"]
    assert [one["number"] for one in told["tried"]] == [1, 2]

    # what was tried is not tried again, and people get a table
    again = RUN.invoke(build("tune"), command(pictures, pictures.parent / "killed", "--trials", 2))
    assert "going on: 2 were tried before" in again.stderr
    assert "the best is trial" in again.stdout
    assert f"--recipe {pictures.parent / 'killed' / RECIPE}" in again.stdout
    anew = RUN.invoke(build("tune"), command(pictures, pictures.parent / "killed", "--trials", 1, "--anew", "--json"))
    assert msgspec.json.decode(anew.stdout)["tried"] == wanted["tried"][:1]
    relabel(pictures)
    other = RUN.invoke(build("tune"), command(pictures, pictures.parent / "killed", "--trials", 2))
    assert other.exit_code == 1
    assert "is of a training that differs in data" in other.stderr


def test_an_attempt_goes_on_from_its_own_checkpoint_and_from_no_other(pictures: Path) -> None:
    here = pictures.parent
    prepared = prepare(order(pictures), here / "models", here / "work")
    checkpoint, reported = here / "trial.pt", dict[int, float]()

    def attempt(goes_on: bool, until: int = 1_000_000, rate: float = USUAL.peak_rate) -> tuple[float, list[int]]:
        steps = Steps(until)
        chosen = msgspec.structs.replace(USUAL, peak_rate=rate)
        return Learner(prepared, checkpoint, steps)(chosen, reported.__setitem__, goes_on), steps.done

    straight, done = attempt(False)
    assert done == [0, 1, 2, 3, 4, 5, 6]
    assert list(reported) == [1, 2, 3, 4, 5], "the last figure is the answer"
    whole, weights = checkpoint.read_bytes(), torch.load(checkpoint)["average"]

    def check_that_weights_are_the_same() -> None:
        for name, value in torch.load(checkpoint)["average"].items():
            assert torch.equal(value, weights[name]), name

    with pytest.raises(KeyboardInterrupt):
        attempt(False, until=3)
    assert attempt(True) == (straight, [3, 4, 5, 6])
    check_that_weights_are_the_same()
    for spoilt in (b"nonsense", whole[:-100]):
        checkpoint.write_bytes(spoilt)
        assert attempt(True) == (straight, done)
        check_that_weights_are_the_same()
    assert attempt(True, rate=0.001)[1] == done, "the checkpoint is of another attempt"

    def pruned(step: int, figure: float) -> None:
        raise PrunedError

    with pytest.raises(PrunedError):
        Learner(prepared, checkpoint, Listener())(USUAL, pruned, False)


def test_a_loss_that_is_no_number_fails_the_attempt(pictures: Path) -> None:
    here = pictures.parent
    prepared = prepare(order(pictures, every=25), here / "models", here / "work")
    learner = Learner(prepared, here / "trial.pt", Listener())
    with pytest.raises(FailedError, match="the loss is no number any more"):
        learner(msgspec.structs.replace(USUAL, peak_rate=1e30), lambda *_: None, False)


class Steps(Listener):
    """Remembers the steps, too."""

    def __init__(self, until: int) -> None:
        super().__init__(until)
        self.done: list[int] = []

    def step(self, done: int, of: int) -> None:
        self.done.append(done)
        super().step(done, of)


def test_each_hyperparameter_reaches_the_training(pictures: Path) -> None:
    here = pictures.parent
    outcome = run(order(pictures), here / "models", here / "work", 2, None, Listener())
    assert Path(outcome.study) == here / "work" / STUDY
    assert not (here / "models").exists(), "nothing is published"
    chosen = outcome.tried[1].chosen
    assert chosen != USUAL
    recipe = here / "mine.json"
    recipe.write_bytes(msgspec.json.encode(chosen))
    words = ["--steps", "6", "--batch", "2", "--size", "64x64", "--threads", "1", "--at-least", "0", "--recipe", recipe]
    words += ["--repository", here / "models", "--work", here / "work", "--triton", "127.0.0.1:1"]
    done = RUN.invoke(build("train"), ["train", *map(str, [pictures, "--name", "parts", *words])])
    assert done.exit_code == 0, done.output
    card = card_of(here / "models" / "parts", 1)
    assert card is not None
    basis = msgspec.json.decode(card.facts["basis"], type=Basis)
    learnt = msgspec.json.decode(card.facts["recipe"])
    for name in ("peak_rate", "weight_decay", "plain_share", "average_decay"):
        assert getattr(basis, name) == learnt[name] == getattr(chosen, name)
    assert basis.variation == chosen.variation
    usual = trainer_of(prepare(order(pictures), here / "models", here / "work"))
    varied = trainer_of(prepare(order(pictures, recipe=chosen), here / "models", here / "work"))
    assert usual.advance() != varied.advance(), "the first losses depend on nothing else but what was shown"
    assert read_recipe(Path(outcome.recipe)) == outcome.best.chosen
    # the training is the trial's, bit for bit
    trial, whole = (torch.load(here / "work" / name)["average"] for name in ("trial.pt", "checkpoint.pt"))
    assert all(torch.equal(value, whole[name]) for name, value in trial.items())
