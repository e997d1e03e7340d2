"""How good a served detector is on labelled pictures: average precision overall, by variant, by class."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from msgspec import Struct

from training.average_precision import Found, Objects, Precision, average_precision
from training.contract import INPUT, OUTPUT, ServedModel
from training.samples import Sample, SampleSet
from training.trial import session

_T = TypeVar("_T")

NEAR = 16
"""pixels; about what lies between the camera and the far side of a junction"""


class Report(Struct, frozen=True):
    """Figures for a model card."""

    pictures: int
    objects: int
    map50: float
    map50_95: float
    near: dict[str, float]
    """the same of objects at least `NEAR` pixels high; smaller ones are neither wanted nor held against it"""
    by_variant: dict[str, dict[str, float]]
    by_class: dict[str, float]
    """mAP50-95"""


def evaluate(model: ServedModel, samples: SampleSet, threads: int = 1) -> Report:
    """Runs the model on every sample; the samples have the model's input size."""
    running = session(model.graph.SerializeToString(), threads)
    truth: list[Objects] = []
    found: list[Found] = []
    for index in range(len(samples)):
        sample = samples[index]
        rows = np.asarray(running.run([OUTPUT], {INPUT: sample.pixels[None]})[0])[0]
        truth.append(_objects(sample))
        found.append(_found(rows))
    overall = average_precision(truth, found)
    near = average_precision([_without_far(t) for t in truth], found)
    variants = {}
    for variant in dict.fromkeys(samples.variants):
        own = [i for i, v in enumerate(samples.variants) if v == variant]
        variants[variant] = _figures(average_precision(_pick(truth, own), _pick(found, own)))
    return Report(
        pictures=len(samples),
        objects=len(samples.labels),
        **_figures(overall),
        near=_figures(near),
        by_variant=variants,
        by_class={model.detector.labels[k]: round(v, 4) for k, v in overall.by_class.items()},
    )


def _figures(precision: Precision) -> dict[str, float]:
    return {"map50": round(precision.map50, 4), "map50_95": round(precision.map50_95, 4)}


def _pick(items: Sequence[_T], indices: Sequence[int]) -> list[_T]:
    return [items[i] for i in indices]


def _objects(sample: Sample) -> Objects:
    count = len(sample.labels)
    return Objects(sample.boxes.astype(np.float64), sample.labels, np.zeros(count, bool))


def _without_far(objects: Objects) -> Objects:
    far = objects.boxes[:, 3] - objects.boxes[:, 1] < NEAR
    return Objects(objects.boxes, objects.labels, far)


def _found(rows: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Found:
    used = rows[rows[:, 4] > 0].astype(np.float64)
    return Found(used[:, :4], used[:, 4], used[:, 5].astype(np.int64))
