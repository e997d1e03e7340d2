# ruff: noqa: E402 - what needs PyTorch can only be imported after asking for it
"""Practice with the smallest network there is. Needs the extra `train`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the extra `train` (PyTorch) isn't installed")

from training.audience import Listener
from training.practice import practise, practise_in_turns
from training.trainer import CheckpointError, Choice, Recipe, Trainer

pytestmark = pytest.mark.timeout(60)


class Ones:
    """Whatever comes in, 1 is wanted."""

    sha256 = "ones"

    def __len__(self) -> int:
        return 7

    def losses(self, network: Any, batch: Sequence[Choice], plain: bool) -> Mapping[str, Any]:
        shown = torch.tensor([[float(each.index), each.dice.random()] for each in batch])
        return {"off": ((network(shown) - 1) ** 2).mean()}


def trainer(steps: int = 5, seed: int = 1) -> Trainer:
    return Trainer(Recipe(seed=seed, steps=steps, batch=2, warmup_steps=1), lambda: torch.nn.Linear(2, 1), Ones())


def test_it_says_what_it_does_and_looks_behind_every_checkpoint(tmp_path: Path) -> None:
    listener, looks, learnt = Listener(), list[int](), trainer()
    practise(learnt, tmp_path / "a.pt", 2, listener, looks.append)
    assert looks == [0, 2, 4, 5]
    assert listener.said == [f"step {step} of 5: off {means['off']:.4f}" for step, means in learnt.curve]


def test_stopped_it_goes_on_and_leaves_the_same_checkpoint(tmp_path: Path) -> None:
    practise(trainer(), tmp_path / "straight.pt", 2, Listener())
    with pytest.raises(KeyboardInterrupt):
        practise(trainer(), tmp_path / "stopped.pt", 2, Listener(until=2))
    listener, looks = Listener(), list[int]()
    practise(trainer(), tmp_path / "stopped.pt", 2, listener, looks.append)
    assert listener.said[0] == "going on from step 2 of 5"
    assert looks == [2, 4, 5], "the first one was missed"
    one, other = (torch.load(tmp_path / file) for file in ("straight.pt", "stopped.pt"))
    assert [one[name] for name in ("step", "curve", "ends")] == [other[name] for name in ("step", "curve", "ends")]
    for name in ("network", "average", "optimiser"):
        torch.testing.assert_close(one[name], other[name], rtol=0, atol=0)


def test_there_is_no_going_on_from_what_is_no_checkpoint_of_the_same_training(tmp_path: Path) -> None:
    file = tmp_path / "a.pt"
    practise(trainer(), file, 2, Listener())
    whole = file.read_bytes()
    with pytest.raises(CheckpointError, match=r"a\.pt: made with another recipe"):
        practise(trainer(seed=2), file, 2, Listener())
    with pytest.raises(CheckpointError, match=r"a\.pt: is at step 5 already, behind 4"):
        practise(trainer(4), file, 2, Listener())
    for broken in (b"", b"nonsense", whole[: len(whole) // 2]):
        file.write_bytes(broken)
        with pytest.raises(CheckpointError, match=r"a\.pt: \w"):
            practise(trainer(), file, 2, Listener())
    torch.save({"step": 1}, file)
    with pytest.raises(CheckpointError, match="'recipe'"):
        practise(trainer(), file, 2, Listener())


def test_in_turns_each_learns_as_by_itself(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 2)):
        practise(trainer(seed=seed), tmp_path / f"{name}-alone.pt", 2, Listener())
    several = {"a": trainer(seed=1), "b": trainer(seed=2)}
    with pytest.raises(KeyboardInterrupt):
        practise_in_turns(several, tmp_path, 2, Listener(until=2))
    assert [each.step for each in several.values()] == [2, 2], "neither is far ahead"
    listener = Listener()
    practise_in_turns({"a": trainer(seed=1), "b": trainer(seed=2)}, tmp_path, 2, listener)
    assert listener.said[:2] == [f"{name}: going on from step 2 of 5" for name in "ab"]
    assert [line[:14] for line in listener.said[2:]] == [
        "a: step 4 of 5",
        "b: step 4 of 5",
        "a: step 5 of 5",
        "b: step 5 of 5",
    ]
    for name in "ab":
        one, other = (torch.load(tmp_path / f"{file}.pt") for file in (name, f"{name}-alone"))
        assert one["curve"] == other["curve"]
        for part in ("network", "average", "optimiser"):
            torch.testing.assert_close(one[part], other[part], rtol=0, atol=0)
