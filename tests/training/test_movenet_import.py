"""Networks of MoveNet's kind become served models that find people where they are marked."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto
from typer.testing import CliRunner

from cli.models import app
from tests.training.pose_maps import maps, pose_network
from tests.training.pose_marks import COCO, Marks, movenet, picture, somebody
from training.contract import ModelError
from training.pose.contract import INPUT
from training.pose.importing import import_pose
from training.pose.repository import StoredPose, load
from training.trial import session
from vision.letterbox import Letterbox
from vision.pose import KEYPOINTS, People, people_of, unmapped

RUN = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"})
ANN, BOB = somebody(6.5, 7.5), somebody(34.5, 32.5, score=0.5)


def stored(
    tmp_path: Path, model: onnx.ModelProto, family: str = "movenet", size: tuple[int, int] | None = None
) -> StoredPose:
    file = tmp_path / "network.onnx"
    onnx.save(model, file)
    return load(import_pose(file, "poses", family, tmp_path / "models", size=size))


def found(read: StoredPose, *pictures: NDArray[np.uint8]) -> list[People]:
    names = list(read.model.outputs)
    answers = dict(zip(names, session(str(read.graph)).run(names, {INPUT: np.stack(pictures)}), strict=True))
    return [people_of(answers, k) for k in range(len(pictures))]


def check(person: NDArray[np.float64], marks: Marks, within: float = 0.01) -> None:
    """By the keypoints' names, and the neck from the shoulders."""
    for name, row in zip(KEYPOINTS, person, strict=True):
        if name == "neck":
            left, right = np.array(marks["left_shoulder"]), np.array(marks["right_shoulder"])
            wanted = (*(left[:2] + right[:2]) / 2, min(left[2], right[2]))
        else:
            wanted = marks[name]
        np.testing.assert_allclose(row[:2], wanted[:2], atol=within, err_msg=name)
        assert row[2] == pytest.approx(wanted[2], abs=0.003), name


@pytest.mark.parametrize("kind", [TensorProto.INT32, TensorProto.UINT8, TensorProto.FLOAT])
def test_one_person_is_found_where_he_is_marked(tmp_path: Path, kind: int) -> None:
    read = stored(tmp_path, movenet(64, kind=kind))
    assert (read.model.width, read.model.height, read.model.letterbox, read.model.pad) == (64, 64, "center", 0)
    assert read.model.max_batch_size == 8
    first, second, nobody = found(read, picture(64, 64, ANN), picture(64, 64, BOB), picture(64, 64))
    for people, marks in ((first, ANN), (second, BOB)):
        assert len(people.scores) == 1
        check(people.keypoints[0], marks)
        mean = np.mean([score for _, _, score in marks.values()])
        assert people.scores[0] == pytest.approx(mean, abs=0.002)
    assert len(nobody.scores) == 0


def test_several_people_are_found_the_surest_first(tmp_path: Path) -> None:
    read = stored(tmp_path, movenet(64, several=True), "movenet-multipose")
    faint = {name: (x, y, 0.1) for name, (x, y, _) in somebody(8.5, 30.5).items()}
    (people,) = found(read, picture(64, 64, BOB, ANN))
    assert people.scores.tolist() == sorted(people.scores.tolist(), reverse=True)
    assert len(people.scores) == 2
    check(people.keypoints[0], ANN)
    check(people.keypoints[1], BOB)
    assert len(found(read, picture(64, 64, faint))[0].scores) == 0, "below what is taken for somebody"


def test_a_shoulder_that_is_not_seen_leaves_no_neck(tmp_path: Path) -> None:
    marks = {name: mark for name, mark in ANN.items() if name != "left_shoulder"}
    (people,) = found(stored(tmp_path, movenet(64)), picture(64, 64, marks))
    assert people.keypoints[0, KEYPOINTS.index("neck"), 2] == 0
    assert people.keypoints[0, KEYPOINTS.index("right_shoulder"), 2] > 0.7


@pytest.mark.parametrize(("width", "height"), [(96, 48), (48, 96), (96, 96)])
def test_places_in_the_source_picture_come_back_through_the_letterbox(tmp_path: Path, width: int, height: int) -> None:
    """Twice as large in the model's input, with borders left and right, or above and below, or without."""
    read = stored(tmp_path, movenet(192))
    marks = somebody(6.5, 6.5, step=9)
    letterbox = Letterbox(read.model.width, read.model.height, read.model.letterbox, read.model.pad)
    (people,) = found(read, letterbox.from_rgb(picture(width, height, marks)))
    check(unmapped(people, letterbox, width, height).keypoints[0], marks, within=0.3)


def test_a_network_exported_for_one_picture_takes_more(tmp_path: Path) -> None:
    read = stored(tmp_path, movenet(64, tied=True))
    assert read.model.max_batch_size == 8
    for people, marks in zip(found(read, picture(64, 64, BOB), picture(64, 64, ANN)), (BOB, ANN), strict=True):
        check(people.keypoints[0], marks)


def test_an_output_whose_shape_only_the_exporter_saw_is_taken_at_its_word(tmp_path: Path) -> None:
    read = stored(tmp_path, movenet(64, hidden_shape=True))
    assert read.model.max_batch_size == 1
    check(found(read, picture(64, 64, ANN))[0].keypoints[0], ANN)


def test_an_exporter_whose_word_is_wrong_is_found_out(tmp_path: Path) -> None:
    model = movenet(64, several=True, hidden_shape=True)
    model.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info("output_0", TensorProto.FLOAT, [1, 1, 17, 3]))
    with pytest.raises(ModelError, match="ONNX Runtime can't run the model"):
        stored(tmp_path, model)


def test_open_sizes_are_settled_in_multiples_of_32(tmp_path: Path) -> None:
    model = movenet(64, several=True, open_size=True)
    for size, words in ((None, "of any size"), ((64, 48), "64x48 pixels: this network takes multiples of 32")):
        with pytest.raises(ModelError, match=words):
            stored(tmp_path, model, "movenet-multipose", size)
    read = stored(tmp_path, model, "movenet-multipose", (64, 64))
    check(found(read, picture(64, 64, ANN))[0].keypoints[0], ANN)


@pytest.mark.parametrize(
    ("model", "family", "words"),
    [
        (movenet(64, several=True), "movenet", r"one output \[N, 1, 17, 3\]; this one has output_0 \[N, 6, 56\]"),
        (movenet(64), "movenet-multipose", r"one output \[N, 6, 56\]; this one has output_0 \[N, 1, 17, 3\]"),
        (movenet(64, kind=TensorProto.INT64), "movenet", r"int32, uint8 or float32 \[N, height, width, 3\], this one"),
        (pose_network(maps([])), "movenet", r"int32, uint8 or float32 .*, this one is images float \[1, 3, 224, 224\]"),
        (movenet(64), "openpose18", r"float32 \[N, 3, height, width\], this one is input int32 \[1, 64, 64, 3\]"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_nothing(
    tmp_path: Path, model: onnx.ModelProto, family: str, words: str
) -> None:
    with pytest.raises(ModelError, match=words):
        stored(tmp_path, model, family)
    assert not list((tmp_path / "models").glob("*"))


def test_commands(tmp_path: Path) -> None:
    file, repository = tmp_path / "network.onnx", ["--repository", str(tmp_path / "models")]
    onnx.save(movenet(64), file)
    done = RUN.invoke(app, ["import", str(file), "--name", "poses", "--family", "movenet", *repository])
    assert done.exit_code == 0, done.output
    shown = RUN.invoke(app, ["show", "poses", *repository]).output
    assert "people: float32 [1, 18, 3]" in shown
    assert "center, pad 0" in shown
    wrong = RUN.invoke(app, ["import", str(file), "--name", "more", "--family", "movenet-multipose", *repository])
    assert wrong.exit_code == 1
    assert "[N, 6, 56]" in wrong.output


def test_the_marks_are_those_of_the_keypoints() -> None:
    assert set(COCO) | {"neck"} == set(KEYPOINTS)
