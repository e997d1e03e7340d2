# mypy: allow-untyped-decorators
# (torch is an extra: where it is missing, its types are unknown)
"""From checkpoints to a served model, and from that to its INT8 variant: export, judgement, cards and curves."""

from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import torch
from msgspec import Struct
from onnx import ModelProto

from training.contract import ModelError
from training.curves import drawn, losses
from training.fusion.activity import ACTIVITIES
from training.fusion.backbone import channels_of, small
from training.fusion.clip_set import FPS, HEIGHT, PAD, WIDTH, Rendering, clip_set
from training.fusion.contract import OUTPUTS, Served, config_text
from training.fusion.int8 import picture_feeds, quantized, resnet_of, spread
from training.fusion.judging import Floats, Step, gain, scores, watch
from training.fusion.network import STATE, Fusion, Head, PictureNetwork
from training.fusion.onnx_graph import resnet_to_onnx, to_onnx
from training.fusion.report import Int8Report, Report
from training.model_card import own_card, read_card
from training.model_repository import CARD, CURVES, GRAPH, store_files
from training.provenance import commit_of
from training.raw_network import read_model
from training.speed import Speed, speed
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
    """Writes the model in float32. Raises OSError without checkpoints."""
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
        "commit": _commit(),
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
    _store(repository, served, graph, facts, drawn(NAME, curves))
    return report


def publish_int8(work: Path, repository: Path, sets: Sets) -> Int8Report:
    """Writes the INT8 variant of the model that is published, calibrated on what that has learnt from, judged on what
    it was. Raises ModelError where there is none, and for a variant that loses too much or is slower."""
    folder = repository / NAME
    try:
        facts, curves = read_card(folder / CARD).facts, (folder / "1" / CURVES).read_bytes()
    except (OSError, msgspec.DecodeError) as error:
        raise ModelError(f"{folder} holds no published model: {error}") from None
    graph = read_model(folder / "1" / GRAPH)
    feeds = picture_feeds(spread(sets.learning, _CALIBRATED), STATE)
    variant = quantized(graph, feeds, INT8)
    judged = clip_set(sets.judging, work)
    before, after = (watch(of_graph(each), judged, STATE) for each in (graph, variant))
    truth = np.asarray(judged.states).astype(np.int64)
    seen = picture_feeds(np.array(judged.pixels[:, -1]), STATE)
    pictures = [{"image": feed["image"]} for feed in seen]

    def by_chance(width: int, blocks: int) -> Speed:
        alone = resnet_to_onnx(small(width, blocks))
        return speed(alone, quantized(alone, pictures[:8], "resnet-int8"), pictures)

    found = scores(truth, after)
    report = Int8Report(
        calibration_pictures=len(feeds),
        scores=found,
        lost=round(scores(truth, before).accuracy - found.accuracy, 4),
        agreement=round(float((after == before).mean()), 4),
        resnet=speed(resnet_of(graph), resnet_of(variant), pictures),
        whole=speed(graph, variant, seen),
        bytes_before=graph.ByteSize(),
        bytes_after=variant.ByteSize(),
        sizes={f"{width}x{blocks}": by_chance(width, blocks) for width, blocks in _SIZES},
    )
    if report.lost > MOST_LOST or report.whole.times_faster < 1:
        raise ModelError(f"INT8 is not published: {msgspec.to_builtins(report)}")
    _store(repository, _served(INT8), variant, {**facts, "quantization": report, "quantized_by": _commit()}, curves)
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


def _commit() -> str:
    return commit_of(Path(__file__).parents[1])


def _served(name: str) -> Served:
    return Served(name, HEIGHT, WIDTH, ACTIVITIES, FPS, PAD, STATE)


def _store(repository: Path, served: Served, graph: ModelProto, facts: dict[str, Any], curves: bytes) -> None:
    raw = graph.SerializeToString(deterministic=True)
    family = "fusion" if served.name == NAME else "fusion-int8"
    card = own_card(served.name, family, "training/train_fusion.py", raw, facts)
    store_files(repository, raw, config_text(served), card, True, {f"1/{CURVES}": curves})
