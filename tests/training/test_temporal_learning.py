# ruff: noqa: E402 - what needs PyTorch can only be imported after asking for it
"""The detector with a memory, learning for two steps and exported. Needs the extra `train`."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch", reason="the extra `train` (PyTorch) isn't installed")

from tests.training.stopping import check_that_stopping_changes_nothing
from training.contract import OUTPUT
from training.hard_clips.clip_set import HEIGHT, SHOWN, WIDTH, ClipSet, Rendering, clip_set
from training.hard_clips.eyes import Eyes, bundled_eyes
from training.hard_clips.features import Features, features, hardened
from training.hard_clips.wanted import padded
from training.network import grid
from training.temporal.contract import INPUTS, OUTPUTS
from training.temporal.lesson import RUN, RunLesson
from training.temporal.network import ENLARGED, FINE, FOUND, LOW, MEMORY, MIDDLE, STRIDE, Temporal
from training.temporal.onnx_graph import to_onnx
from training.temporal.publishing import of_graph, served
from training.trainer import Recipe, Trainer, to_tensor
from training.trial import session

pytestmark = pytest.mark.timeout(240)
DETECTOR = Path(__file__).resolve().parents[2] / "triton_models" / "junction-yolo" / "1" / "model.onnx"
RECIPE = Recipe(steps=2, batch=1, warmup_steps=1)
RENDERING = Rendering(6, 1, RUN + 2)


@pytest.fixture(scope="module")
def eyes() -> Eyes:
    torch.set_num_threads(1)
    return bundled_eyes(onnx.load(DETECTOR), ENLARGED)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> ClipSet:
    return clip_set(RENDERING, tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="module")
def seen(eyes: Eyes, clips: ClipSet, tmp_path_factory: pytest.TempPathFactory) -> Features:
    made: Features = features(eyes, clips, RENDERING.seed, 2, tmp_path_factory.mktemp("features"))
    return made


def lively(temporal: bool = True) -> Any:
    """Weights by chance, larger than at first, and norms that do something."""
    torch.manual_seed(5)
    network = Temporal(temporal).eval()
    for name, value in (*network.named_parameters(), *network.named_buffers()):
        if value.is_floating_point() and "running_var" not in name:
            torch.nn.init.normal_(value, 0.0, 0.2)
    torch.nn.init.constant_(network.sides.bias, 2.0)
    return network


def test_the_frozen_stages_are_the_bundled_detector_s(clips: ClipSet) -> None:
    """Their maps are also inside the served graph."""
    eyes = bundled_eyes(onnx.load(DETECTOR))
    graph = onnx.load(DETECTOR)
    made = {output: node for node in graph.graph.node for output in node.output}
    wide = [name for name, node in made.items() if node.op_type == "Relu"]
    del graph.graph.output[:]
    graph.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in wide)
    size = graph.graph.input[0].type.tensor_type.shape.dim
    picture = np.zeros((1, size[1].dim_value, size[2].dim_value, 3), np.uint8)
    picture[:, :HEIGHT, :WIDTH] = clips.pixels[0, 0]
    maps = session(graph.SerializeToString()).run(None, {"image": picture})
    with torch.no_grad():
        wanted = [part.numpy() for part in eyes(to_tensor(picture))]
    assert OUTPUT not in wide
    for one, channels in zip(wanted, (LOW, MIDDLE), strict=True):
        assert one.shape[1] == channels
        assert any(each.shape == one.shape and np.allclose(each, one, atol=1e-3) for each in maps)


def test_features_are_of_hard_pictures_and_computed_once(
    eyes: Eyes, clips: ClipSet, seen: Features, tmp_path: Path
) -> None:
    with torch.no_grad():
        low, middle = eyes(to_tensor(hardened(clips, RENDERING.seed, 0, 1).pixels[:1]))
    np.testing.assert_allclose(seen.low[1, 0, :1], low.numpy(), atol=2e-2, rtol=2e-3)
    np.testing.assert_allclose(seen.middle[1, 0, :1], middle.numpy(), atol=2e-2, rtol=2e-3)
    first = features(eyes, clips, RENDERING.seed, 1, tmp_path)
    written = [file.stat().st_mtime_ns for file in tmp_path.iterdir()]
    assert features(eyes, clips, RENDERING.seed, 1, tmp_path).sha256 == first.sha256 != seen.sha256
    assert [file.stat().st_mtime_ns for file in tmp_path.iterdir()] == written


@pytest.mark.parametrize("temporal", [True, False])
def test_stopping_and_going_on_changes_nothing(clips: ClipSet, seen: Features, tmp_path: Path, temporal: bool) -> None:
    lesson = RunLesson(seen, clips)
    check_that_stopping_changes_nothing(lambda: Trainer(RECIPE, lambda: Temporal(temporal), lesson), tmp_path)


def test_a_run_is_its_pictures_one_by_one(seen: Features) -> None:
    low, middle = (torch.from_numpy(np.array(part[0, :, :4])).float() for part in (seen.low, seen.middle))
    for temporal in (True, False):
        network, memory, rows = lively(temporal), torch.zeros(1, *MEMORY), []
        with torch.no_grad():
            for index in range(4):
                row, memory = network(low[:, index], middle[:, index], memory)
                rows.append(row)
            torch.testing.assert_close(network.along(low, middle), torch.stack(rows, dim=1), atol=1e-4, rtol=1e-4)
        assert (float(memory.abs().max()) > 0) == temporal


def test_hidden_objects_are_wanted_and_ignored_ones_are_not(clips: ClipSet) -> None:
    objects = [clips.objects(0, index, mirrored) for index in (0, 3) for mirrored in (False, True)]
    truth = padded(objects)
    assert truth.real.sum(dim=1).tolist() == [int((~one.crowd).sum()) for one in objects]
    np.testing.assert_allclose(truth.boxes[1, :, 0][truth.real[1]], WIDTH - truth.boxes[0, :, 2][truth.real[0]])
    assert float(truth.boxes[..., 3].max()) <= SHOWN[1]


def test_the_exported_graph_answers_as_the_network(eyes: Eyes, clips: ClipSet) -> None:
    """Over pictures in a row, two cameras at once; the raw rows are compared through what suppression keeps."""
    network = lively()
    running = session(to_onnx(eyes, network, served("tested")).SerializeToString())
    centres, strides = (part[:FOUND] for part in grid(HEIGHT, WIDTH))
    assert set(strides.flatten().tolist()) == {STRIDE // FINE}
    here, there = torch.zeros(2, *MEMORY), np.zeros((2, *MEMORY), np.float32)
    for index in range(3):
        pictures = np.array(clips.pixels[0, [index, index + 5]])
        with torch.no_grad():
            rows, here = network(*eyes(to_tensor(pictures)), here)
        found, there = running.run(list(OUTPUTS), dict(zip(INPUTS, (pictures, there), strict=True)))
        np.testing.assert_allclose(there, here.numpy(), atol=2e-3 * float(here.abs().max()))
        best = rows[..., :-4].sigmoid().amax(dim=2)
        for camera in range(2):
            place = int(best[camera].argmax())
            sides = rows[camera, place, -4:] * (STRIDE // FINE)
            box = torch.cat([centres[place] - sides[:2], centres[place] + sides[2:]])
            np.testing.assert_allclose(found[camera, 0, :4], box.numpy(), atol=0.1)
            assert found[camera, 0, 4] == pytest.approx(float(best[camera, place]), abs=1e-3)
    assert np.abs(there[:, 0] - there[:, 1]).max() > 0.01


def test_the_baseline_is_exported_without_memory(eyes: Eyes, clips: ClipSet) -> None:
    graph = to_onnx(eyes, lively(temporal=False), served("tested"))
    assert [value.name for value in (*graph.graph.input, *graph.graph.output)] == [INPUTS[0], OUTPUTS[0]]
    memory = np.ones((1, *MEMORY), np.float32)
    rows, kept = of_graph(graph)(np.array(clips.pixels[0, :1]), memory)
    assert rows.shape == (1, served().rows, 6)
    assert kept is memory
