"""Where a served model comes from and what it is good for: `card.json` beside its configuration."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct


class ModelCard(Struct, frozen=True):
    """Facts of provenance. `origin` is a file's name or an address; `sha256` is of the file that was imported."""

    name: str
    family: str
    origin: str
    sha256: str
    licence: str
    served_sha256: str
    """of the served model.onnx: names these very weights in this very graph"""
    notes: tuple[str, ...] = ()
    facts: dict[str, msgspec.Raw] = {}
    """whatever training wants to say: data, seed, figures"""


def own_card(name: str, family: str, origin: str, graph: bytes, facts: Mapping[str, Any], *notes: str) -> ModelCard:
    """Of a network that was trained here and is served as it was exported."""
    sha256 = hashlib.sha256(graph).hexdigest()
    encoded = {key: msgspec.Raw(msgspec.json.encode(value)) for key, value in facts.items()}
    return ModelCard(name, family, origin, sha256, "Apache-2.0", sha256, notes, encoded)


def foreign_card(
    file: Path, name: str, family: str, origin: str | None, licence: str, graph: bytes, notes: Sequence[str]
) -> ModelCard:
    """Of somebody else's network in `file`, which is served as `graph`. `origin`: an address, where there is one."""
    served = hashlib.sha256(graph).hexdigest()
    return ModelCard(name, family, origin or file.name, digest(file), licence, served, tuple(notes))


def encode_card(card: ModelCard) -> bytes:
    return msgspec.json.format(msgspec.json.encode(card), indent=2) + b"\n"


def read_card(path: Path) -> ModelCard:
    """Raises OSError or msgspec.DecodeError."""
    return msgspec.json.decode(path.read_bytes(), type=ModelCard)


def digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
