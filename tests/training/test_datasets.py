"""COCO, YOLO and VOC folders become the same dataset, and what is wrong in them is told with its place."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.training import folders
from tests.training.folders import BOXES
from training.datasets.dataset import MOST_PROBLEMS, DatasetError, LabelledBox
from training.datasets.picture_file import PictureError, match, measured, read_picture
from training.datasets.reading import READERS, read_dataset

WRITERS: dict[str, Callable[[Path], Path]] = {"coco": folders.coco, "yolo": folders.yolo, "voc": folders.voc}
every_format = pytest.mark.parametrize("name", WRITERS)


def problems(folder: Path, name: str) -> list[str]:
    with pytest.raises(DatasetError) as caught:
        read_dataset(folder, name)
    return [str(problem) for problem in caught.value.problems]


def picture_of(folder: Path, stem: str = "belt-1_0001") -> Path:
    return next(folder.rglob(f"{stem}.png"))


def test_every_format_has_a_writer_here() -> None:
    assert WRITERS.keys() == READERS.keys()


@every_format
def test_pictures_boxes_and_classes(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path)
    dataset = read_dataset(tmp_path, name)
    assert dataset.classes == folders.CLASSES
    assert [Path(picture.file).stem for picture in dataset.pictures] == list(BOXES)
    assert [(p.source.rpartition("/")[2], p.time_s) for p in dataset.pictures] == [
        ("belt-1", 1.0),
        ("belt-1", 2.0),
        ("belt-2", 1.0),
    ]
    for picture, boxes in zip(dataset.pictures, BOXES.values(), strict=True):
        assert (picture.width, picture.height) == (40, 30)
        for box, (label, *corners) in zip(picture.boxes, boxes, strict=True):
            assert box.label == label
            assert (box.x1, box.y1, box.x2, box.y2) == pytest.approx(tuple(corners), abs=1e-3)
    assert dataset.boxes_by_class() == {"bolt": 1, "nut": 2}


@every_format
def test_an_empty_dataset_is_refused(tmp_path: Path, name: str) -> None:
    assert any("no annotation file" in p or "is empty" in p or "listed nowhere" in p for p in problems(tmp_path, name))
    (missing,) = problems(tmp_path / "nowhere", name)
    assert "no such folder" in missing


@every_format
def test_a_corrupt_picture_is_named(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path)
    path = picture_of(tmp_path)
    path.write_bytes(path.read_bytes()[:-40])
    assert problems(tmp_path, name) == [f"{path.relative_to(tmp_path)}: cannot be decoded"]


@every_format
def test_a_missing_picture_is_named_with_the_annotation_that_wants_it(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path)
    picture_of(tmp_path).unlink()
    (told,) = problems(tmp_path, name)
    assert "belt-1_0001" in told
    assert "is missing" in told
    place = {"coco": "annotations/instances.json, images[0].file_name", "yolo": "labels/train/belt-1_0001.txt"}
    assert told.startswith(place.get(name, "Annotations/belt-1_0001.xml, line 2, filename"))


@every_format
def test_a_box_outside_the_picture_is_named_with_its_field(tmp_path: Path, name: str) -> None:
    writer: Any = WRITERS[name]
    writer(tmp_path, {"a_1": [("nut", 1, 1, 5, 5), ("bolt", 30, 5, 44, 12)]})
    (told,) = problems(tmp_path, name)
    assert "30, 5, 44, 12 lies outside of" in told
    assert "40x30 pixels" in told
    place = {
        "coco": "annotations/instances.json, annotations[1].bbox",
        "yolo": "labels/train/a_1.txt, line 2, x, y, width, height",
        "voc": "Annotations/a_1.xml, line 9, bndbox",
    }
    assert told.startswith(place[name])


@every_format
def test_a_box_that_is_rounded_outwards_is_cut(tmp_path: Path, name: str) -> None:
    writer: Any = WRITERS[name]
    writer(tmp_path, {"a_1": [("nut", -0.4, 1, 40.6, 5)]})
    (picture,) = read_dataset(tmp_path, name).pictures
    box = picture.boxes[0]
    assert (box.x1, box.x2) == (0, 40)


@every_format
def test_an_empty_box_is_refused(tmp_path: Path, name: str) -> None:
    writer: Any = WRITERS[name]
    writer(tmp_path, {"a_1": [("nut", 7, 8, 7, 12)]})
    (told,) = problems(tmp_path, name)
    assert "empty" in told


@every_format
def test_an_unknown_class_is_named(tmp_path: Path, name: str) -> None:
    where = WRITERS[name](tmp_path)
    if name == "coco":
        where.write_text(where.read_text().replace('"category_id": 2', '"category_id": 9'))
        wanted = ["annotations/instances.json, annotations[1].category_id: unknown class 9"]
        wanted.append("annotations/instances.json, annotations[2].category_id: unknown class 9")
    elif name == "yolo":
        path = where / "belt-2_0001.txt"
        path.write_text("\n" + path.read_text().replace("1 ", "7 ", 1))
        wanted = ["labels/train/belt-2_0001.txt, line 2, class: unknown class '7': there are 2"]
    else:
        (tmp_path / "labels.txt").write_text("bolt\n")
        wanted = ["Annotations/belt-1_0001.xml, line 8, name: unknown class 'nut'"]
        wanted.append("Annotations/belt-2_0001.xml, line 4, name: unknown class 'nut'")
    assert problems(tmp_path, name) == wanted


def test_all_problems_are_told_at_once_up_to_a_bound(tmp_path: Path) -> None:
    labels = folders.yolo(tmp_path)
    (labels / "belt-1_0002.txt").write_text("0 0.5 0.5 0.1\n0 a 0.5 0.1 0.1\n0 0.5 0.5 nan 0.1\n")
    told = problems(tmp_path, "yolo")
    assert [text.partition(": ")[0] for text in told] == [
        "labels/train/belt-1_0002.txt, line 1",
        "labels/train/belt-1_0002.txt, line 2, x",
        "labels/train/belt-1_0002.txt, line 3, x, y, width, height",
    ]
    (labels / "belt-1_0002.txt").write_text("0\n" * 5000)
    assert len(problems(tmp_path, "yolo")) == MOST_PROBLEMS


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "line 1, column 2"),
        ("[]", "images: a list is wanted"),
        ('{"images": [], "annotations": {}, "categories": []}', "annotations: a list is wanted"),
        ('{"images": [3], "annotations": [], "categories": []}', "images[0]: an id and a file_name"),
        ('{"images": [], "annotations": [3], "categories": []}', "annotations[0]: an object"),
        ('{"images": [], "annotations": [{"category_id": [1]}], "categories": []}', "unknown class [1]"),
        ('{"images": [], "annotations": [], "categories": [{"id": "a"}]}', "categories[0]: an id and a name"),
        ('{"images": [{"id": 1, "file_name": "../x.png"}], "annotations": [], "categories": []}', "leaves the folder"),
        ('{"images": [{"id": 1, "file_name": "/x.png"}], "annotations": [], "categories": []}', "leaves the folder"),
        ("[" * 100_000, "cannot be read"),
    ],
)
def test_broken_coco_files(tmp_path: Path, content: str, words: str) -> None:
    folders.coco(tmp_path).write_text(content)
    assert any(words in told for told in problems(tmp_path, "coco"))


def test_coco_boxes_and_pictures_that_contradict_themselves(tmp_path: Path) -> None:
    path = folders.coco(tmp_path)
    content = json.loads(path.read_text())
    content["annotations"][0]["bbox"] = [1, 2, "x", 4]
    content["annotations"][1]["image_id"] = 77
    content["images"][1]["width"] = 41
    path.write_text(json.dumps(content))
    told = problems(tmp_path, "coco")
    assert "annotations/instances.json, annotations[1].image_id: unknown picture 77" in told
    assert any("annotations[0].bbox: [1, 2, 'x', 4]" in text for text in told)
    assert any("images[1]: said to be 41x30 pixels, is 40x30" in text for text in told)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("<annotation>", "line 1: is no XML: no element found"),
        ("<annotation></annotation>", "filename: is missing"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotation/>', "a document type is declared"),
        (
            "<annotation><filename>belt-1_0001.png</filename>\n<object></object></annotation>",
            "line 2, name: is missing",
        ),
        (
            "<annotation><filename>belt-1_0001.png</filename><object><name>nut</name>\n<bndbox><xmin>a</xmin></bndbox>"
            "</object></annotation>",
            "line 2, xmin: 'a' is no number",
        ),
    ],
)
def test_broken_voc_files(tmp_path: Path, content: str, words: str) -> None:
    (folders.voc(tmp_path) / "belt-1_0001.xml").write_text(content)
    (told,) = problems(tmp_path, "voc")
    assert told.startswith("Annotations/belt-1_0001.xml")
    assert words in told


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("names: [a, a]", "a name is there twice"),
        ("names: {1: a}", "a list of names"),
        ("names: [", "data.yaml, line"),
        ("nc: 2", "names: a list of names"),
    ],
)
def test_broken_class_lists(tmp_path: Path, content: str, words: str) -> None:
    folders.yolo(tmp_path)
    (tmp_path / "data.yaml").write_text(content)
    assert words in problems(tmp_path, "yolo")[0]


def test_sources_and_times_come_from_the_table_where_there_is_one(tmp_path: Path) -> None:
    folders.coco(tmp_path)
    table = tmp_path / "sources.csv"
    table.write_text("file,source,time_s\nimages/belt-1_0002.png,lobby,12.5\nimages/belt-2_0001.png,lobby,\n")
    pictures = read_dataset(tmp_path, "coco").pictures
    assert [(p.source, p.time_s) for p in pictures] == [("images/belt-1", 1.0), ("lobby", 12.5), ("lobby", None)]
    table.write_text("file,source,time_s\nimages/belt-1_0002.png,lobby,noon\nx\nimages/no.png,a,1\n")
    assert problems(tmp_path, "coco") == [
        "sources.csv, file: the picture 'images/no.png' is missing",
        "sources.csv, line 2, time_s: 'noon' is no number",
        "sources.csv, line 3: 1 fields: file, source and time_s are wanted",
    ]
    table.write_text("picture,camera\n")
    assert "line 1: the first line must be file,source,time_s" in problems(tmp_path, "coco")[0]


def test_a_name_that_fits_two_pictures_is_refused(tmp_path: Path) -> None:
    files = {"a/x.png": tmp_path, "b/x.png": tmp_path, "b/yx.png": tmp_path}
    with pytest.raises(PictureError, match=r"may be a/x\.png or b/x\.png"):
        match("x.png", files)
    assert match("b/x", files) == "b/x.png"
    assert match("z.png", files) is None


def test_a_picture_too_large_to_be_decoded_is_refused_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (60_000).to_bytes(4, "big") * 2)
    with pytest.raises(PictureError, match="60000x60000"):
        read_picture(path)
    for content, words in ((b"", "is empty"), (b"GIF89a", "neither"), (b"\xff\xd8\xff\xe0\0", "cut off")):
        with pytest.raises(PictureError, match=words):
            measured(content)


def test_voc_boxes_follow_a_picture_that_was_resized(tmp_path: Path) -> None:
    path = folders.voc(tmp_path) / "belt-1_0001.xml"
    plain = read_dataset(tmp_path, "voc").pictures[0].boxes
    words = path.read_text()

    def say(width: object, height: object) -> None:
        size = f"<size><width>{width}</width><height>{height}</height></size>"
        path.write_text(words.replace("<object>", f"{size}<object>", 1))

    say(folders.WIDTH, folders.HEIGHT)
    assert read_dataset(tmp_path, "voc").pictures[0].boxes == plain
    say(0, 0)
    assert read_dataset(tmp_path, "voc").pictures[0].boxes == plain
    say(2 * folders.WIDTH, 2 * folders.HEIGHT)
    resized = read_dataset(tmp_path, "voc").pictures[0].boxes[0]
    assert (resized.x1, resized.y2) == (plain[0].x1 / 2, plain[0].y2 / 2)
    say(folders.HEIGHT, folders.WIDTH)
    assert problems(tmp_path, "voc") == ["Annotations/belt-1_0001.xml, line 3, size: said to be 30x40 pixels, is 40x30"]
    say("x", 3)
    assert "is no number of pixels" in problems(tmp_path, "voc")[0]


@pytest.mark.shared_data
def test_real_folders(shared_data: Path) -> None:
    steel = read_dataset(shared_data / "labelled" / "NEU-DET", "voc")
    assert len(steel.pictures) == 60
    assert set(steel.classes) == {
        "crazing", "inclusion", "patches", "pitted_surface", "rolled-in_scale", "scratches"
    }  # fmt: skip
    assert len({picture.source for picture in steel.pictures}) == 6
    # they were enlarged after they had been labelled
    assert max(box.x2 for picture in steel.pictures for box in picture.boxes) == 416
    things = read_dataset(shared_data / "labelled" / "tinycoco", "coco")
    assert len(things.pictures) == 32
    assert len(things.classes) == 80
    whole = json.loads((shared_data / "labelled/tinycoco/annotations/instances_train2017.json").read_text())
    assert sum(things.boxes_by_class().values()) == sum(not a["iscrowd"] for a in whole["annotations"])
    people = read_dataset(shared_data / "labelled" / "pose_minicoco", "coco")
    assert people.classes == ("person",)
    assert all(isinstance(box, LabelledBox) for picture in people.pictures for box in picture.boxes)
