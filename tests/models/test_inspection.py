"""The bundled cascade, on parts rendered afresh from seeds that it has neither learnt from nor been judged on."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
import tritonclient.grpc as triton
from google.protobuf import text_format  # type: ignore[import-untyped]
from numpy.typing import NDArray
from tritonclient.grpc import model_config_pb2

from simulator.line.design import PIXELS_PER_MM
from simulator.line.part import LineConfig
from simulator.line.pictures import PartPicture, part_pictures
from tests.models import asking
from training.contract import ModelError
from training.inspection.calibration import upper_bound
from training.inspection.contract import INPUT, Served, config_text, parse_config
from training.inspection.judging import Report
from training.model_card import digest, read_card
from training.trial import session
from vision.inspection import Verdict, inspect, located_pixels

REPOSITORY = Path(__file__).resolve().parents[2] / "triton_models"
NAMES = ("inspection-screen", "inspection-locator")
every_model = pytest.mark.parametrize("name", NAMES)
FRESH, EACH = 4242, 60


def served(name: str) -> Served:
    return parse_config((REPOSITORY / name / "config.pbtxt").read_text())


@pytest.fixture(scope="module")
def parts() -> list[PartPicture]:
    good, bad = (LineConfig(defective=share, clear_of_print=True) for share in (0.0, 1.0))
    return [
        part
        for seed, config in ((FRESH, good), (FRESH + 1, bad))
        for part in part_pictures(seed, EACH, config, per_line=5)
    ]


@every_model
def test_config_graph_and_card_agree(name: str) -> None:
    folder, model = REPOSITORY / name, served(name)
    assert model.name == name
    assert (folder / "config.pbtxt").read_text() == config_text(model)
    card = read_card(folder / "card.json")
    assert card.served_sha256 == digest(folder / "1" / "model.onnx")
    assert card.licence == "Apache-2.0"
    assert {"recipe", "learnt_from_sha256", "calibrated_on", "judged_on", "calibration", "result", "commit"} <= set(
        card.facts
    )
    config = text_format.Parse((folder / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())
    graph = onnx.load(folder / "1" / "model.onnx").graph
    for said, value in ((config.input[0], graph.input[0]), (config.output[0], graph.output[0])):
        assert said.name == value.name
        assert list(said.dims) == [d.dim_value for d in value.type.tensor_type.shape.dim][1:]


def test_both_are_small_and_share_one_threshold() -> None:
    assert sum((REPOSITORY / name / "1" / "model.onnx").stat().st_size for name in NAMES) < 3_000_000
    assert len({served(name).threshold for name in NAMES}) == 1
    assert {served(name).pixels_per_mm for name in NAMES} == {PIXELS_PER_MM}


def test_the_card_s_figures_fit_together() -> None:
    result = msgspec.json.decode(read_card(REPOSITORY / NAMES[0] / "card.json").facts["result"], type=Report)
    good, bad = result.parts
    assert min(good, bad) > 500
    for rates in (result.cascade, result.locator_alone, result.background_difference):
        assert rates.missed == pytest.approx(rates.misses / bad, abs=1e-5)
        assert rates.bound == pytest.approx(upper_bound(rates.misses, bad), abs=1e-5)


@every_model
def test_a_batch_equals_its_parts_one_by_one(name: str, parts: list[PartPicture]) -> None:
    running = session(str(REPOSITORY / name / "1" / "model.onnx"))
    pixels = np.stack([part.pixels for part in parts[EACH - 2 : EACH + 2]])
    batch = np.asarray(running.run(None, {INPUT: pixels})[0])
    singles = [np.asarray(running.run(None, {INPUT: pixels[i : i + 1]})[0]) for i in range(4)]
    np.testing.assert_array_equal(batch, np.concatenate(singles))


@pytest.mark.parametrize(
    "text", ["", "nonsense {", 'name: "x"', 'parameters { key: "role" value { string_value: "x" } }']
)
def test_what_is_no_model_of_the_cascade_is_refused(text: str) -> None:
    with pytest.raises(ModelError, match=r"config\.pbtxt"):
        parse_config(text)


@pytest.fixture(scope="module")
def client() -> Iterator[triton.InferenceServerClient]:
    with asking.serving(REPOSITORY, NAMES) as running:
        yield running


def ask(client: triton.InferenceServerClient, name: str, picture: NDArray[np.uint8]) -> NDArray[np.generic]:
    output = served(name).output
    return np.asarray(asking.ask(client, name, {INPUT: picture[None]}, (output,))[output][0])


@pytest.mark.integration
@pytest.mark.timeout(240)
def test_the_cascade_on_triton_tells_defective_parts_from_good_ones(
    client: triton.InferenceServerClient, parts: list[PartPicture]
) -> None:
    """Floors below what the cards say, and far above chance."""
    model, maps = served(NAMES[0]), {}

    def locate(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        found = np.asarray(ask(client, NAMES[1], picture), np.uint8)
        maps[picture.tobytes()] = found
        return found

    def screen(picture: NDArray[np.uint8]) -> float:
        return float(ask(client, NAMES[0], picture)[0])

    verdicts: list[Verdict] = [
        inspect(part.pixels, screen, locate, model.threshold, model.pixels_per_mm) for part in parts
    ]
    good, bad = verdicts[:EACH], verdicts[EACH:]
    assert sum(not verdict.good for verdict in bad) / EACH > 0.95
    assert sum(verdict.screened_out for verdict in good) / EACH > 0.8
    # how often a defective part scores higher than a good one: 0.5 by chance
    ranked = [b.screen > g.screen for b in bad for g in good]
    assert np.mean(ranked) > 0.97
    overlaps = []
    for part, verdict in zip(parts[EACH:], bad, strict=True):
        if not verdict.good:
            ours = located_pixels(maps[part.pixels.tobytes()], model.threshold)
            overlaps.append((ours & part.mask).sum() / (ours | part.mask).sum())
    assert np.mean(overlaps) > 0.6
