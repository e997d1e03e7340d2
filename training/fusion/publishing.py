# mypy: allow-untyped-decorators
# (torch is an extra: where it is missing, its types are unknown)
"""From checkpoints to served models: export, judgement, INT8, cards and curves, all or nothing per model."""

from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import torch
from msgspec import Struct
from onnx import ModelProto

from training.contract import ModelError
from training.curves import CURVES, Curve, drawn, losses
from training.fusion.activity import ACTIVITIES
from training.fusion.backbone import channels_of, small
from training.fusion.clip_set import FPS, HEIGHT, PAD, WIDTH, Rendering, clip_set
from training.fusion.contract import OUTPUTS, Served, config_text
from training.fusion.int8 import picture_feeds, quantized, speed
from training.fusion.judging import Floats, Step, gain, scores, watch
from training.fusion.network import STATE, Fusion, Head, PictureNetwork
from training.fusion.onnx_graph import resnet_to_onnx, to_onnx
from training.fusion.report import Int8Report, Report, Speed
from training.model_card import own_card
from training.model_repository import store_files
from training.provenance import commit_of
from training.trainer import to_tensor
from training.trial import session

NAME: Final = "junction-activity"
INT8: Final = f"{NAME}-int8"
MOST_LOST: Final = 0.01
"""of the accuracy, by INT8"""
_CALIBRATED: Final = 64
_SIZES: Final = ((16, 1), (32, 1), (32, 2), (64, 1), (64, 2), (96, 1))


class Sets(Struct, frozen=True):
    """The clips that were learnt from, and those that it is judged on."""

    learning: Rendering
    judging: Rendering


def publish(work: Path, repository: Path, sets: Sets, backbone: str) -> Report:
    """Writes both variants. Raises OSError without checkpoints, ModelError for an INT8 variant that loses too much or
    is slower; the model in float32 is written then all the same."""
    states = {part: torch.load(work / f"{part}.pt", weights_only=True) for part in ("backbone", "fusion", "baseline")}
    pictures = PictureNetwork(backbone)
    pictures.load_state_dict(states["backbone"]["average"])
    layers = pictures.backbone
    channels = channels_of(layers)
    network, single = (Fusion(layers, Head(channels, temporal)).eval() for temporal in (True, False))
    network.head.load_state_dict(states["fusion"]["average"])
    single.head.load_state_dict(states["baseline"]["average"])
    served = _served(NAME)
    graph = to_onnx(network, served)

    judged = clip_set(sets.judging, work)
    truth = np.asarray(judged.states).astype(np.int64)
    said = watch(of_graph(graph), judged, STATE)
    alone = watch(of_network(single), judged, STATE)
    report = Report(
        scenes=len(truth),
        pictures=truth.size,
        states={name: int((truth == place).sum()) for place, name in enumerate(ACTIVITIES)},
        fusion=scores(truth, said),
        baseline=scores(truth, alone),
        gain=gain(truth, said, alone),
    )
    facts: dict[str, Any] = {
        "commit": commit_of(Path(__file__).parents[1]),
        "backbone": backbone,
        "recipes": {part: state["recipe"] for part, state in states.items()},
        "steps": {part: state["step"] for part, state in states.items()},
        "parameters": sum(p.numel() for p in network.parameters()),
        "learnt_from": {
            "rendering": sets.learning,
            "sha256": {part: state["data"] for part, state in states.items()},
        },
        "judged_on": {"rendering": sets.judging, "sha256": judged.sha256, "simulator": judged.commit},
        "features": "frozen: the backbone learnt from single pictures; LSTM, head and baseline from its features",
        "result": report,
    }
    curves = {part: losses(state["curve"])["state"] for part, state in states.items()}
    _store(repository, served, graph, facts, curves)
    variant, quick = _int8(graph, layers, work, sets, truth, said)
    _store(repository, _served(INT8), variant, {**facts, "quantization": quick}, curves)
    return report


def of_graph(graph: ModelProto) -> Step:
    """By ONNX Runtime, as it is served."""
    running = session(graph.SerializeToString())

    def step(pictures: Any, h: Floats, c: Floats) -> tuple[Floats, Floats, Floats]:
        state, h, c = (np.asarray(x) for x in running.run(list(OUTPUTS), {"image": pictures, "h": h, "c": c}))
        return state, h, c

    return step


def of_network(network: Fusion) -> Step:
    @torch.no_grad()
    def step(pictures: Any, h: Floats, c: Floats) -> tuple[Floats, Floats, Floats]:
        state, h, c = (x.numpy() for x in network(to_tensor(pictures), torch.from_numpy(h), torch.from_numpy(c)))
        return state, h, c

    typed: Step = step
    return typed


def _served(name: str) -> Served:
    return Served(name, HEIGHT, WIDTH, ACTIVITIES, FPS, PAD, STATE)


def _int8(
    graph: ModelProto, layers: torch.nn.Module, work: Path, sets: Sets, truth: Any, said: Any
) -> tuple[ModelProto, Int8Report]:
    """Calibrated on what it has learnt from, judged on what both are."""
    learnt = clip_set(sets.learning, work).pixels
    flat = learnt.reshape(-1, *learnt.shape[2:])
    feeds = picture_feeds(np.array(flat[:: len(flat) // _CALIBRATED][:_CALIBRATED]), STATE)
    variant = quantized(graph, feeds, INT8)
    after = watch(of_graph(variant), clip_set(sets.judging, work), STATE)
    pictures = [{"image": feed["image"]} for feed in feeds]

    def resnet(those: torch.nn.Module) -> Speed:
        alone = resnet_to_onnx(those)
        return speed(alone, quantized(alone, pictures[:8], "resnet-int8"), pictures[0])

    judged = scores(truth, after)
    quick = Int8Report(
        calibration_pictures=len(feeds),
        scores=judged,
        lost=round(scores(truth, said).accuracy - judged.accuracy, 4),
        agreement=round(float((after == said).mean()), 4),
        resnet=resnet(layers),
        whole=speed(graph, variant, feeds[0]),
        bytes_before=graph.ByteSize(),
        bytes_after=variant.ByteSize(),
        sizes={f"{width}x{blocks}": resnet(small(width, blocks)) for width, blocks in _SIZES},
    )
    if quick.lost > MOST_LOST or quick.whole.times_faster < 1:
        raise ModelError(f"INT8 is not published: {msgspec.to_builtins(quick)}")
    return variant, quick


def _store(
    repository: Path, served: Served, graph: ModelProto, facts: dict[str, Any], curves: dict[str, Curve]
) -> None:
    raw = graph.SerializeToString(deterministic=True)
    family = "fusion" if served.name == NAME else "fusion-int8"
    card = own_card(served.name, family, "training/train_fusion.py", raw, facts)
    drawing = drawn(served.name, curves)
    store_files(repository, raw, config_text(served), card, True, {f"1/{CURVES}": drawing})
