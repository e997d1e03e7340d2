"""Where a served model comes from and what it is good for: `card.json` beside its configuration."""

import hashlib
from pathlib import Path

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


def encode_card(card: ModelCard) -> bytes:
    return msgspec.json.format(msgspec.json.encode(card), indent=2) + b"\n"


def read_card(path: Path) -> ModelCard:
    """Raises OSError or msgspec.DecodeError."""
    return msgspec.json.decode(path.read_bytes(), type=ModelCard)


def digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
