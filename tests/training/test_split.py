"""Splits by source and time, and the leaks that a careless split has."""

import json
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from cli.main import build
from tests.training import folders
from training.datasets.dataset import Dataset, LabelledPicture
from training.datasets.leaks import LeakError, check_leaks, leaks
from training.datasets.reading import read_dataset
from training.datasets.split import PARTS, Split, SplitError, read_split, split


def made_up(sources: dict[str, int], timed: bool = True) -> Dataset:
    """A dataset of names alone: so many pictures of each source, a second apart."""
    pictures = [
        LabelledPicture(f"{source}_{number:04}.png", 40, 30, (), source, float(number) if timed else None)
        for source, count in sources.items()
        for number in range(count)
    ]
    return Dataset(Path("nowhere"), "coco", ("nut",), tuple(pictures))


def real(folder: Path, sources: dict[str, int]) -> Dataset:
    """One with pictures, all different."""
    folders.coco(folder, {f"{source}_{n:04}": [] for source, count in sources.items() for n in range(count)})
    return read_dataset(folder, "coco")


def source_of(file: str) -> str:
    return file.rpartition("_")[0]


def test_many_sources_stay_whole_at_seven_to_two_to_one() -> None:
    rng = np.random.default_rng(4)
    dataset = made_up({f"cam{k}": int(rng.integers(3, 12)) for k in range(60)})
    result = split(dataset)
    sources = {part: {source_of(file) for file in result.part(part)} for part in PARTS}
    assert not sources["train"] & sources["validation"]
    assert not sources["train"] & sources["test"]
    assert not sources["validation"] & sources["test"]
    total = len(dataset.pictures)
    assert sum(len(result.part(part)) for part in PARTS) == total
    for part, share in (("train", 0.7), ("validation", 0.2), ("test", 0.1)):
        assert len(result.part(part)) / total == pytest.approx(share, abs=0.03)  # type: ignore[arg-type]


def test_few_long_sources_are_cut_in_time_and_once_only() -> None:
    result = split(made_up({"a": 100, "b": 200}))
    for source in ("a", "b"):
        numbers = {p: [int(f[-8:-4]) for f in result.part(p) if source_of(f) == source] for p in PARTS}
        assert max(numbers["train"]) < min(numbers["validation"])
        assert max(numbers["validation"]) < min(numbers["test"])
    assert [len(result.part(part)) for part in PARTS] == [210, 60, 30]


def test_pictures_of_one_moment_stay_together() -> None:
    pictures = tuple(LabelledPicture(f"{n:03}.png", 9, 9, (), "a", float(n // 8)) for n in range(120))
    result = split(Dataset(Path("nowhere"), "coco", (), pictures))
    moments = [{int(file[:3]) // 8 for file in result.part(part)} for part in PARTS]
    assert not moments[0] & moments[1]
    assert not moments[1] & moments[2]


def test_equal_seeds_give_equal_splits_and_others_do_not() -> None:
    dataset = made_up({f"cam{k}": 5 for k in range(40)})
    assert split(dataset, 1) == split(dataset, 1)
    assert split(dataset, 1) != split(dataset, 2)


def test_too_little_to_part_is_refused() -> None:
    with pytest.raises(SplitError, match=r"2 sources, 20 pictures: nothing is left for test"):
        split(made_up({"a": 10, "b": 10}))
    with pytest.raises(SplitError, match="validation and test"):
        split(made_up({"a": 400}, timed=False))


def test_our_own_split_does_not_leak(tmp_path: Path) -> None:
    dataset = real(tmp_path, {"a": 60, "b": 80})
    assert leaks(dataset, split(dataset)) == ()
    check_leaks(dataset, split(dataset))


def test_every_other_frame_leaks_and_the_pair_is_named(tmp_path: Path) -> None:
    dataset = real(tmp_path, {"a": 12})
    files = tuple(picture.file for picture in dataset.pictures)
    with pytest.raises(LeakError, match="overlap") as caught:
        check_leaks(dataset, Split(files[0:10:2], files[1:10:2], files[10:]))
    (leak,) = caught.value.leaks
    assert (leak.first, leak.second) == ("images/a_0000.png", "images/a_0001.png")
    assert leak.parts == ("train", "validation")
    assert leak.why == "time"


def test_one_source_in_two_parts_without_times_leaks(tmp_path: Path) -> None:
    real(tmp_path, {"a": 3, "b": 1})
    (tmp_path / "sources.csv").write_text(
        "file,source,time_s\n" + "".join(f"images/a_000{n}.png,a,\n" for n in range(3))
    )
    dataset = read_dataset(tmp_path, "coco")
    files = [picture.file for picture in dataset.pictures]
    (leak,) = leaks(dataset, Split((files[0],), (files[1], files[2]), (files[3],)))
    assert "the time of images/a_0000.png is not known" in leak.what


def test_nearly_the_same_picture_in_two_parts_leaks(tmp_path: Path) -> None:
    dataset = real(tmp_path, {"a": 4, "b": 4, "c": 4})
    files = [picture.file for picture in dataset.pictures]
    brighter = np.clip(folders.picture(1).astype(int) + 5, 0, 255).astype(np.uint8)
    cv2.imwrite(str(tmp_path / files[9]), brighter)
    (leak,) = leaks(dataset, Split(tuple(files[:4]), tuple(files[4:8]), tuple(files[8:])))
    assert (leak.first, leak.second) == (files[1], files[9])
    assert leak.why == "likeness"


def test_flat_pictures_of_different_grey_are_not_alike(tmp_path: Path) -> None:
    dataset = real(tmp_path, {"a": 1, "b": 1, "c": 1})
    for number, picture in enumerate(dataset.pictures):
        cv2.imwrite(str(tmp_path / picture.file), np.full((30, 40, 3), 60 + 60 * number, np.uint8))
    files = [picture.file for picture in dataset.pictures]
    assert leaks(dataset, Split((files[0],), (files[1],), (files[2],))) == ()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"train": ["images/x.png"], "validation": [], "test": []}, "no picture 'images/x.png'"),
        ({"train": ["a_0000.png"], "validation": ["a_0000.png"], "test": []}, "validation: 'a_0000.png' is in train"),
        ({"train": []}, "no split"),
    ],
)
def test_a_split_that_does_not_fit_is_refused(content: object, words: str) -> None:
    with pytest.raises(SplitError, match=words):
        read_split(msgspec.json.encode(content), made_up({"a": 2}))


def test_command(tmp_path: Path) -> None:
    real(tmp_path / "data", {"a": 60})
    folder, out = str(tmp_path / "data"), str(tmp_path / "split.json")
    run = CliRunner().invoke
    result = run(build("dataset"), ["dataset", "check", folder, "--format", "coco", "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["parts"] == {"train": 42, "validation": 12, "test": 6}
    assert run(build("dataset"), ["dataset", "split", folder, "--format", "coco", "--out", out]).exit_code == 0
    checked = run(build("dataset"), ["dataset", "check", folder, "--format", "coco", "--split", out])
    assert checked.exit_code == 0
    assert "42 train, 12 validation, 6 test" in checked.stdout
    files = json.loads(Path(out).read_text())
    files["train"][3], files["test"][2] = files["test"][2], files["train"][3]
    Path(out).write_text(json.dumps(files))
    leaking = run(build("dataset"), ["dataset", "check", folder, "--format", "coco", "--split", out])
    assert leaking.exit_code == 1
    assert "leak: images/a_00" in leaking.stdout


def test_command_says_what_is_wrong(tmp_path: Path) -> None:
    run = CliRunner().invoke
    labels = folders.yolo(tmp_path)
    (labels / "belt-1_0001.txt").write_text("9 0 0 0 0\n")
    result = run(build("dataset"), ["dataset", "check", str(tmp_path), "--format", "yolo", "--json"])
    assert result.exit_code == 1
    (problem,) = json.loads(result.stdout)["problems"]
    assert (problem["file"], problem["line"], problem["field"]) == ("labels/train/belt-1_0001.txt", 1, "class")
    unknown = run(build("dataset"), ["dataset", "check", str(tmp_path), "--format", "csv"])
    assert unknown.exit_code == 2
    assert "choose one of coco, yolo, voc" in " ".join(unknown.stderr.split())


@pytest.mark.shared_data
def test_real_pictures_do_not_leak(shared_data: Path) -> None:
    for folder, name in (("NEU-DET", "voc"), ("tinycoco", "coco")):
        dataset = read_dataset(shared_data / "labelled" / folder, name)
        result = split(dataset)
        assert leaks(dataset, result) == ()
        assert all(result.part(part) for part in PARTS)
