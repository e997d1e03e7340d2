"""From the trained network to a version in the model repository: judged, quantised where that pays, with its card."""

import hashlib
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from msgspec import Struct

from training.audience import Audience
from training.contract import ModelError, ServedModel
from training.course.learning import served
from training.course.preparation import FLOAT_GRAPH, Prepared, trainer_of
from training.course.record import Record
from training.curves import drawn, losses
from training.datasets.split import PARTS
from training.evaluation import Report, evaluate
from training.model_card import ModelCard
from training.model_repository import CURVES, add_version, store
from training.provenance import commit_of
from training.quantization import Data, Floor, Quantization, quantize
from training.samples import SampleSet
from training.trainer import Trainer
from training.trial import try_out

_CALIBRATED_ON: Final = 128


class Figures(Struct, frozen=True):
    """On pictures of a test part, which nothing was learnt from or chosen by."""

    pictures: int
    objects: int
    map50: float
    map50_95: float
    by_class: dict[str, float]
    """mAP50-95"""


class Judgement(Struct, frozen=True):
    """`test` is of what is served. `start`, `rehearsed_start` and `rehearsed` only where it went on from a model, and
    where old pictures were rehearsed: the model before on the new test part, then both on the old one."""

    test: Figures
    start: Figures | None = None
    rehearsed_start: Figures | None = None
    rehearsed: Figures | None = None


class Product(Struct, frozen=True):
    """What is to be published, and what is said of it. `quantization` is None where float32 is served, for the reason
    in `float32_because`."""

    model: ServedModel
    card: ModelCard
    beside: dict[str, bytes]
    judgement: Judgement
    quantization: Quantization | None
    float32_because: str


def produce(prepared: Prepared, trainer: Trainer, record: Record, audience: Audience) -> Product:
    """Raises ModelError for a model that finds too little to be published."""
    plain = served(trainer.average, prepared)
    note = try_out(plain)
    test = prepared.part(prepared.new, "test")
    reached = _figures(evaluate(plain, test))
    audience.say(f"mAP50 {reached.map50:.3f}, mAP50-95 {reached.map50_95:.3f} on the test part, in float32")
    if reached.map50 < prepared.order.at_least:
        wanted = prepared.order.at_least
        raise ModelError(f"mAP50 is {reached.map50:.3f} on the test part, less than {wanted:g}: not published")
    model, quantization, why = _quantised(prepared, plain, audience)
    judgement = _judged(prepared, model, test)
    beside = {CURVES: drawn(prepared.order.name, losses(trainer.curve), record.judged)}
    if quantization is not None:
        beside[FLOAT_GRAPH] = plain.graph.SerializeToString(deterministic=True)
    facts = _facts(prepared, trainer, record, judgement)
    facts |= {"quantization": quantization} if quantization else {"float32_because": why}
    return Product(model, _card(prepared, plain, model, note, facts), beside, judgement, quantization, why)


def publish(repository: Path, product: Product) -> int:
    """As the model's first version, or as its next; returns the number. Raises ModelError, and OSError when it cannot
    be written; the repository is then as it was."""
    folder = repository / product.model.detector.name
    if not folder.exists():
        try:
            store(repository, product.model, product.card, beside=product.beside)
            return 1
        except ModelError:
            # somebody else was first
            if not folder.exists():
                raise
    return add_version(repository, product.model, product.card, product.beside)


def _quantised(
    prepared: Prepared, plain: ServedModel, audience: Audience
) -> tuple[ServedModel, Quantization | None, str]:
    """INT8 where it pays; chosen by the validation part, so that the test part has no say."""
    order, validation = prepared.order, prepared.part(prepared.new, "validation")
    learnt = prepared.part(prepared.new, "train")
    pictures = np.array(learnt.pixels[:: max(1, len(learnt) // _CALIBRATED_ON)][:_CALIBRATED_ON])
    data = Data(pictures, f"{order.folder.name}, train", f"{order.folder.name}, validation", "mAP50-95")
    floor = Floor(order.times_faster, order.kept)
    try:
        made = quantize(
            plain, order.name, data, lambda model: evaluate(model, validation).map50_95, floor, audience.say
        )
        return *made, ""
    except ModelError as refused:
        audience.say(f"served in float32: {refused}")
        return plain, None, str(refused)


def _judged(prepared: Prepared, model: ServedModel, test: SampleSet) -> Judgement:
    if prepared.start is None:
        return Judgement(_figures(evaluate(model, test)))
    before = served(trainer_of(prepared).average, prepared)
    start = _figures(evaluate(before, test))
    if prepared.old is None:
        return Judgement(_figures(evaluate(model, test)), start)
    old = prepared.part(prepared.old, "test")
    return Judgement(
        _figures(evaluate(model, test)), start, _figures(evaluate(before, old)), _figures(evaluate(model, old))
    )


def _figures(report: Report) -> Figures:
    return Figures(report.pictures, report.objects, report.map50, report.map50_95, report.by_class)


def _facts(prepared: Prepared, trainer: Trainer, record: Record, judgement: Judgement) -> dict[str, object]:
    new, old, start = prepared.new, prepared.old, prepared.start
    facts: dict[str, object] = {
        "data": {
            "folder": new.dataset.folder.name,
            "format": new.dataset.format,
            "sha256": new.sha256,
            "sources": len({picture.source for picture in new.dataset.pictures}),
            "pictures": {part: len(new.split.part(part)) for part in PARTS},
            "boxes": {part: new.boxes(part) for part in PARTS},
        },
        "basis": prepared.basis,
        "recipe": trainer.recipe,
        "ends": trainer.ends,
        "commit": commit_of(Path(__file__).parents[1]),
        "parameters": sum(p.numel() for p in trainer.network.parameters()),
        "curve": trainer.curve,
        "validation_map50": record.judged,
        "result": judgement,
    }
    if start is not None:
        facts["started_from"] = {"model": start.name, "version": start.version, "sha256": start.sha256}
    if old is not None:
        facts["rehearsed"] = {
            "folder": old.dataset.folder.name,
            "sha256": old.sha256,
            "share": prepared.basis.rehearse_share,
            "pictures": {part: len(old.split.part(part)) for part in PARTS},
        }
    return facts


def _card(prepared: Prepared, plain: ServedModel, model: ServedModel, note: str, facts: dict[str, object]) -> ModelCard:
    graphs = [each.graph.SerializeToString(deterministic=True) for each in (plain, model)]
    return ModelCard(
        name=prepared.order.name,
        family=model.detector.family,
        origin=f"rewatch train {prepared.order.folder.name}",
        sha256=hashlib.sha256(graphs[0]).hexdigest(),
        licence="that of the pictures it was trained from",
        served_sha256=hashlib.sha256(graphs[1]).hexdigest(),
        notes=(note,),
        facts={key: msgspec.Raw(msgspec.json.encode(value)) for key, value in facts.items()},
    )
