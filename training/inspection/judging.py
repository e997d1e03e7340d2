"""How good the cascade is on lines that it has not learnt from, and what two simpler ways would do there."""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from simulator.line.defect import KINDS
from simulator.line.design import PIXELS_PER_MM, SIDE
from simulator.line.truth import filled
from training.inspection.answers import Answers
from training.inspection.calibration import Calibration, upper_bound
from training.inspection.part_set import PartSet
from vision.inspection import located, located_pixels

DEFECTIVE_SHARE = 0.1
"""of parts, for what a part costs on average"""
_LEVELS = range(6, 120, 6)


class Rates(Struct, frozen=True):
    """One way of telling parts at its own threshold. Shares of good parts: `passed` without the locator, `alarms`
    found defective. Of defective ones: `missed`, and the Clopper-Pearson bound of that (95%)."""

    threshold: float
    passed: float
    alarms: float
    missed: float
    misses: int
    bound: float
    milliseconds: float
    """of one core, per part, one in ten being defective"""


class Localisation(Struct, frozen=True):
    """Of defects in parts that were found: the share with a find on them, the pixels' overlap per part (intersection
    over union, mean), the distance from centre to centre of those found, millimetres."""

    found: float
    iou: float
    centre_mm_median: float
    centre_mm_p95: float


class Report(Struct, frozen=True):
    """`parts`: good and defective ones judged; `by_kind`: share of defects found; `by_size`: of all defects of one
    size in millimetres, per kind."""

    parts: tuple[int, int]
    cascade: Rates
    missed_by_screen: float
    locator_alone: Rates
    background_difference: Rates
    localisation: Localisation
    by_kind: dict[str, float]
    by_size: dict[str, dict[str, float]]
    missed_anywhere: float
    """of defective parts whose defects may lie on the print"""
    screen_ms: float
    locator_ms: float
    plain_iou: float
    """the pixels' overlap of the difference to the background, of all defective parts"""


def rates(scores: NDArray[np.float64], parts: PartSet, passes: NDArray[np.bool_], threshold: float, ms: float) -> Rates:
    """`scores` [n]: defective from the threshold on; `passes` [n]: parts that never came before the locator."""
    bad = parts.defective
    misses = int((scores[bad] < threshold).sum())
    return Rates(
        threshold=round(threshold, 6),
        passed=_share(passes[~bad]),
        alarms=_share(scores[~bad] >= threshold),
        missed=round(misses / int(bad.sum()), 5),
        misses=misses,
        bound=round(upper_bound(misses, int(bad.sum())), 5),
        milliseconds=ms,
    )


def cascade_rates(answers: Answers, parts: PartSet, calibration: Calibration, screen_ms: float, ms: float) -> Rates:
    """`ms`: the locator's."""
    threshold = calibration.threshold
    passes = answers.screen < threshold
    bad = parts.defective
    asked = DEFECTIVE_SHARE * _share(~passes[bad]) + (1 - DEFECTIVE_SHARE) * _share(~passes[~bad])
    return rates(answers.cascade, parts, passes, threshold, round(screen_ms + asked * ms, 3))


def localisation(answers: Answers, parts: PartSet, threshold: float) -> tuple[Localisation, dict[str, float]]:
    """And the share of defects found, by kind; a part that is missed counts there as not found."""
    overlaps, distances, hits = [], [], {kind: [0, 0] for kind in KINDS}
    told = 0
    for index, truth in enumerate(parts.truths):
        if truth.good:
            continue
        bad = answers.cascade[index] >= threshold
        found = located(answers.maps[index], threshold, PIXELS_PER_MM) if bad else ()
        if bad:
            ours, true = located_pixels(answers.maps[index], threshold), parts.masks[index] > 0
            overlaps.append((ours & true).sum() / (ours | true).sum())
        for defect in truth.defects:
            rows, columns = np.nonzero(filled(defect, SIDE, SIDE))
            centre = (np.array([columns.mean(), rows.mean()]) + 0.5) / PIXELS_PER_MM
            left, top, right, bottom = defect.box
            # touching by a pixel or two is near enough to call it this defect
            near = [
                float(np.hypot(*(centre - one.centre_mm)))
                for one in found
                if one.box[0] <= right and one.box[2] >= left and one.box[1] <= bottom and one.box[3] >= top
            ]
            told += bool(bad)
            hits[defect.kind][0] += bool(near)
            hits[defect.kind][1] += 1
            if near:
                distances.append(min(near))
    where = Localisation(
        found=round(sum(hit for hit, _ in hits.values()) / max(1, told), 4),
        iou=round(float(np.mean(overlaps)), 4),
        centre_mm_median=round(float(np.median(distances)), 4),
        centre_mm_p95=round(float(np.percentile(distances, 95)), 4),
    )
    return where, {kind: round(hit / count, 4) for kind, (hit, count) in hits.items() if count}


def plain_overlap(known: Answers, parts: PartSet, answers: Answers, judged: PartSet) -> float:
    """The overlap that the baseline reaches by the level that is best on parts that are not judged."""
    level = max(_LEVELS, key=lambda each: _overlap(known, parts, each))
    return round(_overlap(answers, judged, level), 4)


def _overlap(answers: Answers, parts: PartSet, level: int) -> float:
    bad = parts.defective
    ours, true = answers.differences[bad] >= level, parts.masks[bad] > 0
    return float(np.mean((ours & true).sum(axis=(1, 2)) / (ours | true).sum(axis=(1, 2))))


def found_by_kind(answers: Answers, parts: PartSet, threshold: float) -> dict[str, float]:
    """The share of parts found defective, by the kind of their first defect."""
    kinds = np.array([truth.defects[0].kind if truth.defects else "" for truth in parts.truths])
    return {kind: _share(answers.cascade[kinds == kind] >= threshold) for kind in KINDS if (kinds == kind).any()}


def _share(of: NDArray[np.bool_]) -> float:
    return round(float(np.mean(of)), 4)
