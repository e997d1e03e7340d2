"""An imported pose network, asked by way of a real Triton."""

from collections.abc import Iterator

import numpy as np
import onnx
import pytest
import tritonclient.grpc as triton

from tests.models.asking import ask, serving
from tests.training.pose_maps import SIZE, maps, pose_network, somebody
from training.pose.contract import INPUT
from training.pose.importing import import_pose
from vision.pose import people_of

SOMEBODY = somebody(40, 20, 80, 180)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[triton.InferenceServerClient]:
    repository, file = tmp_path_factory.mktemp("models"), tmp_path_factory.mktemp("network") / "network.onnx"
    for name, mixes in (("batched", False), ("single", True)):
        onnx.save(pose_network(maps([SOMEBODY]), mixes=mixes), file)
        import_pose(file, name, "openpose18", repository)
    with serving(repository, ("batched", "single")) as running:
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
