"""Imported pose networks, asked by way of a real Triton."""

from collections.abc import Iterator

import numpy as np
import onnx
import pytest
import tritonclient.grpc as triton

from tests.models.asking import ask, serving
from tests.training.pose_maps import SIZE, maps, pose_network, somebody
from tests.training.pose_marks import Marks, movenet, picture
from tests.training.pose_marks import somebody as marks_of
from training.pose.contract import INPUT
from training.pose.importing import import_pose
from vision.pose import KEYPOINTS, People, people_of

SOMEBODY = somebody(40, 20, 80, 180)
SIDE = 64
ANN, BOB = marks_of(6.5, 7.5), marks_of(34.5, 32.5, score=0.5)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[triton.InferenceServerClient]:
    repository, file = tmp_path_factory.mktemp("models"), tmp_path_factory.mktemp("network") / "network.onnx"
    for name, mixes in (("batched", False), ("single", True)):
        onnx.save(pose_network(maps([SOMEBODY]), mixes=mixes), file)
        import_pose(file, name, "openpose18", repository)
    onnx.save(movenet(SIDE), file)
    import_pose(file, "one", "movenet", repository)
    onnx.save(movenet(SIDE, several=True, hidden_shape=True), file)
    import_pose(file, "several", "movenet-multipose", repository)
    with serving(repository, ("batched", "single", "one", "several")) as running:
        yield running


@pytest.mark.integration
@pytest.mark.timeout(240)
@pytest.mark.parametrize(("name", "pictures"), [("batched", 3), ("single", 1)])
def test_people_come_back(client: triton.InferenceServerClient, name: str, pictures: int) -> None:
    answers = ask(client, name, {INPUT: np.zeros((pictures, SIZE, SIZE, 3), np.uint8)}, ("peaks", "links"))
    for k in range(pictures):
        people = people_of(answers, k)
        assert len(people.scores) == 1
        assert np.abs(people.keypoints[0, :, :2] - SOMEBODY).max() < 2.5


@pytest.mark.integration
@pytest.mark.timeout(240)
def test_marked_people_come_back(client: triton.InferenceServerClient) -> None:
    """Networks of MoveNet's kind: each picture of a batch has its own answer, and of several people each his own."""
    pictures = np.stack([picture(SIDE, SIDE, ANN), picture(SIDE, SIDE), picture(SIDE, SIDE, BOB)])
    answers = ask(client, "one", {INPUT: pictures}, ("people", "scores"))
    first, nobody, second = (people_of(answers, k) for k in range(3))
    check_that_these_are(first, ANN)
    check_that_these_are(second, BOB)
    assert len(nobody.scores) == 0
    answers = ask(client, "several", {INPUT: picture(SIDE, SIDE, BOB, ANN)[None]}, ("people", "scores"))
    check_that_these_are(people_of(answers), ANN, BOB)


def check_that_these_are(people: People, *wanted: Marks) -> None:
    assert len(people.scores) == len(wanted)
    for person, marks in zip(people.keypoints, wanted, strict=True):
        for name, row in zip(KEYPOINTS, person, strict=True):
            assert name == "neck" or np.abs(row - marks[name]).max() < 0.01, name
