# ruff: noqa: E402 - what needs PyTorch can only be imported after asking for it
"""Training the fusion of space and time, without training for long. Needs the extra `train`."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

torch = pytest.importorskip("torch", reason="the extra `train` (PyTorch) isn't installed")

from tests.training.stopping import check_that_stopping_changes_nothing
from training.contract import ModelError
from training.fusion.activity import ACTIVITIES
from training.fusion.backbone import backbone, channels_of, small
from training.fusion.clip_set import FPS, HEIGHT, PAD, WIDTH, ClipSet, Rendering, clip, clip_set
from training.fusion.contract import OUTPUTS, Served
from training.fusion.features import Features, features
from training.fusion.int8 import picture_feeds, quantized, resnet_of, spread
from training.fusion.lesson import RUN, PictureLesson, RunLesson
from training.fusion.network import STATE, Fusion, Head, PictureNetwork
from training.fusion.onnx_graph import resnet_to_onnx, to_onnx
from training.trainer import Lesson, Recipe, Trainer, to_tensor
from training.trial import session

pytestmark = pytest.mark.timeout(240)
NARROW = 16
RECIPE = Recipe(steps=2, batch=2, warmup_steps=1)
SERVED = Served("tested", HEIGHT, WIDTH, ACTIVITIES, FPS, PAD, STATE)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> ClipSet:
    return clip_set(Rendering(5, 1, RUN + 4), tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="module")
def layers() -> Any:
    """Narrow, with norms that do something."""
    torch.set_num_threads(1)
    torch.manual_seed(3)
    return lively(small(NARROW))


@pytest.fixture(scope="module")
def seen(layers: Any, clips: ClipSet, tmp_path_factory: pytest.TempPathFactory) -> Features:
    made: Features = features(layers, 4 * NARROW, clips, True, tmp_path_factory.mktemp("features"))
    return made


def lively(network: Any) -> Any:
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
    return network.eval()


@pytest.mark.parametrize("part", ["backbone", "fusion"])
def test_stopping_and_going_on_changes_nothing(clips: ClipSet, seen: Features, tmp_path: Path, part: str) -> None:
    def trainer() -> Trainer:
        if part == "fusion":
            return Trainer(RECIPE, lambda: Head(4 * NARROW), RunLesson(seen))
        lesson: Lesson = PictureLesson(clips)
        return Trainer(RECIPE, lambda: PictureNetwork("resnet-small"), lesson)

    check_that_stopping_changes_nothing(trainer, tmp_path)


def test_features_are_computed_once_for_each_backbone(
    layers: Any, clips: ClipSet, seen: Features, tmp_path: Path
) -> None:
    with torch.no_grad():
        wanted = layers(to_tensor(np.array(clips.pixels[0, :2]))).numpy()
    np.testing.assert_allclose(seen.maps[0, 0, :2], wanted, atol=2e-3, rtol=2e-3)
    first = features(layers, 4 * NARROW, clips, False, tmp_path)
    written = [file.stat().st_mtime_ns for file in tmp_path.iterdir()]
    assert features(layers, 4 * NARROW, clips, False, tmp_path).sha256 == first.sha256 != seen.sha256
    assert [file.stat().st_mtime_ns for file in tmp_path.iterdir()] == written


@pytest.mark.parametrize("temporal", [True, False])
def test_the_exported_graph_answers_as_the_network(layers: Any, clips: ClipSet, temporal: bool) -> None:
    torch.manual_seed(4)
    network = Fusion(layers, Head(4 * NARROW, temporal)).eval()
    if not temporal:
        with pytest.raises(ModelError, match="remembers nothing"):
            to_onnx(network, SERVED)
        return
    running = session(to_onnx(network, SERVED).SerializeToString())
    here = there = [np.zeros((2, STATE), np.float32)] * 2
    for step in range(4):
        pictures = np.array(clips.pixels[0, [step, step + 7]])
        with torch.no_grad():
            wanted = [x.numpy() for x in network(to_tensor(pictures), *(torch.from_numpy(kept) for kept in here))]
        got = running.run(list(OUTPUTS), {"image": pictures, "h": there[0], "c": there[1]})
        for one, other in zip(got, wanted, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)
        here, there = wanted[1:], got[1:]
    assert np.abs(there[0]).max() > 0.01


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_torchvision_s_backbones_export_alike(clips: ClipSet, name: str) -> None:
    pytest.importorskip("torchvision", reason="the extra `train` (torchvision) isn't installed")
    network = lively(backbone(name))
    pictures = np.array(clips.pixels[0, :1])
    (got,) = session(resnet_to_onnx(network).SerializeToString()).run(None, {"image": pictures})
    with torch.no_grad():
        wanted = network(to_tensor(pictures)).numpy()
    assert wanted.shape[1] == channels_of(network)
    np.testing.assert_allclose(got, wanted, atol=1e-3 * float(np.abs(wanted).max()))


def test_an_unknown_backbone_is_refused() -> None:
    with pytest.raises(ModelError, match=r"no backbone 'vgg': there are resnet-small, resnet18"):
        backbone("vgg")


def test_int8_takes_the_resnet_and_nothing_else(layers: Any, clips: ClipSet) -> None:
    graph = to_onnx(Fusion(layers, Head(4 * NARROW)).eval(), SERVED)
    feeds = picture_feeds(np.array(clips.pixels[0, :4]), STATE)
    variant = quantized(graph, feeds, "quick")
    made = {output for node in variant.graph.node for output in node.output}
    for node in variant.graph.node:
        if node.op_type == "Conv":
            weights_in_int8 = node.input[1] in made
            assert weights_in_int8 == node.name.startswith("resnet/"), node.name
    assert variant.ByteSize() < 0.7 * graph.ByteSize()
    assert not any(node.op_type == "Cast" for node in variant.graph.node)
    for alone in (resnet_of(graph), resnet_of(variant)):
        assert [one.name for one in alone.graph.input] == ["image"]
        kinds = {node.op_type for node in alone.graph.node}
        assert "Conv" in kinds
        assert not kinds & {"Concat", "Tanh", "Softmax"}
    slow, quick = (session(model.SerializeToString()).run(None, feeds[2])[0] for model in (graph, variant))
    np.testing.assert_allclose(quick, slow, atol=0.05)


def test_int8_runs_every_convolution_of_the_resnet_in_integers(layers: Any, clips: ClipSet, tmp_path: Path) -> None:
    """The first one too, where pixels have another scale than calibration saw: dark ones, whose brightest is 100."""
    dark = np.minimum(np.array(clips.pixels[0, :4]), 100)
    graph = resnet_to_onnx(layers)
    variant = quantized(graph, [{"image": picture[None]} for picture in dark], "quick")
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    quick = onnxruntime.InferenceSession(variant.SerializeToString(), options, providers=["CPUExecutionProvider"])
    kinds = Counter(node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node)
    assert kinds["QLinearConv"] == sum(node.op_type == "Conv" for node in graph.graph.node)
    assert not kinds["Conv"]
    wanted, got = (
        np.asarray(run.run(None, {"image": dark[:1]})[0]) for run in (session(graph.SerializeToString()), quick)
    )
    assert float(((got - wanted) ** 2).sum() / (wanted**2).sum()) < 1e-3


def test_pictures_to_calibrate_on_come_from_all_scenes() -> None:
    found = spread(Rendering(5, 3, 4), 2)
    for picture, (scene, at) in zip(found, ((0, 0), (1, 2)), strict=True):
        np.testing.assert_array_equal(picture, list(clip(5, scene, at + 1))[at][0])
