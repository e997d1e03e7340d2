"""From checkpoints to the served model and its INT8 variant: export, judgement against the baseline, card, curves."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import onnx
import torch
from onnx import ModelProto

from simulator.actors import LABELS
from training.curves import curves_of, drawn
from training.hard_clips.clip_set import FPS, HEIGHT, PAD, WIDTH, clip_set
from training.hard_clips.eyes import bundled_eyes
from training.hard_clips.features import hardened
from training.hard_clips.gain import ALL
from training.hard_clips.judging import Floats, Judged, by_class, compared, judged, of_hidden, precisions, tabled
from training.hard_clips.plain import plain50
from training.hard_clips.sets import Sets, facts_of
from training.int8_publishing import store_variant
from training.int8_variant import SUFFIX, Int8Trial, in_bytes, tried
from training.model_card import own_card
from training.model_repository import CURVES, GRAPH, store_files
from training.raw_network import read_model
from training.speed import Feed
from training.trial import milliseconds, session
from training.two_streams.contract import OUTPUTS, Served, config_text
from training.two_streams.flows import watched
from training.two_streams.network import ENLARGED, FLOW, TwoStreams
from training.two_streams.onnx_graph import SUPPRESSION, to_onnx
from training.two_streams.report import HIDDEN, OCCLUDED, Report
from vision.optical_flow import Flow, Pixels, seen

NAME: Final = "junction-two-streams"
FAMILY: Final = "two-streams"
PARTS: Final = ("two-streams", "baseline")
_CALIBRATED_SCENES: Final = 8
Answers: TypeAlias = Callable[[Pixels, Flow], Floats]
"""pictures [N, H, W, 3] and what is known of their cameras [N, *FLOW] to rows [N, K, 6]"""


def served(name: str = NAME) -> Served:
    return Served(name, HEIGHT, WIDTH, LABELS, FPS, PAD, FLOW, SUPPRESSION.rows)


def publish(work: Path, repository: Path, sets: Sets, detector: Path) -> Report:
    """`detector`: the graph whose first stages were frozen. Raises OSError without checkpoints."""
    plain = onnx.load(detector)
    eyes = bundled_eyes(plain, ENLARGED)
    states = {part: torch.load(work / f"{part}.pt", weights_only=True) for part in PARTS}
    graphs: dict[str, ModelProto] = {}
    for part, state in states.items():
        network = TwoStreams(part == PARTS[0])
        network.load_state_dict(state["average"])
        graphs[part] = to_onnx(eyes, network, served())
    clips = clip_set(sets.judging, work)
    hard = judged(clips, [hardened(clips, sets.judging.seed, scene) for scene in range(sets.judging.scenes)])
    both = of_graph(graphs[PARTS[0]])
    raw = graphs[PARTS[0]].SerializeToString(deterministic=True)
    report = compare(hard, both, of_graph(graphs[PARTS[1]]), plain50(plain, hard), len(raw))
    facts = {
        **facts_of(states, sets, clips, detector),
        "parameters": sum(p.numel() for p in (*eyes.parameters(), *TwoStreams().parameters())),
        "result": report,
    }
    card = own_card(NAME, FAMILY, "training/train_two_streams.py", raw, facts)
    store_files(repository, raw, config_text(served()), card, True, {f"1/{CURVES}": drawn(NAME, curves_of(states))})
    return report


def publish_int8(work: Path, repository: Path, sets: Sets) -> tuple[Int8Trial, str | None]:
    """The variant of the published model, calibrated on what that has learnt from and judged on what it was; with why
    it is not written, where it does not pay. Raises ModelError where nothing is published."""
    graph = read_model(repository / NAME / "1" / GRAPH)
    learnt, clips = clip_set(sets.learning, work), clip_set(sets.judging, work)
    seen = _feeds([hardened(learnt, sets.learning.seed, scene).pixels for scene in range(_CALIBRATED_SCENES)])
    hard = judged(clips, [hardened(clips, sets.judging.seed, scene) for scene in range(sets.judging.scenes)])
    flows = [watched(one.pixels) for one in hard.hard]

    def judge(model: ModelProto) -> float:
        figures = precisions(tabled(_asked(of_graph(model), hard, flows), hard), hard.parts[ALL])
        return float(np.mean([each[0] for each in figures.values()]))

    variant = in_bytes(graph, seen, NAME + SUFFIX)
    trial = tried(graph, variant, seen, _feeds([hard.hard[0].pixels]), "mAP50", judge)
    return trial, store_variant(repository, NAME, config_text(served(NAME + SUFFIX)), variant, trial)


def _feeds(clips: Iterable[Pixels]) -> list[Feed]:
    """Every fourth picture of each clip [t, H, W, 3] with its flow."""
    return [
        {"image": pictures[index : index + 1], "flow": flows[index : index + 1]}
        for pictures, flows in ((pictures, watched(pictures)) for pictures in clips)
        for index in range(3, len(pictures), 4)
    ]


def compare(clips: Judged, both: Answers, baseline: Answers, plain: dict[str, float], size: int) -> Report:
    """`plain`: the bundled detector's mAP50; `size`: of the served graph, in bytes."""
    flows = [watched(one.pixels) for one in clips.hard]
    answers = [list(_asked(each, clips, flows)) for each in (both, baseline)]
    one, other = (tabled(rows, clips) for rows in answers)
    parts = {name: compared(one, other, part) for name, part in clips.parts.items()}
    alone, first, second = of_hidden(clips), *answers
    parts[HIDDEN] = compared(tabled(first, alone), tabled(second, alone), clips.parts[OCCLUDED])
    still = tabled(_asked(both, clips, [each * np.int8(0) for each in flows]), clips)
    picture, flow = clips.hard[0].pixels[1:2], flows[0][1:2]
    kept = seen(None, clips.hard[0].pixels[0])
    return Report(
        scenes=len(clips.hard),
        parts={name: figures for name, figures in parts.items() if figures is not None},
        plain50=plain,
        by_class=by_class(one, other, clips.parts[ALL]),
        still50=round(float(np.mean([each[0] for each in precisions(still, clips.parts[ALL]).values()])), 4),
        milliseconds=(milliseconds(partial(both, picture, flow)), milliseconds(partial(seen, kept, picture[0]))),
        bytes=size,
    )


def of_graph(graph: ModelProto) -> Answers:
    """By ONNX Runtime, as it is served."""
    running = session(graph.SerializeToString())

    def answers(pictures: Pixels, flow: Flow) -> Floats:
        return np.asarray(running.run(list(OUTPUTS), {"image": pictures, "flow": flow})[0])

    return answers


def _asked(answers: Answers, clips: Judged, flows: Sequence[Flow]) -> Iterator[Floats]:
    """Each picture in turn, of all scenes at once."""
    for index in range(len(clips.truth[0])):
        yield answers(np.stack([one.pixels[index] for one in clips.hard]), np.stack([each[index] for each in flows]))
