"""Pose models in `rewatch models`: how they are imported, listed and shown."""

from pathlib import Path
from typing import Any

from training.contract import Letterbox, ModelError
from training.pose.importing import POSE_FAMILIES, import_pose
from training.pose.repository import StoredPose, load, pose_models


def takes(family: str) -> bool:
    """Whether a family is one of poses."""
    return family in POSE_FAMILIES


def imported(
    file: Path,
    name: str,
    family: str,
    repository: Path,
    size: tuple[int, int] | None,
    letterbox: Letterbox | None,
    pad: int | None,
    licence: str,
    replace: bool,
    as_version: bool,
) -> list[str]:
    """Lines for whoever imported it. Raises ModelError, OSError."""
    if as_version:
        raise ModelError("a pose model has one version: --replace it, or choose another name")
    folder = import_pose(
        file, name, family, repository, size=size, letterbox=letterbox, pad=pad, licence=licence, replace=replace
    )
    stored = load(folder)
    return [*(stored.card.notes if stored.card else ()), f"{name} is served from {folder}"]


def stored_poses(repository: Path) -> list[StoredPose]:
    return list(pose_models(repository))


def row(stored: StoredPose) -> tuple[str, ...]:
    """Of the table of models."""
    model, size = stored.model, f"{stored.bytes / 1e6:.1f} MB"
    return model.name, f"{model.width}x{model.height}", "18 keypoints", size, "1 of 1"


def described(stored: StoredPose) -> dict[str, Any]:
    """What programs are told."""
    return {
        "name": stored.model.name,
        "folder": str(stored.folder),
        "task": "pose",
        "contract": stored.model,
        "live": 1,
        "served": [1],
        "versions": [{"version": 1, "card": stored.card}],
    }


def facts(stored: StoredPose) -> list[tuple[str, str]]:
    """What people are told. Raises nothing: a model without a card has fewer."""
    model, card = stored.model, stored.card
    batch = f"batches up to {model.max_batch_size}" if model.max_batch_size > 1 else "one picture at a time"
    told = [
        ("folder", str(stored.folder)),
        ("family", model.family),
        ("input", f"uint8 [{model.height}, {model.width}, 3] RGB, {batch}"),
        *(("output", f"{name}: float32 {list(shape)}") for name, shape in model.outputs.items()),
        ("letterbox", f"{model.letterbox}, pad {model.pad}"),
        ("size", f"{stored.bytes / 1e6:.1f} MB"),
    ]
    if card:
        told += [("origin", card.origin), ("sha256", card.sha256), ("licence", card.licence)]
        told += [("note", note) for note in card.notes]
    return told


def find(repository: Path, name: str) -> StoredPose | None:
    """None where there is no pose model of that name."""
    try:
        return load(repository / name)
    except ModelError:
        return None
