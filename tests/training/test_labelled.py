"""A labelled folder made ready to learn from: its format told by its looks, split, checked, letterboxed."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.training import folders
from training.course.labelled import Labelled, read_labelled, samples_of, size_for
from training.datasets.dataset import Dataset, DatasetError, LabelledPicture
from training.datasets.leaks import LeakError
from training.datasets.reading import format_of
from training.datasets.split import SplitError

BOXES: folders.Boxes = {name: [("bolt", 2, 3, 12, 13), ("nut", 20, 10, 40, 30)] for name in "abcdefghij"}


def files(labelled: Labelled) -> list[str]:
    made = labelled.split
    return [Path(file).stem for file in (*made.train, *made.validation, *made.test)]


@pytest.mark.parametrize(("name", "write"), [("coco", folders.coco), ("yolo", folders.yolo), ("voc", folders.voc)])
def test_a_format_is_told_by_its_looks(tmp_path: Path, name: str, write: Callable[[Path], Path]) -> None:
    write(tmp_path)
    assert format_of(tmp_path) == name
    (tmp_path / "split.json").write_text("{}")
    assert format_of(tmp_path) == name


def test_a_folder_that_looks_like_two_formats_or_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds no labels"):
        format_of(tmp_path)
    with pytest.raises(DatasetError, match="no such folder"):
        format_of(tmp_path / "none")
    folders.coco(tmp_path)
    (tmp_path / "a.xml").touch()
    with pytest.raises(DatasetError, match="may be coco or voc"):
        format_of(tmp_path)


def test_boxes_lie_where_they_were_in_the_letterboxed_picture(tmp_path: Path) -> None:
    folders.coco(tmp_path / "set", BOXES)
    labelled = read_labelled(tmp_path / "set", None, 1)
    assert sorted(files(labelled)) == list(BOXES)
    assert labelled.boxes("train") == {"bolt": 7, "nut": 7}
    train = samples_of(labelled, "train", ("nut", "washer", "bolt"), (96, 64), tmp_path / "samples")
    assert train.pixels.shape == (7, 64, 96, 3)
    scale = 64 / folders.HEIGHT
    assert train[0].labels.tolist() == [2, 0]
    np.testing.assert_allclose(train[0].boxes[1], np.array([20, 10, 40, 30]) * scale, atol=0.5)
    assert (train.pixels[0, :, 90:] == 114).all()
    again = samples_of(labelled, "train", ("nut", "washer", "bolt"), (96, 64), tmp_path / "samples")
    np.testing.assert_array_equal(again.pixels, train.pixels)
    assert len(list((tmp_path / "samples").iterdir())) == 1


def test_the_digest_is_of_pictures_boxes_and_split(tmp_path: Path) -> None:
    path = folders.coco(tmp_path, BOXES)
    digests = [read_labelled(tmp_path, None, seed).sha256 for seed in (1, 1, 2)]
    assert digests[0] == digests[1] != digests[2]
    content = json.loads(path.read_text())
    content["annotations"][0]["bbox"][0] += 1
    path.write_text(json.dumps(content))
    assert read_labelled(tmp_path, None, 1).sha256 != digests[0]


def test_a_split_beside_the_pictures_is_taken(tmp_path: Path) -> None:
    folders.coco(tmp_path, BOXES)
    parts = {"train": ["images/a.png"], "validation": ["images/b.png"], "test": ["images/c.png", "images/d.png"]}
    (tmp_path / "split.json").write_text(json.dumps(parts))
    assert files(read_labelled(tmp_path, None, 1)) == list("abcd")
    parts["test"].append("images/a.png")
    (tmp_path / "split.json").write_text(json.dumps(parts))
    with pytest.raises(SplitError, match="is in train too"):
        read_labelled(tmp_path, None, 1)


def test_a_class_that_only_the_test_part_has_is_refused(tmp_path: Path) -> None:
    folders.coco(tmp_path, {**BOXES, "b": [("nut", 2, 3, 12, 13)], "a": [("nut", 2, 3, 12, 13)]})
    parts = {"train": ["images/a.png"], "validation": ["images/b.png"], "test": ["images/c.png"]}
    (tmp_path / "split.json").write_text(json.dumps(parts))
    with pytest.raises(DatasetError, match=r"no box of the class 'bolt' is in the part train; .*sources\.csv"):
        read_labelled(tmp_path, None, 1)


def test_a_part_without_a_box_is_refused(tmp_path: Path) -> None:
    folders.coco(tmp_path, {**BOXES, "c": []})
    parts = {"train": ["images/a.png"], "validation": ["images/b.png"], "test": ["images/c.png"]}
    (tmp_path / "split.json").write_text(json.dumps(parts))
    with pytest.raises(DatasetError, match="there is no box in the part test"):
        read_labelled(tmp_path, None, 1)


def test_a_class_that_cannot_be_served_is_refused(tmp_path: Path) -> None:
    path = folders.coco(tmp_path, BOXES)
    path.write_text(path.read_text().replace('"nut"', '"nut, steel"'))
    with pytest.raises(DatasetError, match="'nut, steel' cannot be served"):
        read_labelled(tmp_path, None, 1)


def test_a_split_that_leaks_is_refused(tmp_path: Path) -> None:
    folders.coco(tmp_path, BOXES)
    (tmp_path / "images" / "a.png").write_bytes((tmp_path / "images" / "b.png").read_bytes())
    parts = {"train": ["images/a.png"], "validation": ["images/b.png"], "test": ["images/c.png"]}
    (tmp_path / "split.json").write_text(json.dumps(parts))
    with pytest.raises(LeakError, match="nearly the same picture"):
        read_labelled(tmp_path, None, 1)


@pytest.mark.parametrize(
    ("size", "wanted"),
    [((1920, 1080), (448, 256)), ((200, 200), (192, 192)), ((40, 30), (64, 64)), ((1080, 1920), (256, 448))],
)
def test_a_size_fits_the_pictures(tmp_path: Path, size: tuple[int, int], wanted: tuple[int, int]) -> None:
    pictures = tuple(LabelledPicture(f"{n}.png", *size, (), "a", None) for n in range(3))
    assert size_for(Dataset(tmp_path, "coco", ("a",), pictures)) == wanted
