"""Pose models in a repository's folder: written whole or not at all, and read back."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from training.contract import ModelError
from training.model_card import ModelCard, read_card
from training.model_repository import CARD, GRAPH, loaded, read_config, store_files
from training.pose.contract import PoseModel, ServedPose, config_text, parse_config


class StoredPose(Struct, frozen=True):
    """A pose model found in a repository."""

    folder: Path
    model: PoseModel
    card: ModelCard | None
    """None: the card is missing or unreadable"""
    bytes: int

    @property
    def graph(self) -> Path:
        return self.folder / "1" / GRAPH


def store(repository: Path, served: ServedPose, card: ModelCard, replace: bool = False) -> Path:
    """Writes a model and returns its folder. Raises ModelError for a name that is taken, unless `replace`, and OSError
    when it cannot be written; the repository is then as it was."""
    graph = served.graph.SerializeToString(deterministic=True)
    return store_files(repository, graph, config_text(served.model), card, replace)


def load(folder: Path) -> StoredPose:
    """Raises ModelError for a folder that holds no pose model."""
    model = parse_config(read_config(folder))
    graph = folder / "1" / GRAPH
    try:
        size = graph.stat().st_size
    except OSError as error:
        raise ModelError(f"{folder} holds no graph: {error}") from None
    try:
        card = read_card(folder / CARD)
    except (OSError, msgspec.DecodeError):
        card = None
    return StoredPose(folder, model, card, size)


def pose_models(repository: Path) -> Iterator[StoredPose]:
    """Every pose model in a repository, by name; other folders are passed over."""
    return loaded(repository, load)
