"""Hyperparameters: the file they are kept in, and where a search looks for better ones."""

import sys
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from cli.main import build
from tests.training import folders
from training.contract import ModelError
from training.course.hyperparameters import USUAL, USUAL_ON, Hyperparameters, read_recipe
from training.course.record import Basis, differences
from training.search.space import Range, space

RUN = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"})
WHOLE = msgspec.to_builtins(USUAL)


@pytest.mark.parametrize("usual", [USUAL, USUAL_ON], ids=["from nothing", "from a model"])
def test_the_space_holds_what_is_usual_and_nothing_that_is_no_recipe(usual: Hyperparameters) -> None:
    ranges = space(usual)
    assert tuple(ranges) == Hyperparameters.__struct_fields__
    for name, each in ranges.items():
        assert each.low < getattr(usual, name) < each.high, name
        for end in (each.low, each.high):
            msgspec.convert({**WHOLE, name: end}, Hyperparameters)


@pytest.mark.parametrize(
    ("low", "high", "log", "says"),
    [
        (2.0, 1.0, False, "from 2 to 1: the first must be the smaller"),
        (1.0, 1.0, False, "the first must be the smaller"),
        (0.0, float("inf"), False, "from 0 to inf"),
        (0.0, 1.0, True, "by its logarithm: it must begin above 0"),
    ],
)
def test_what_is_no_range_is_refused(low: float, high: float, log: bool, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Range(low, high, log)


def test_a_recipe_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "recipe.json"
    file.write_bytes(msgspec.json.encode(USUAL_ON))
    assert read_recipe(file) == USUAL_ON


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        ("nonsense", "JSON is malformed"),
        ("[]", "Expected `object`, got `array`"),
        ("{}", "missing required field `peak_rate`"),
        ({**WHOLE, "peak_rate": 0.0}, r"> 0.0 - at `\$\.peak_rate`"),
        ({**WHOLE, "weight_decay": -1.0}, r"\$\.weight_decay"),
        ({**WHOLE, "plain_share": 1.5}, r"\$\.plain_share"),
        ({**WHOLE, "average_decay": 1.0}, r"\$\.average_decay"),
        ({**WHOLE, "variation": "much"}, r"Expected `float`, got `str` - at `\$\.variation`"),
        ({**WHOLE, "momentum": 0.9}, "unknown field `momentum`"),
    ],
)
def test_what_is_no_recipe_is_named(tmp_path: Path, content: object, says: str) -> None:
    file = tmp_path / "recipe.json"
    if content is not None:
        file.write_bytes(content.encode() if isinstance(content, str) else msgspec.json.encode(content))
    with pytest.raises(ModelError, match=rf"recipe\.json: no recipe: .*{says}"):
        read_recipe(file)


def test_a_record_from_before_there_were_recipes_is_of_the_usual_one() -> None:
    then = {"data": "d", "size": [64, 64], "classes": ["a"], "start": "", "rehearsal": "", "rehearse_share": 0.0}
    then |= {"steps": 3, "batch": 2, "peak_rate": USUAL.peak_rate, "seed": 1, "threads": 1}
    found = msgspec.convert(then, Basis)
    assert (found.weight_decay, found.plain_share, found.variation) == (
        USUAL.weight_decay,
        USUAL.plain_share,
        USUAL.variation,
    )
    assert found.average_decay is None
    other = msgspec.structs.replace(found, variation=0.5, data="e")
    assert differences(found, other) == "data (d, now e), variation (1.0, now 0.5)"
    assert differences(found, found) == ""


def test_without_the_extra_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    for name in ("training.search.run", "training.search.study"):
        # another test may have imported them with it
        monkeypatch.delitem(sys.modules, name, raising=False)
    folders.coco(tmp_path)
    done = RUN.invoke(build("tune"), ["tune", str(tmp_path), "--name", "parts", "--work", str(tmp_path / "work")])
    assert done.exit_code == 1
    assert "needs the extra `train` (pip install 'rewatch[train]')" in done.stderr
    assert not (tmp_path / "work").exists()


def test_no_trials_are_not_enough(tmp_path: Path) -> None:
    done = RUN.invoke(build("tune"), ["tune", str(tmp_path), "--name", "parts", "--trials", "0"])
    assert done.exit_code == 2
    assert "--trials" in done.stderr
