"""The bundled INT8 variants of all but the plain detector: the same contract, and nearly the same answers."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
import tritonclient.grpc as triton
from google.protobuf import text_format  # type: ignore[import-untyped]
from numpy.typing import NDArray
from tritonclient.grpc import model_config_pb2

from simulator.line.pictures import part_pictures
from tests.models.asking import Feed, ask, serving
from training.hard_clips.clip_set import clip
from training.int8_variant import QUANTIZATION, REFUSED, SUFFIX, Int8Trial
from training.model_card import digest, read_card
from training.pose.crop_set import CropRendering, crop_set
from training.trial import session
from vision.association import iou
from vision.optical_flow import Seen, seen

REPOSITORY = Path(__file__).resolve().parents[2] / "triton_models"
ELSEWHERE = ("junction-yolo", "junction-activity")
"""their variants have tests of their own"""
NAMES = sorted(
    name for name in (path.name.removesuffix(SUFFIX) for path in REPOSITORY.glob(f"*{SUFFIX}")) if name not in ELSEWHERE
)
DETECTORS = ("junction-temporal", "junction-two-streams")
every_network = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def feeds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Feed]]:
    """By network: pictures from seeds that nothing has learnt from, and what else it is given."""
    parts: list[Feed] = [{"image": part.pixels[None]} for part in part_pictures(4343, 12, per_line=2)]
    pictures = [picture for picture, _ in clip(4343, 0, 12)]
    known: Seen | None = None
    watched: list[Feed] = []
    for picture in pictures:
        known = seen(known, picture)
        watched.append({"image": picture[None], "flow": known.flows[None]})
    memory = np.random.default_rng(4).normal(0, 0.5, (1, 2, 64, 8, 14)).astype(np.float32)
    crops = crop_set(CropRendering(434_343, 12), tmp_path_factory.mktemp("crops"))
    return {
        "inspection-locator": parts,
        "inspection-screen": parts,
        "junction-temporal": [{"image": picture[None], "memory": memory} for picture in pictures],
        "junction-two-streams": watched,
        "shop-pose": [{"image": crop[None]} for crop in crops.pixels],
    }


def test_none_is_missing() -> None:
    """A network without a variant says on its card why."""
    own = {path.name for path in REPOSITORY.glob("*/") if not path.name.endswith(SUFFIX)} - set(ELSEWHERE)
    refused = {name for name in own if REFUSED in read_card(REPOSITORY / name / "card.json").facts}
    assert set(NAMES) | refused == own
    assert set(NAMES) & refused == set()


@every_network
def test_config_graph_and_card_fit_the_original(name: str) -> None:
    home, original = REPOSITORY / (name + SUFFIX), REPOSITORY / name
    ours, theirs = (
        text_format.Parse((folder / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())
        for folder in (home, original)
    )
    assert (ours.name, theirs.name) == (home.name, name)
    assert list(ours.input) == list(theirs.input)
    assert list(ours.output) == list(theirs.output)
    card = read_card(home / "card.json")
    assert card.name == home.name
    assert card.licence == "Apache-2.0"
    assert card.served_sha256 == digest(home / "1" / "model.onnx")
    facts = read_card(original / "card.json").facts
    # a cascade's threshold is chosen, and its figures are, for each variant
    own = {"calibration", "result"} if name.startswith("inspection-") else set()
    assert {key: card.facts[key] for key in facts.keys() - own} == {key: facts[key] for key in facts.keys() - own}
    graph = onnx.load(home / "1" / "model.onnx").graph
    assert sum(node.op_type == "QuantizeLinear" for node in graph.node) > 10
    trial = msgspec.json.decode(card.facts[QUANTIZATION], type=Int8Trial)
    assert trial.objection is None
    assert trial.calibration_pictures >= 64
    assert trial.bytes_after < 0.5 * trial.bytes_before
    assert trial.bytes_before == (original / "1" / "model.onnx").stat().st_size


@every_network
def test_it_answers_nearly_as_the_original(name: str, feeds: dict[str, list[Feed]]) -> None:
    """The first output alone. What both say of one picture is far nearer than what they say of two."""
    wanted, got = (
        [np.asarray(running.run(None, dict(feed))[0], np.float64)[0] for feed in feeds[name]]
        for running in (session(str(REPOSITORY / each / "1" / "model.onnx")) for each in (name, name + SUFFIX))
    )
    if name in DETECTORS:
        sure = [rows[rows[:, 4] > 0.3] for rows in wanted]
        assert sum(map(len, sure)) > 10
        again = [_covered(rows, other) for rows, other in zip(sure, got, strict=True)]
        assert np.concatenate(again).mean() > 0.9
        return
    off = np.mean([np.abs(one - other).mean() for one, other in zip(wanted, got, strict=True)])
    elsewhere = np.mean([np.abs(one - other).mean() for one, other in pairwise(wanted)])
    assert off < 0.3 * elsewhere


def _covered(rows: NDArray[np.float64], by: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which rows [n, 6] have one of the same class there that overlaps by half."""
    same = (rows[:, None, 5] == by[None, :, 5]) & (by[None, :, 4] > 0)
    return np.asarray(((iou(rows[:, :4], by[:, :4]) >= 0.5) & same).any(axis=1))


@pytest.fixture(scope="module")
def client() -> Iterator[triton.InferenceServerClient]:
    with serving(REPOSITORY, [name + SUFFIX for name in NAMES]) as running:
        yield running


@pytest.mark.integration
@pytest.mark.timeout(240)
@every_network
def test_triton_serves_it_as_it_runs_here(
    client: triton.InferenceServerClient, name: str, feeds: dict[str, list[Feed]]
) -> None:
    running = session(str(REPOSITORY / (name + SUFFIX) / "1" / "model.onnx"))
    outputs = [output.name for output in running.get_outputs()]
    for feed in feeds[name][-2:]:
        there, here = ask(client, name + SUFFIX, feed, outputs), running.run(outputs, dict(feed))
        for output, wanted in zip(outputs, here, strict=True):
            got, wanted = np.asarray(there[output], np.float64), np.asarray(wanted, np.float64)
            assert got.shape == wanted.shape
            # Triton's own environment may hold another release of ONNX Runtime, which may round a byte otherwise
            assert np.abs(got - wanted).mean() <= 0.02 * (np.abs(wanted).mean() + 1e-3)
