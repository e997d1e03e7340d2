"""An INT8 variant into the repository beside its original, or the reason why not onto the original's card."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
from onnx import ModelProto

from training.contract import ModelError
from training.int8_variant import QUANTIZATION, REFUSED, SUFFIX, Int8Trial
from training.model_card import ModelCard, own_card, read_card
from training.model_repository import CARD, CURVES, GRAPH, read_config, store_files
from training.provenance import commit_of


def store_variant(
    repository: Path,
    name: str,
    config: str,
    variant: ModelProto,
    trial: Int8Trial,
    facts: Mapping[str, Any] = MappingProxyType({}),
) -> str | None:
    """Writes the variant of the published model `name` beside it, with its curves and, but for `facts`, its card; or,
    where it does not pay, the trial onto the original's card. Returns why not, if so. Raises ModelError where there is
    no such model, OSError when it cannot be written."""
    if trial.objection:
        note(repository, name, trial)
        return trial.objection
    card, curves = _published(repository / name)
    raw = variant.SerializeToString(deterministic=True)
    own: dict[str, Any] = {QUANTIZATION: trial, "quantized_by": commit_of(Path(__file__).parent)}
    told = own_card(name + SUFFIX, card.family, card.origin, raw, {**card.facts, **facts, **own})
    store_files(repository, raw, config, told, True, {f"1/{CURVES}": curves})
    return None


def note(repository: Path, name: str, trial: Int8Trial) -> None:
    """That the variant does not pay. Raises as `store_variant` does."""
    card, curves = _published(repository / name)
    noted = msgspec.structs.replace(card, facts={**card.facts, REFUSED: msgspec.Raw(msgspec.json.encode(trial))})
    raw, config = (repository / name / "1" / GRAPH).read_bytes(), read_config(repository / name)
    store_files(repository, raw, config, noted, True, {f"1/{CURVES}": curves})


def _published(folder: Path) -> tuple[ModelCard, bytes]:
    try:
        return read_card(folder / CARD), (folder / "1" / CURVES).read_bytes()
    except (OSError, msgspec.DecodeError) as error:
        raise ModelError(f"{folder} holds no published model: {error}") from None
