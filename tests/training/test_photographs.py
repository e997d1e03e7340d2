"""The cascade before labelled photographs: what counts as found, on answers made by hand and on real steel."""

from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import onnxruntime
import pytest

from simulator.line.design import SIDE
from tests.rules.repository import ROOT
from training.contract import ModelError
from training.datasets.dataset import Dataset, LabelledBox, LabelledPicture
from training.datasets.reading import read_dataset
from training.inspection.contract import parse_config
from training.inspection.photographs import TILES, judge
from training.trial import session


class Bright:
    """Answers as the screen and as the locator do, with how bright the brightest pixel is."""

    def __init__(self, locates: bool) -> None:
        self._locates = locates

    def run(self, _: object, feed: dict[str, Any]) -> list[Any]:
        grey = feed["image"][..., 0]
        return [grey if self._locates else np.array([[grey.max() / 255]], np.float32)]


SCREEN, LOCATOR = (cast(onnxruntime.InferenceSession, Bright(locates)) for locates in (False, True))


def photograph(folder: Path, spots: tuple[tuple[int, int], ...], boxes: tuple[tuple[int, int], ...]) -> Dataset:
    """One picture, as large as its tiles, with bright spots and boxes in tiles (row, column)."""
    picture = np.full((TILES * SIDE, TILES * SIDE, 3), 10, np.uint8)
    for row, column in spots:
        picture[row * SIDE + 40 : row * SIDE + 80, column * SIDE + 40 : column * SIDE + 80] = 250
    assert cv2.imwrite(str(folder / "one.png"), picture)
    labelled = tuple(
        LabelledBox("spot", column * SIDE + 40, row * SIDE + 40, column * SIDE + 80, row * SIDE + 80)
        for row, column in boxes
    )
    one = LabelledPicture("one.png", TILES * SIDE, TILES * SIDE, labelled, "", None)
    return Dataset(folder, "voc", ("spot",), (one,))


def test_tiles_with_boxes_are_to_be_found_and_the_others_not(tmp_path: Path) -> None:
    right = judge(SCREEN, LOCATOR, 0.5, photograph(tmp_path, ((0, 1), (2, 2)), ((0, 1), (2, 2))))
    assert (right.pictures, right.found, right.tiles) == (1, 1.0, (2, TILES * TILES - 2))
    assert (right.tiles_found, right.alarms, right.ranked) == (1.0, 0.0, 1.0)
    wrong = judge(SCREEN, LOCATOR, 0.5, photograph(tmp_path, ((0, 0),), ((1, 1),)))
    assert wrong.tiles_found == 0.0
    assert wrong.alarms == pytest.approx(1 / (TILES * TILES - 1), abs=1e-4)
    # below the spot, level with the other seven
    assert wrong.ranked == pytest.approx(3.5 / 8, abs=1e-4)


def test_without_boxes_nothing_can_be_judged(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="0 tiles with boxes, 9 without: both are needed"):
        judge(SCREEN, LOCATOR, 0.5, photograph(tmp_path, (), ()))


@pytest.mark.shared_data
def test_steel_that_it_has_not_learnt_from(shared_data: Path) -> None:
    """It finds most of what is wrong with real steel, and ranks tiles better than chance; no more is promised."""
    folders = [ROOT / "triton_models" / f"inspection-{role}" for role in ("screen", "locator")]
    threshold = parse_config((folders[0] / "config.pbtxt").read_text()).threshold
    screen, locator = (session(str(folder / "1" / "model.onnx")) for folder in folders)
    report = judge(screen, locator, threshold, read_dataset(shared_data / "labelled" / "NEU-DET", "voc"))
    assert report.pictures == 60
    assert report.found > 0.5
    assert report.ranked > 0.55
