"""Models of a contract of their own in `rewatch models`: how they are listed and shown."""

from pathlib import Path
from typing import Any

from training.contract import ModelError
from training.served_network import ServedNetwork, Tensor, load


def row(stored: ServedNetwork) -> tuple[str, ...]:
    """Of the table of models."""
    labels = stored.parameters.get("labels")
    gives = f"{len(labels.split(','))} classes" if labels else next(iter(stored.outputs))
    return stored.name, stored.size, gives, f"{stored.bytes / 1e6:.1f} MB", "1 of 1"


def described(stored: ServedNetwork) -> dict[str, Any]:
    """What programs are told."""
    return {
        "name": stored.name,
        "folder": str(stored.folder),
        "task": stored.family,
        "contract": {
            "inputs": stored.inputs,
            "outputs": stored.outputs,
            "max_batch_size": stored.max_batch_size,
            "parameters": stored.parameters,
        },
        "live": 1,
        "served": [1],
        "versions": [{"version": 1, "card": stored.card}],
    }


def facts(stored: ServedNetwork) -> list[tuple[str, str]]:
    """What people are told."""
    card = stored.card
    return [
        ("folder", str(stored.folder)),
        ("family", stored.family),
        *(("input", _told(name, tensor)) for name, tensor in stored.inputs.items()),
        *(("output", _told(name, tensor)) for name, tensor in stored.outputs.items()),
        ("batch", f"up to {stored.max_batch_size}"),
        *stored.parameters.items(),
        ("size", f"{stored.bytes / 1e6:.1f} MB"),
        ("origin", card.origin),
        ("sha256", card.sha256),
        ("licence", card.licence),
        *(("note", note) for note in card.notes),
    ]


def find(repository: Path, name: str) -> ServedNetwork | None:
    """None where there is none of that name."""
    try:
        return load(repository / name)
    except ModelError:
        return None


def _told(name: str, tensor: Tensor) -> str:
    return f"{name}: {tensor.kind.lower()} {list(tensor.shape)}"
