"""The bundled pose network, and an imported one beside it, on people rendered afresh, by a real Triton."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
import tritonclient.grpc as triton
from numpy.typing import NDArray

from tests.models.asking import ask, serving
from tests.training.pose_maps import SIZE, maps, pose_network, somebody
from training.model_card import digest
from training.pose.contract import INPUT, config_text
from training.pose.crop_set import CropRendering, CropSet, crop_set
from training.pose.importing import import_pose
from training.pose.judging import PoseReport, figures
from training.pose.repository import load
from training.trial import session
from vision.pose import People, people_of
from vision.pose_crop import HEIGHT, WIDTH

HOME = Path(__file__).resolve().parents[2] / "triton_models" / "shop-pose"
FRESH = CropRendering(424_242, 40)


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> CropSet:
    return crop_set(FRESH, tmp_path_factory.mktemp("crops"))


def test_config_graph_and_card_agree() -> None:
    stored = load(HOME)
    assert stored.model.name == HOME.name
    assert (stored.model.width, stored.model.height) == (WIDTH, HEIGHT)
    assert (HOME / "config.pbtxt").read_text() == config_text(stored.model)
    assert stored.bytes < 4_000_000
    assert stored.card is not None
    assert stored.card.served_sha256 == digest(stored.graph)
    assert stored.card.licence == "Apache-2.0"
    assert {"recipe", "learnt_from", "judged_on", "result", "commit"} <= stored.card.facts.keys()
    graph = onnx.load(stored.graph).graph
    for value in graph.output:
        assert tuple(d.dim_value for d in value.type.tensor_type.shape.dim)[1:] == stored.model.outputs[value.name]


def test_the_card_says_that_it_beats_the_mean_pose() -> None:
    card = load(HOME).card
    assert card is not None
    result = msgspec.json.decode(card.facts["result"], type=PoseReport)
    assert result.people >= 400
    assert result.network.oks > result.baseline.oks
    assert result.seen > result.seen_baseline


def test_a_batch_equals_its_people_one_by_one(crops: CropSet) -> None:
    running = session(str(HOME / "1" / "model.onnx"))
    batch = running.run(None, {INPUT: crops.pixels[:4]})
    singles = [running.run(None, {INPUT: crops.pixels[i : i + 1]}) for i in range(4)]
    for k, answer in enumerate(batch):
        np.testing.assert_array_equal(answer, np.concatenate([single[k] for single in singles]))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[triton.InferenceServerClient]:
    repository = tmp_path_factory.mktemp("models")
    shutil.copytree(HOME, repository / HOME.name)
    file = tmp_path_factory.mktemp("network") / "network.onnx"
    onnx.save(pose_network(maps([somebody(40, 20, 80, 180)])), file)
    import_pose(file, "imported", "openpose18", repository)
    with serving(repository, (HOME.name, "imported")) as running:
        yield running


def seen(
    client: triton.InferenceServerClient, name: str, pictures: NDArray[np.uint8], outputs: tuple[str, str]
) -> list[People]:
    answers = ask(client, name, {INPUT: pictures}, outputs)
    return [people_of(answers, k) for k in range(len(pictures))]


@pytest.mark.integration
@pytest.mark.timeout(240)
def test_one_contract_for_a_trained_and_an_imported_network(
    client: triton.InferenceServerClient, crops: CropSet
) -> None:
    """Floors far below what the card says."""
    batches = [crops.pixels[start : start + 8] for start in range(0, 40, 8)]
    found = [one for batch in batches for one in seen(client, HOME.name, batch, ("people", "scores"))]
    places = np.array([people.keypoints[0, :, :2] for people in found])
    reached = figures(places, crops)
    assert reached.near_seen > 0.9
    (people,) = seen(client, "imported", np.zeros((1, SIZE, SIZE, 3), np.uint8), ("peaks", "links"))
    assert np.abs(people.keypoints[0, :, :2] - somebody(40, 20, 80, 180)).max() < 2.5
