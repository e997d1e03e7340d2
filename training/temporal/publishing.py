"""From checkpoints to the served model and its INT8 variant: export, judgement against the baseline, card, curves."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import ModelProto

from simulator.actors import LABELS
from training.curves import curves_of, drawn
from training.hard_clips.clip_set import FPS, HEIGHT, PAD, WIDTH, clip_set
from training.hard_clips.eyes import bundled_eyes
from training.hard_clips.features import hardened
from training.hard_clips.gain import ALL
from training.hard_clips.judging import Floats, Step, by_class, compared, judged, precisions, watch
from training.hard_clips.plain import plain50
from training.hard_clips.sets import Sets, facts_of
from training.int8_publishing import store_variant
from training.int8_variant import SUFFIX, Int8Trial, in_bytes, tried
from training.model_card import own_card
from training.model_repository import CURVES, GRAPH, store_files
from training.raw_network import read_model
from training.speed import Feed
from training.temporal.contract import OUTPUTS, Served, config_text
from training.temporal.network import ENLARGED, MEMORY, Temporal
from training.temporal.onnx_graph import SUPPRESSION, to_onnx
from training.temporal.report import Report
from training.trial import milliseconds, session

NAME: Final = "junction-temporal"
FAMILY: Final = "temporal"
PARTS: Final = ("temporal", "baseline")
_CALIBRATED_SCENES: Final = 8


def served(name: str = NAME) -> Served:
    return Served(name, HEIGHT, WIDTH, LABELS, FPS, PAD, MEMORY, SUPPRESSION.rows)


def publish(work: Path, repository: Path, sets: Sets, detector: Path) -> Report:
    """`detector`: the graph whose first stages were frozen. Raises OSError without checkpoints."""
    plain = onnx.load(detector)
    eyes = bundled_eyes(plain, ENLARGED)
    states = {part: torch.load(work / f"{part}.pt", weights_only=True) for part in PARTS}
    graphs: dict[str, ModelProto] = {}
    for part, state in states.items():
        network = Temporal(part == "temporal")
        network.load_state_dict(state["average"])
        graphs[part] = to_onnx(eyes, network, served())
    clips = clip_set(sets.judging, work)
    hard = judged(clips, [hardened(clips, sets.judging.seed, scene) for scene in range(sets.judging.scenes)])
    one, other = (watch(of_graph(graphs[part]), hard, MEMORY) for part in PARTS)
    parts = {name: compared(one, other, part) for name, part in hard.parts.items()}
    raw = graphs["temporal"].SerializeToString(deterministic=True)
    picture = hard.hard[0].pixels[:1]
    report = Report(
        scenes=len(hard.hard),
        parts={name: figures for name, figures in parts.items() if figures is not None},
        plain50=plain50(plain, hard),
        by_class=by_class(one, other, hard.parts[ALL]),
        milliseconds=(_milliseconds(graphs["temporal"], picture), _milliseconds(graphs["baseline"], picture)),
        bytes=len(raw),
    )
    facts = {
        **facts_of(states, sets, clips, detector),
        "parameters": sum(p.numel() for p in (*eyes.parameters(), *Temporal().parameters())),
        "result": report,
    }
    card = own_card(NAME, FAMILY, "training/train_temporal.py", raw, facts)
    store_files(repository, raw, config_text(served()), card, True, {f"1/{CURVES}": drawn(NAME, curves_of(states))})
    return report


def publish_int8(work: Path, repository: Path, sets: Sets) -> tuple[Int8Trial, str | None]:
    """The variant of the published model, calibrated on what that has learnt from and judged on what it was; with why
    it is not written, where it does not pay. Raises ModelError where nothing is published."""
    graph = read_model(repository / NAME / "1" / GRAPH)
    learnt, clips = clip_set(sets.learning, work), clip_set(sets.judging, work)
    seen = _feeds(graph, [hardened(learnt, sets.learning.seed, scene).pixels for scene in range(_CALIBRATED_SCENES)])
    hard = judged(clips, [hardened(clips, sets.judging.seed, scene) for scene in range(sets.judging.scenes)])

    def judge(model: ModelProto) -> float:
        figures = precisions(watch(of_graph(model), hard, MEMORY), hard.parts[ALL])
        return float(np.mean([each[0] for each in figures.values()]))

    variant = in_bytes(graph, seen, NAME + SUFFIX)
    trial = tried(graph, variant, seen, _feeds(graph, [hard.hard[0].pixels]), "mAP50", judge)
    return trial, store_variant(repository, NAME, config_text(served(NAME + SUFFIX)), variant, trial)


def _feeds(graph: ModelProto, clips: Iterable[NDArray[np.uint8]]) -> list[Feed]:
    """Every fourth picture of each clip [t, H, W, 3] with what is remembered by then."""
    step = of_graph(graph)
    feeds: list[Feed] = []
    for pictures in clips:
        memory = np.zeros((1, *MEMORY), np.float32)
        for index, picture in enumerate(pictures):
            if index % 4 == 3:
                feeds.append({"image": picture[None], "memory": memory})
            _, memory = step(picture[None], memory)
    return feeds


def of_graph(graph: ModelProto) -> Step:
    """By ONNX Runtime, as it is served; the baseline has no memory and leaves what it is given as it is."""
    running = session(graph.SerializeToString())
    remembers = len(graph.graph.input) > 1

    def step(pictures: NDArray[np.uint8], memory: Floats) -> tuple[Floats, Floats]:
        if not remembers:
            return np.asarray(running.run(list(OUTPUTS[:1]), {"image": pictures})[0]), memory
        rows, kept = (np.asarray(x) for x in running.run(list(OUTPUTS), {"image": pictures, "memory": memory}))
        return rows, kept

    return step


def _milliseconds(graph: ModelProto, picture: NDArray[np.uint8]) -> float:
    return milliseconds(partial(of_graph(graph), picture, np.zeros((1, *MEMORY), np.float32)))
