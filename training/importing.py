"""Turns somebody else's ONNX detector into a served model."""

import importlib.util
from pathlib import Path

from training.contract import Letterbox, ServedModel, Suppression
from training.families.registry import family as family_named
from training.label_file import COCO, read_labels
from training.model_card import foreign_card
from training.model_repository import add_version, check_free, load, store
from training.raw_network import prepare, read_model
from training.served_graph import wrap


def import_detector(
    file: Path,
    name: str,
    family: str,
    repository: Path,
    *,
    labels: Path = COCO,
    size: tuple[int, int] | None = None,
    letterbox: Letterbox | None = None,
    pad: int | None = None,
    suppression: Suppression = Suppression(),
    origin: str | None = None,
    licence: str = "unknown",
    replace: bool = False,
    as_version: bool = False,
) -> Path:
    """Reads, checks, wraps and stores; returns the new model's folder. With `as_version` it becomes the next version of
    a stored model, is not live, and the folder is that version's.

    Where ONNX Runtime is installed the served model is also run: what doesn't run, or answers a batch otherwise than
    its pictures one by one, is refused. Raises ModelError, and OSError when it cannot be written; the repository is
    then as it was.
    """
    if as_version:
        load(repository / name)
    else:
        check_free(repository, name, replace)
    chosen = family_named(family)
    names = read_labels(labels)
    network = prepare(read_model(file), size)
    model = wrap(network, chosen, name, names, suppression, letterbox, pad)
    notes = [] if network.batches else ["tied to one picture at a time by its exporter: served without batching"]
    notes.append(_prove(model))
    graph = model.graph.SerializeToString(deterministic=True)
    card = foreign_card(file, name, family, origin, licence, graph, notes)
    if as_version:
        return repository / name / str(add_version(repository, model, card))
    return store(repository, model, card, replace)


def _prove(model: ServedModel) -> str:
    """What running the model showed."""
    if importlib.util.find_spec("onnxruntime") is None:
        return "not run at import: ONNX Runtime isn't installed here"
    from training.trial import try_out  # ONNX Runtime is no dependency of the product

    return try_out(model)
