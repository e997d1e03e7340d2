# mypy: allow-untyped-decorators
# (torch is an extra: where it is missing, its types are unknown)
"""From an order to everything that learning needs: samples, classes, a network and where it begins."""

import hashlib
from pathlib import Path
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from onnx import ModelProto

from training.contract import Detector, ModelError, Suppression
from training.course.hyperparameters import USUAL, USUAL_ON, Hyperparameters
from training.course.labelled import PAD, Labelled, read_labelled, samples_of, size_for
from training.course.order import Order
from training.course.record import Basis
from training.datasets.split import Part
from training.detection_lesson import DetectionLesson, Rehearsal, crop_for
from training.families.sides import FAMILY
from training.model_repository import GRAPH, StoredModel, check_name, check_version, load
from training.network import JunctionYolo
from training.raw_network import read_model
from training.rebuilding import rebuild
from training.samples import SampleSet
from training.served_graph import MAX_BATCH
from training.trainer import Recipe, Trainer

FLOAT_GRAPH: Final = "float32.onnx"
"""beside a version that is served in INT8: what it was made of"""
_STEPS, _STEPS_ON = 1500, 600
_WARMUP, _WARMUP_ON = 100, 20
"""both from nothing, and from a model; not by the number of steps, which may change on the way"""
_MEASURED: Final = 64
"""pictures over which a rebuilt network's norms are measured"""


class Start(Struct, frozen=True):
    """A stored model to go on from: its float32 graph and its labels."""

    name: str
    version: int
    graph: ModelProto
    labels: tuple[str, ...]
    size: tuple[int, int]
    sha256: str


class Prepared(Struct, frozen=True):
    """`old` is the labelled folder to rehearse with."""

    order: Order
    new: Labelled
    old: Labelled | None
    start: Start | None
    classes: tuple[str, ...]
    size: tuple[int, int]
    basis: Basis
    samples: Path
    """folder of the letterboxed pictures"""

    def part(self, labelled: Labelled, part: Part) -> SampleSet:
        return samples_of(labelled, part, self.classes, self.size, self.samples)


def prepare(order: Order, repository: Path, work: Path) -> Prepared:
    """Reads and checks; nothing is learnt yet.

    Raises DatasetError, SplitError, LeakError, PictureError, and ModelError for a name, size or classes that could not
    be published later.
    """
    check_name(order.name)
    stored = load(repository / order.name) if (repository / order.name).exists() else None
    start = None if order.start is None else _start(order.start)
    new = read_labelled(order.folder, order.format, order.seed)
    old = None if order.rehearse is None else read_labelled(order.rehearse, None, order.seed)
    classes = _classes(new, old, start, stored)
    size = order.size or _size(stored, start) or size_for(new.dataset)
    if any(side % 32 or not 64 <= side <= 2048 for side in size):
        raise ModelError(f"a size of {size[0]}x{size[1]}: multiples of 32 from 64 to 2048 are wanted")
    if stored is not None:
        check_version(stored, _detector(order.name, classes, size))
    recipe = order.recipe or usual(start)
    basis = Basis(
        data=new.sha256,
        size=size,
        classes=classes,
        start=start.sha256 if start else "",
        rehearsal=old.sha256 if old else "",
        rehearse_share=order.rehearse_share if old else 0.0,
        steps=order.steps or (_STEPS_ON if start else _STEPS),
        batch=order.batch,
        peak_rate=order.peak_rate or recipe.peak_rate,
        seed=order.seed,
        threads=order.threads,
        weight_decay=recipe.weight_decay,
        plain_share=recipe.plain_share,
        average_decay=order.recipe.average_decay if order.recipe else None,
        variation=recipe.variation,
    )
    return Prepared(order, new, old, start, classes, size, basis, work / "samples")


def usual(start: Start | None) -> Hyperparameters:
    return USUAL_ON if start else USUAL


def trainer_of(prepared: Prepared) -> Trainer:
    """At its first step."""
    basis = prepared.basis
    decay = basis.average_decay
    recipe = Recipe(
        seed=basis.seed,
        steps=basis.steps,
        batch=basis.batch,
        peak_rate=basis.peak_rate,
        weight_decay=basis.weight_decay,
        warmup_steps=_WARMUP_ON if prepared.start else _WARMUP,
        plain_share=basis.plain_share,
        average_decay=usual(prepared.start).average_decay if decay is None else decay,
    )
    crop = crop_for(*basis.size)
    learnt = prepared.part(prepared.new, "train")
    new = DetectionLesson(learnt, crop, basis.variation)
    lesson: DetectionLesson | Rehearsal = new
    shown = _some(learnt)
    if prepared.old is not None:
        known = prepared.part(prepared.old, "train")
        lesson = Rehearsal(new, DetectionLesson(known, crop, basis.variation), basis.rehearse_share)
        shown = np.concatenate([shown, _some(known)])

    def network() -> JunctionYolo:
        made = JunctionYolo(len(prepared.classes))
        if prepared.start is not None:
            rebuild(made, prepared.classes, prepared.start.graph, prepared.start.labels, shown)
        return made

    return Trainer(recipe, network, lesson)


def _some(samples: SampleSet) -> NDArray[np.uint8]:
    return np.asarray(samples.pixels[:: max(1, len(samples) // _MEASURED)][:_MEASURED])


def _start(folder: Path) -> Start:
    """Raises ModelError for a model of another network."""
    stored = load(folder)
    if stored.detector.family != FAMILY.name:
        what = f"{stored.detector.name} is of the family {stored.detector.family}"
        raise ModelError(f"{what}: only models that were trained here ({FAMILY.name}) can be gone on from")
    kept = stored.graph.with_name(FLOAT_GRAPH)
    graph = read_model(kept if kept.is_file() else stored.graph)
    if any(node.op_type == "QuantizeLinear" for node in graph.graph.node):
        what = f"{stored.detector.name} is quantised, and no {FLOAT_GRAPH} lies beside its {GRAPH}"
        raise ModelError(f"{what}: go on from its original")
    detector = stored.detector
    sha256 = hashlib.sha256(graph.SerializeToString(deterministic=True)).hexdigest()
    return Start(detector.name, stored.live, graph, detector.labels, (detector.width, detector.height), sha256)


def _classes(new: Labelled, old: Labelled | None, start: Start | None, stored: StoredModel | None) -> tuple[str, ...]:
    """The stored model's, or those of the one to go on from, where they name all there is; otherwise the folders'."""
    wanted = dict.fromkeys([*new.dataset.classes, *(old.dataset.classes if old else ())])
    for known in (stored.detector.labels if stored else (), start.labels if start else ()):
        if wanted.keys() <= set(known):
            return tuple(known)
    return tuple(wanted)


def _size(stored: StoredModel | None, start: Start | None) -> tuple[int, int] | None:
    if stored is not None:
        return stored.detector.width, stored.detector.height
    return start.size if start else None


def _detector(name: str, classes: tuple[str, ...], size: tuple[int, int]) -> Detector:
    rows = Suppression().rows
    return Detector(name, FAMILY.name, *size, classes, FAMILY.letterbox, PAD, rows, MAX_BATCH)
