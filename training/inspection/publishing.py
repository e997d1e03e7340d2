# mypy: allow-untyped-decorators
# (torch is an extra: where it is missing, its types are unknown)
"""From checkpoints to served models and their INT8 variants: export, threshold, judgement, cards and curves."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from msgspec import Struct
from onnx import ModelProto

from training.curves import drawn, losses
from training.inspection.answers import Answers, ask, background_difference, milliseconds
from training.inspection.calibration import Calibration, allowed, calibrate
from training.inspection.contract import INPUT, Role, Served, config_text
from training.inspection.judging import (
    Rates,
    Report,
    cascade_rates,
    found_by_kind,
    localisation,
    plain_overlap,
    rates,
)
from training.inspection.levelling import Level, level
from training.inspection.network import Locator, Screen
from training.inspection.onnx_graph import to_onnx
from training.inspection.part_set import PartSet, Rendering, part_set
from training.int8_publishing import note, store_variant
from training.int8_variant import SUFFIX, Int8Trial, in_bytes
from training.model_card import own_card
from training.model_repository import CURVES, GRAPH, store_files
from training.provenance import commit_of
from training.raw_network import read_model
from training.speed import Feed, speed
from training.trainer import to_tensor
from training.trial import session

NAMES: Final[dict[Role, str]] = {"screen": "inspection-screen", "locator": "inspection-locator"}
_SIZES: Final = (0.1, 0.15, 0.2, 0.3)
_PER_SIZE: Final = 60
_AT_ONCE: Final = 20
_CALIBRATED: Final = 400
_JUDGED_BY: Final[tuple[tuple[Role, str, Callable[[Report], float]], ...]] = (
    ("screen", "share passed at once", lambda report: report.cascade.passed),
    ("locator", "overlap of pixels", lambda report: report.localisation.iou),
)


class Sets(Struct, frozen=True):
    """The parts that were learnt from, those that the networks are levelled on, those that the threshold is chosen on,
    and those that it is judged on."""

    learning: Rendering
    levelling: Rendering
    calibration: Rendering
    judging: Rendering
    anywhere: Rendering
    """defective parts whose defects may lie on the print"""
    sized: int
    """seed of the parts with defects of one size"""


def publish(work: Path, repository: Path, sets: Sets, miss_rate: float) -> Report:
    """Writes both models. Raises OSError without checkpoints, CalibrationError where the miss rate cannot be proved."""
    networks: dict[Role, torch.nn.Module] = {"screen": Screen(), "locator": Locator()}
    states = {role: torch.load(work / f"{role}.pt", weights_only=True) for role in networks}
    for role, network in networks.items():
        network.load_state_dict(states[role]["average"])
    share = max(0, allowed(sets.calibration.count, miss_rate)) / sets.calibration.count
    levelled = _level(networks, part_set(sets.levelling, work), share)
    graphs = {role: to_onnx(network, Served(NAMES[role], role, 0.0)) for role, network in networks.items()}
    judged = _judge(graphs, sets, work, miss_rate)
    for role in networks:
        facts = {
            "commit": commit_of(Path(__file__).parents[1]),
            "recipe": states[role]["recipe"],
            "steps": states[role]["step"],
            "ends": states[role]["ends"],
            "parameters": sum(p.numel() for p in networks[role].parameters()),
            "learnt_from_sha256": states[role]["data"],
            "calibrated_on": _told(sets.calibration, work),
            "judged_on": _told(sets.judging, work),
            "levelled_on": {"rendering": sets.levelling, "result": levelled},
            "calibration": judged.calibration,
            "result": judged.report,
        }
        raw = graphs[role].SerializeToString(deterministic=True)
        served = Served(NAMES[role], role, judged.calibration.threshold)
        card = own_card(served.name, f"inspection-{role}", "training/train_inspection.py", raw, facts)
        curves = drawn(served.name, losses(states[role]["curve"]))
        store_files(repository, raw, config_text(served), card, True, {f"1/{CURVES}": curves})
    return judged.report


def publish_int8(
    work: Path, repository: Path, sets: Sets, miss_rate: float
) -> tuple[dict[Role, Int8Trial], str | None]:
    """The variants of the published models, which share a threshold of their own; calibrated on what those have learnt
    from and judged on what they were; with why they are not written, where one of them does not pay. Raises as
    `publish` does, and ModelError where nothing is published."""
    graphs = {role: read_model(repository / name / "1" / GRAPH) for role, name in NAMES.items()}
    learnt, timed = part_set(sets.learning, work), _feeds(part_set(sets.judging, work), _CALIBRATED)
    feeds = _feeds(learnt, _CALIBRATED)
    variants = {role: in_bytes(graph, feeds, NAMES[role] + SUFFIX, whole_range=True) for role, graph in graphs.items()}
    before, after = (_judge(each, sets, work, miss_rate) for each in (graphs, variants))
    trials = {
        role: Int8Trial(
            calibration_pictures=len(feeds),
            judged_by=judged_by,
            before=figure(before.report),
            after=figure(after.report),
            speed=speed(graphs[role], variants[role], timed),
            bytes_before=graphs[role].ByteSize(),
            bytes_after=variants[role].ByteSize(),
        )
        for role, judged_by, figure in _JUDGED_BY
    }
    objection = next((trial.objection for trial in trials.values() if trial.objection), None)
    for role, trial in trials.items():
        if objection:
            note(repository, NAMES[role], trial)
            continue
        served = Served(NAMES[role] + SUFFIX, role, after.calibration.threshold)
        facts = {"calibration": after.calibration, "result": after.report}
        store_variant(repository, NAMES[role], config_text(served), variants[role], trial, facts)
    return trials, objection


def _feeds(parts: PartSet, count: int) -> list[Feed]:
    """Every so many-th part."""
    return [{INPUT: np.array(parts.pixels[at : at + 1])} for at in range(0, len(parts), max(1, len(parts) // count))]


class _Judged(Struct, frozen=True):
    calibration: Calibration
    report: Report


def _judge(graphs: Mapping[Role, ModelProto], sets: Sets, work: Path, miss_rate: float) -> _Judged:
    """The cascade of these graphs at the threshold that is chosen for it. Raises CalibrationError."""
    screen, locator = (session(graphs[role].SerializeToString()) for role in NAMES)
    parts = part_set(sets.calibration, work)
    known = ask(screen, locator, parts)
    bad = parts.defective
    calibration = calibrate(known.cascade[bad], miss_rate)
    judged = part_set(sets.judging, work)
    answers = ask(screen, locator, judged)
    one = judged.pixels[:1].copy()
    report = _report(
        answers,
        judged,
        calibration,
        calibrate(known.best[bad], miss_rate),
        calibrate(known.plain[bad], miss_rate),
        (
            milliseconds(lambda: screen.run(None, {INPUT: one})),
            milliseconds(lambda: locator.run(None, {INPUT: one})),
            milliseconds(lambda: background_difference(one[0])),
        ),
        plain_overlap(known, parts, answers, judged),
        _by_size(screen, locator, work, sets.sized, calibration.threshold),
        _missed(screen, locator, part_set(sets.anywhere, work), calibration.threshold),
    )
    return _Judged(calibration, report)


def _told(rendering: Rendering, work: Path) -> dict[str, Any]:
    parts = part_set(rendering, work)
    return {"rendering": rendering, "sha256": parts.sha256, "simulator": parts.commit}


@torch.no_grad()
def _level(networks: dict[Role, torch.nn.Module], parts: PartSet, missed: float) -> Level:
    """Shifts the locator's logits. It is known before any part is calibrated on, so that the promise stays one."""
    worst: dict[Role, list[float]] = {role: [] for role in networks}
    for role, network in networks.items():
        network.eval()
        for start in range(0, len(parts), _AT_ONCE):
            pixels = np.array(parts.pixels[start : start + _AT_ONCE])
            worst[role] += network(to_tensor(pixels)).amax(dim=(1, 2)).tolist()
    chosen = level(np.array(worst["screen"]), np.array(worst["locator"]), parts.defective, missed)
    locator = networks["locator"]
    assert isinstance(locator, Locator)
    assert locator.head.bias is not None
    locator.head.bias += chosen.shift
    return chosen


def _report(
    answers: Answers,
    parts: PartSet,
    calibration: Calibration,
    alone: Calibration,
    plain: Calibration,
    costs: tuple[float, float, float],
    plain_iou: float,
    by_size: dict[str, dict[str, float]],
    missed_anywhere: float,
) -> Report:
    screen_ms, locator_ms, plain_ms = costs
    threshold = calibration.threshold
    where, by_kind = localisation(answers, parts, threshold)
    bad = parts.defective

    def single(scores: Any, chosen: Calibration, ms: float) -> Rates:
        return rates(scores, parts, scores < chosen.threshold, chosen.threshold, ms)

    return Report(
        parts=(int((~bad).sum()), int(bad.sum())),
        cascade=cascade_rates(answers, parts, calibration, screen_ms, locator_ms),
        missed_by_screen=round(float((answers.screen[bad] < threshold).mean()), 5),
        locator_alone=single(answers.best, alone, locator_ms),
        background_difference=single(answers.plain, plain, plain_ms),
        localisation=where,
        plain_iou=plain_iou,
        by_kind=by_kind,
        by_size=by_size,
        missed_anywhere=round(missed_anywhere, 4),
        screen_ms=screen_ms,
        locator_ms=locator_ms,
    )


def _missed(screen: Any, locator: Any, parts: PartSet, threshold: float) -> float:
    answers = ask(screen, locator, parts)
    return float((answers.cascade[parts.defective] < threshold).mean())


def _by_size(screen: Any, locator: Any, work: Path, seed: int, threshold: float) -> dict[str, dict[str, float]]:
    """What becomes of parts whose defects all have one size: where the camera's scale ends."""
    found = {}
    for place, size in enumerate(_SIZES):
        parts = part_set(Rendering(seed + place, _PER_SIZE, 1.0, (size, size), True), work)
        found[f"{size:g}"] = found_by_kind(ask(screen, locator, parts), parts, threshold)
    return found
