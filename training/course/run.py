"""The whole way, from an order to the live version; each part that is done is not done again."""

from pathlib import Path

import msgspec
from msgspec import Struct

from training.audience import Audience
from training.course.delivery import Judgement, produce, publish
from training.course.learning import begin, learn
from training.course.order import Order
from training.course.preparation import Prepared, prepare
from training.course.record import Basis, Record, alone, write_record
from training.datasets.split import PARTS
from training.model_repository import card_of
from training.model_server import TritonServer
from training.promotion import Promotion, promote
from training.quantization import Quantization


class Outcome(Struct, frozen=True):
    name: str
    version: int
    folder: str
    """of the version"""
    classes: tuple[str, ...]
    size: tuple[int, int]
    """width, height"""
    pictures: dict[str, int]
    """by part"""
    result: Judgement
    quantization: Quantization | None
    float32_because: str
    """why no INT8 is served"""
    promotion: Promotion


def run(
    order: Order, repository: Path, work: Path, server: TritonServer, audience: Audience, anew: bool = False
) -> Outcome:
    """Raises DatasetError, SplitError, LeakError, PictureError, RunError, LossError, ModelError and OSError. Whatever
    was live is then live still, and the same order goes on where it stopped."""
    with alone(work):
        return _run(order, repository, work, server, audience, anew)


def _run(order: Order, repository: Path, work: Path, server: TritonServer, audience: Audience, anew: bool) -> Outcome:
    audience.say(f"reading {order.folder}")
    prepared = prepare(order, repository, work)
    record = begin(prepared, work, anew)
    shares = ", ".join(f"{len(prepared.new.split.part(part))} {part}" for part in PARTS)
    audience.say(f"{len(prepared.classes)} classes at {prepared.size[0]}x{prepared.size[1]}; pictures: {shares}")
    if _is_there(repository / order.name, record):
        audience.say(f"published before, as version {record.published}: --anew begins again")
    else:
        trainer, record = learn(prepared, work, record, audience)
        version = publish(repository, produce(prepared, trainer, record, audience))
        record = msgspec.structs.replace(record, published=version)
        write_record(work, record)
    promotion = promote(repository, order.name, record.published, server)
    return _outcome(prepared, record, repository / order.name, promotion)


def _is_there(folder: Path, record: Record) -> bool:
    """Whether what was published is in this repository."""
    card = card_of(folder, record.published) if record.published else None
    told = card.facts.get("basis") if card else None
    return told is not None and msgspec.json.decode(told, type=Basis) == record.basis


def _outcome(prepared: Prepared, record: Record, folder: Path, promotion: Promotion) -> Outcome:
    """By the version's card, so that a run that only looks up what was published says the same."""
    card = card_of(folder, record.published)
    facts = card.facts if card else {}
    made = facts.get("quantization")
    return Outcome(
        name=prepared.order.name,
        version=record.published,
        folder=str(folder / str(record.published)),
        classes=prepared.classes,
        size=prepared.size,
        pictures={part: len(prepared.new.split.part(part)) for part in PARTS},
        result=msgspec.json.decode(facts["result"], type=Judgement),
        quantization=msgspec.json.decode(made, type=Quantization) if made else None,
        float32_because=msgspec.json.decode(facts.get("float32_because", b'""'), type=str),
        promotion=promotion,
    )
