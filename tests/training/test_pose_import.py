"""A network of OpenPose's kind becomes a served model that finds the people in its maps."""

from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from cli.models import app
from tests.training.pose_maps import SIZE, maps, pose_network, somebody
from training.contract import ModelError
from training.pose.contract import INPUT, PoseModel, config_text, parse_config
from training.pose.evaluation import precision_on, read_people
from training.pose.importing import import_pose
from training.pose.repository import load
from training.trial import session
from vision.pose import People, people_of

RUN = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"})
TWO = [somebody(20, 20, 70, 180), somebody(120, 40, 80, 160)]


def found(folder: Path, pictures: int = 1) -> list[People]:
    stored = load(folder)
    names = list(stored.model.outputs)
    images = np.zeros((pictures, stored.model.height, stored.model.width, 3), np.uint8)
    answers = dict(zip(names, session(str(stored.graph)).run(names, {INPUT: images}), strict=True))
    return [people_of(answers, k) for k in range(pictures)]


def stored(tmp_path: Path, **options: bool) -> Path:
    file = tmp_path / "network.onnx"
    onnx.save(pose_network(maps(TWO), **options), file)
    return import_pose(file, "poses", "openpose18", tmp_path / "models")


@pytest.mark.parametrize("last", [False, True])
def test_people_are_found_where_they_are(tmp_path: Path, last: bool) -> None:
    folder = stored(tmp_path, last=last)
    assert load(folder).model.max_batch_size == 8
    for people in found(folder, 2):
        assert len(people.scores) == 2
        order = np.argsort(people.keypoints[:, 1, 0])
        for person, wanted in zip(people.keypoints[order], TWO, strict=True):
            assert (person[:, 2] > 0.5).all()
            assert np.abs(person[:, :2] - wanted).max() < 2.5


def test_what_is_hidden_is_not_invented(tmp_path: Path) -> None:
    file = tmp_path / "network.onnx"
    knees_and_feet = frozenset({9, 10, 12, 13})
    onnx.save(pose_network(maps(TWO[:1], knees_and_feet)), file)
    people = found(import_pose(file, "poses", "openpose18", tmp_path / "models"))[0]
    assert len(people.scores) == 1
    assert set(np.flatnonzero(people.keypoints[0, :, 2] == 0).tolist()) == set(knees_and_feet)


def test_an_empty_picture_has_nobody(tmp_path: Path) -> None:
    file = tmp_path / "network.onnx"
    onnx.save(pose_network(maps([])), file)
    assert len(found(import_pose(file, "poses", "openpose18", tmp_path / "models"))[0].scores) == 0


def test_norms_that_mix_pictures_are_served_one_at_a_time(tmp_path: Path) -> None:
    folder = stored(tmp_path, mixes=True)
    read = load(folder)
    assert read.model.max_batch_size == 1
    assert read.card is not None
    assert "one picture at a time" in read.card.notes[0]
    assert parse_config((folder / "config.pbtxt").read_text()) == read.model
    assert len(found(folder)[0].scores) == 2


def test_config_says_what_the_model_is() -> None:
    for answers, rows in (("people", 1), ("links", 24)):
        model = PoseModel("x", "y", 64, 96, "center", 7, answers, rows, 8)  # type: ignore[arg-type]
        assert parse_config(config_text(model)) == model
    for text in ("", 'name: "x"', config_text(model).replace('"links"', '"links?"')):
        with pytest.raises(ModelError, match="no pose model"):
            parse_config(text)
    with pytest.raises(ModelError, match=r"config.pbtxt: ParseError 1:1"):
        parse_config("nonsense {")


def test_what_does_not_fit_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    file = tmp_path / "network.onnx"
    onnx.save(pose_network(maps([])[:56]), file)
    for family, words in (("openpose18", r"one output \[N, 57, H, W\]"), ("openpose25", "no pose family 'openpose25'")):
        with pytest.raises(ModelError, match=words):
            import_pose(file, "poses", family, tmp_path / "models")
    assert not list((tmp_path / "models").glob("*"))


def test_commands(tmp_path: Path) -> None:
    file, repository = tmp_path / "network.onnx", ["--repository", str(tmp_path / "models")]
    onnx.save(pose_network(maps(TWO)), file)
    arguments = ["import", str(file), "--name", "poses", "--family", "openpose18", *repository]
    done = RUN.invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "poses is served from" in done.output
    assert "18 keypoints" in RUN.invoke(app, ["list", *repository]).output
    listed = msgspec.json.decode(RUN.invoke(app, ["list", "--json", *repository]).stdout)
    assert [(each["name"], each["task"]) for each in listed["stored"]] == [("poses", "pose")]
    shown = RUN.invoke(app, ["show", "poses", *repository]).output
    assert f"uint8 [{SIZE}, {SIZE}, 3] RGB, batches up to 8" in shown
    assert "links: float32 [19, 24, 24]" in shown
    assert RUN.invoke(app, arguments).exit_code == 1  # the name is taken
    assert "one version" in RUN.invoke(app, [*arguments, "--as-version"]).output


def test_labels_that_are_wrong_are_named(tmp_path: Path) -> None:
    file = tmp_path / "people.json"
    person = {"image_id": 1, "bbox": [0, 0, 1, 1], "area": 1, "keypoints": [0, 0, 0]}
    for content, words in (
        ("{", r"people\.json"),
        ('{"images": []}', "annotations"),
        (msgspec.json.encode({"images": [], "annotations": [person]}).decode(), r"annotations\[0\] has 3 numbers"),
    ):
        file.write_text(content)
        with pytest.raises(ModelError, match=words):
            read_people(file, tmp_path)


@pytest.mark.shared_data
@pytest.mark.timeout(180)
def test_the_public_network_on_labelled_photographs(tmp_path: Path, shared_data: Path) -> None:
    """A floor below what was measured. The photographs are of COCO's training part, which the network may have seen:
    the figure says that it is imported rightly, not how good it is elsewhere."""
    file = shared_data / "models" / "openpose18_mobilenetv2small_368x432.onnx"
    read = load(import_pose(file, "openpose", "openpose18", tmp_path))
    assert read.model.max_batch_size == 1
    home = shared_data / "labelled" / "pose_minicoco"
    pictures = read_people(home / "annotations" / "person_keypoints_train2017.json", home / "images" / "train2017")
    reached = precision_on(read, pictures)
    assert reached.people == 53
    assert reached.ap > 0.22
    assert reached.ap50 > 0.38
