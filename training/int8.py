"""From a stored detector to its stored INT8 variant."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from training.contract import ServedModel
from training.model_card import ModelCard
from training.model_repository import StoredModel, add_version, check_free, check_version, load, store
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
    as_version: bool = False,
) -> tuple[Path, Quantization]:
    """Judged by agreement with the original; `as_version`: the next one of the stored model `name`. The folder of the
    variant, or of its version. Raises ModelError; the repository is then as it was."""
    if as_version:
        check_version(load(repository / name), stored.detector)
    else:
        check_free(repository, name, replace)
    model = read_served(stored)
    data = Data(calibration, source, source, "agreement (AP50-95)")
    judge = agreement(model, judging)
    variant, report = quantize(model, name, data, judge, Floor(times_faster, kept), said)
    return store_variant(stored, variant, report, repository, replace, as_version), report


def read_served(stored: StoredModel) -> ServedModel:
    return ServedModel(stored.detector, read_model(stored.graph))


def store_variant(
    stored: StoredModel,
    variant: ServedModel,
    report: Quantization,
    repository: Path,
    replace: bool,
    as_version: bool = False,
) -> Path:
    card = stored.card
    graph = variant.graph.SerializeToString(deterministic=True)
    facts = {"quantization": msgspec.Raw(msgspec.json.encode(report))}
    told = ModelCard(
        name=variant.detector.name,
        family=variant.detector.family,
        origin=f"int8 of {stored.detector.name}" + (f" {stored.live}" if as_version else ""),
        sha256=card.served_sha256 if card else "unknown",
        licence=card.licence if card else "unknown",
        served_sha256=hashlib.sha256(graph).hexdigest(),
        notes=(
            f"INT8: {report.times_faster:g} times as fast; {report.judged_by} {report.before:.3f}, then "
            f"{report.after:.3f}",
        ),
        facts=facts,
    )
    if as_version:
        return repository / variant.detector.name / str(add_version(repository, variant, told))
    return store(repository, variant, told, replace)
