"""From a stored detector to its stored INT8 variant."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from training.contract import ServedModel
from training.model_card import ModelCard
from training.model_repository import StoredModel, check_free, store
from training.quantization import Data, Floor, Pixels, Quantization, agreement, quantize
from training.raw_network import read_model


def publish(
    stored: StoredModel,
    name: str,
    calibration: Pixels,
    judging: Pixels,
    source: str,
    repository: Path,
    times_faster: float,
    kept: float,
    replace: bool,
    said: Callable[[str], None] = lambda _: None,
) -> tuple[Path, Quantization]:
    """Judged by agreement with the original. Raises ModelError; the repository is then as it was."""
    check_free(repository, name, replace)
    model = read_served(stored)
    data = Data(calibration, source, source, "agreement (AP50-95)")
    judge = agreement(model, judging)
    variant, report = quantize(model, name, data, judge, Floor(times_faster, kept), said)
    return store_variant(stored, variant, report, repository, replace), report


def read_served(stored: StoredModel) -> ServedModel:
    return ServedModel(stored.detector, read_model(stored.folder / "1" / "model.onnx"))


def store_variant(
    stored: StoredModel, variant: ServedModel, report: Quantization, repository: Path, replace: bool
) -> Path:
    card = stored.card
    graph = variant.graph.SerializeToString(deterministic=True)
    facts = {"quantization": msgspec.Raw(msgspec.json.encode(report))}
    return store(
        repository,
        variant,
        ModelCard(
            name=variant.detector.name,
            family=variant.detector.family,
            origin=f"int8 of {stored.detector.name}",
            sha256=card.served_sha256 if card else "unknown",
            licence=card.licence if card else "unknown",
            served_sha256=hashlib.sha256(graph).hexdigest(),
            notes=(
                f"INT8: {report.times_faster:g} times as fast; {report.judged_by} {report.before:.3f}, then "
                f"{report.after:.3f}",
            ),
            facts=facts,
        ),
        replace,
    )
