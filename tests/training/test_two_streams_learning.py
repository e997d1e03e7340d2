# ruff: noqa: E402 - what needs PyTorch can only be imported after asking for it
"""Appearance and flow, learning for two steps and exported. Needs the extra `train`."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch", reason="the extra `train` (PyTorch) isn't installed")

from tests.training.stopping import check_that_stopping_changes_nothing
from training.hard_clips.clip_set import HEIGHT, WIDTH, ClipSet, Rendering, clip_set
from training.hard_clips.eyes import Eyes, bundled_eyes
from training.hard_clips.features import Features, features, hardened
from training.hard_clips.gain import ALL
from training.hard_clips.judging import judged
from training.network import grid
from training.trainer import Choice, Recipe, Trainer, to_tensor
from training.trial import session
from training.two_streams.contract import INPUTS, OUTPUTS
from training.two_streams.flows import Flows, flows, watched
from training.two_streams.lesson import PictureLesson, flow_tensor
from training.two_streams.network import ENLARGED, FLOW, FOUND, LOW, MIDDLE, STRIDE, TwoStreams
from training.two_streams.onnx_graph import to_onnx
from training.two_streams.publishing import compare, of_graph, served
from training.two_streams.report import HIDDEN, OCCLUDED

pytestmark = pytest.mark.timeout(240)
DETECTOR = Path(__file__).resolve().parents[2] / "triton_models" / "junction-yolo" / "1" / "model.onnx"
RECIPE = Recipe(steps=2, batch=2, warmup_steps=1)
RENDERING = Rendering(6, 1, 10)


@pytest.fixture(scope="module")
def eyes() -> Eyes:
    torch.set_num_threads(1)
    return bundled_eyes(onnx.load(DETECTOR), ENLARGED)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> ClipSet:
    return clip_set(RENDERING, tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="module")
def looks(eyes: Eyes, clips: ClipSet, tmp_path_factory: pytest.TempPathFactory) -> Features:
    made: Features = features(eyes, clips, RENDERING.seed, 2, tmp_path_factory.mktemp("features"))
    return made


@pytest.fixture(scope="module")
def moves(clips: ClipSet, tmp_path_factory: pytest.TempPathFactory) -> Flows:
    return flows(clips, RENDERING.seed, 2, tmp_path_factory.mktemp("flows"))


def lively(moving: bool = True) -> Any:
    """Weights by chance, larger than at first, and norms that do something."""
    torch.manual_seed(5)
    network = TwoStreams(moving).eval()
    for name, value in (*network.named_parameters(), *network.named_buffers()):
        if value.is_floating_point() and "running_var" not in name:
            torch.nn.init.normal_(value, 0.0, 0.2)
    torch.nn.init.constant_(network.sides.bias, 2.0)
    return network


def test_the_frozen_stages_see_the_picture_enlarged(eyes: Eyes, clips: ClipSet, looks: Features) -> None:
    """They are the bundled detector's, and their maps are of twice the side."""
    plain = bundled_eyes(onnx.load(DETECTOR))
    picture = to_tensor(hardened(clips, RENDERING.seed, 0, 1).pixels[3:4])
    larger = torch.nn.functional.interpolate(picture, scale_factor=ENLARGED, mode="bilinear")
    with torch.no_grad():
        low, middle = plain(larger)
    assert (low.shape[1], middle.shape[1:]) == (LOW, (MIDDLE, HEIGHT // STRIDE, WIDTH // STRIDE))
    np.testing.assert_allclose(looks.low[1, 0, 3:4], low.numpy(), atol=2e-2, rtol=2e-3)
    np.testing.assert_allclose(looks.middle[1, 0, 3:4], middle.numpy(), atol=2e-2, rtol=2e-3)


def test_features_of_enlarged_pictures_are_kept_apart(clips: ClipSet, looks: Features, tmp_path: Path) -> None:
    plain = features(bundled_eyes(onnx.load(DETECTOR)), clips, RENDERING.seed, 2, tmp_path)
    assert plain.sha256 != looks.sha256
    assert plain.middle.shape[-1] * ENLARGED == looks.middle.shape[-1]


def test_what_is_learnt_from_is_what_a_camera_would_keep(clips: ClipSet, moves: Flows) -> None:
    for draw in (0, 1):
        kept = watched(hardened(clips, RENDERING.seed, 0, draw).pixels)
        assert kept.shape[1:] == FLOW
        for index in range(RENDERING.frames):
            np.testing.assert_array_equal(moves.until(draw, 0, index), kept[index])
    assert moves.steps[:, :, 1:].any()


def test_flow_is_computed_once(clips: ClipSet, moves: Flows, tmp_path: Path) -> None:
    first = flows(clips, RENDERING.seed, 1, tmp_path)
    written = [file.stat().st_mtime_ns for file in tmp_path.iterdir()]
    assert flows(clips, RENDERING.seed, 1, tmp_path).sha256 == first.sha256 != moves.sha256
    assert [file.stat().st_mtime_ns for file in tmp_path.iterdir()] == written


@pytest.mark.parametrize("moving", [True, False])
def test_stopping_and_going_on_changes_nothing(
    clips: ClipSet, looks: Features, moves: Flows, tmp_path: Path, moving: bool
) -> None:
    lesson = PictureLesson(looks, moves, clips)
    check_that_stopping_changes_nothing(lambda: Trainer(RECIPE, lambda: TwoStreams(moving), lesson), tmp_path)


def test_only_the_baseline_is_blind_to_flow(clips: ClipSet, looks: Features, moves: Flows) -> None:
    """Both are the same network on the same pictures."""
    lesson = PictureLesson(looks, moves, clips)
    batch = [Choice(index, np.random.default_rng(0)) for index in (4, 17)]
    low, middle = (torch.from_numpy(np.array(part[0, 0, 4:5])).float() for part in (looks.low, looks.middle))
    known = flow_tensor(moves.until(0, 0, 4)[None])
    for moving in (True, False):
        network = lively(moving)
        assert all(bool(loss.isfinite()) for loss in lesson.losses(network, batch, False).values())
        with torch.no_grad():
            here, nowhere = (network(low, middle, flow) for flow in (known, known * 0))
        assert bool((here != nowhere).any()) == moving
    assert len(lesson) == 2 * RENDERING.frames
    assert [value.shape for value in lively(True).parameters()] == [value.shape for value in lively(False).parameters()]


@pytest.mark.parametrize("moving", [True, False])
def test_the_exported_graph_answers_as_the_network(eyes: Eyes, clips: ClipSet, moves: Flows, moving: bool) -> None:
    """The raw rows are compared through what suppression keeps."""
    network = lively(moving)
    graph = to_onnx(eyes, network, served("tested"))
    assert [value.name for value in (*graph.graph.input, *graph.graph.output)] == [*INPUTS, *OUTPUTS]
    running = session(graph.SerializeToString())
    centres, strides = (part[:FOUND] for part in grid(HEIGHT, WIDTH))
    assert set(strides.flatten().tolist()) == {STRIDE}
    pictures = np.array(clips.pixels[0, [4, 9]])
    known = np.stack([moves.until(0, 0, index) for index in (4, 9)])
    with torch.no_grad():
        rows = network(*eyes(to_tensor(pictures)), flow_tensor(known))
    found = running.run(list(OUTPUTS), dict(zip(INPUTS, (pictures, known), strict=True)))[0]
    best = rows[..., :-4].sigmoid().amax(dim=2)
    for camera in range(2):
        place = int(best[camera].argmax())
        sides = rows[camera, place, -4:] * STRIDE
        box = torch.cat([centres[place] - sides[:2], centres[place] + sides[2:]])
        np.testing.assert_allclose(found[camera, 0, :4], box.numpy(), atol=0.1)
        assert found[camera, 0, 4] == pytest.approx(float(best[camera, place]), abs=1e-3)


def test_both_are_asked_what_they_would_be_in_service(eyes: Eyes, clips: ClipSet) -> None:
    """A network that is compared with itself gains nothing, and has been given the camera's flow."""
    graph = of_graph(to_onnx(eyes, lively(), served("tested")))
    given: list[Any] = []

    def listening(pictures: Any, flow: Any) -> Any:
        given.append(flow)
        return graph(pictures, flow)

    hard = hardened(clips, RENDERING.seed, 0)
    report = compare(judged(clips, [hard]), listening, graph, {ALL: 0.5}, 7)
    for index, known in enumerate(watched(hard.pixels)):
        np.testing.assert_array_equal(given[index][0], known)
        assert not given[index + RENDERING.frames].any(), "asked again without flow"
    assert (report.scenes, report.bytes) == (1, 7)
    assert all(part.gain50.share in (0, -1) and part.map50[0] == part.map50[1] for part in report.parts.values())
    if OCCLUDED in report.parts:
        assert report.parts[HIDDEN].objects <= report.parts[OCCLUDED].objects
