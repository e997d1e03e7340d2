"""From checkpoints to the served model: export, judgement against the baseline, card and curves."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import onnx
import torch
from onnx import ModelProto

from simulator.actors import LABELS
from training.curves import CURVES, curves_of, drawn
from training.hard_clips.clip_set import FPS, HEIGHT, PAD, WIDTH, clip_set
from training.hard_clips.eyes import bundled_eyes
from training.hard_clips.features import hardened
from training.hard_clips.gain import ALL
from training.hard_clips.judging import Floats, Judged, by_class, compared, judged, of_hidden, precisions, tabled
from training.hard_clips.sets import Sets, facts_of
from training.model_card import own_card
from training.model_repository import store_files
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
Answers: TypeAlias = Callable[[Pixels, Flow], Floats]
"""pictures [N, H, W, 3] and what is known of their cameras [N, *FLOW] to rows [N, K, 6]"""


def served(name: str = NAME) -> Served:
    return Served(name, HEIGHT, WIDTH, LABELS, FPS, PAD, FLOW, SUPPRESSION.rows)


def publish(work: Path, repository: Path, sets: Sets, detector: Path) -> Report:
    """`detector`: the graph whose first stages were frozen. Raises OSError without checkpoints."""
    eyes = bundled_eyes(onnx.load(detector), ENLARGED)
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
    report = compare(hard, both, of_graph(graphs[PARTS[1]]), len(raw))
    facts = {
        **facts_of(states, sets, clips, detector),
        "parameters": sum(p.numel() for p in (*eyes.parameters(), *TwoStreams().parameters())),
        "result": report,
    }
    card = own_card(NAME, FAMILY, "training/train_two_streams.py", raw, facts)
    store_files(repository, raw, config_text(served()), card, True, {f"1/{CURVES}": drawn(NAME, curves_of(states))})
    return report


def compare(clips: Judged, both: Answers, baseline: Answers, size: int) -> Report:
    """`size`: of the served graph, in bytes."""
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
