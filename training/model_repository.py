"""A folder of served models as Triton reads it. A model appears in it whole or not at all."""

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from training.contract import Detector, ModelError, ServedModel
from training.model_card import ModelCard, encode_card, read_card
from training.triton_config import config_text, parse_config

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class StoredModel(Struct, frozen=True):
    """A model found in a repository."""

    folder: Path
    detector: Detector
    card: ModelCard | None
    """None: the card is missing or unreadable"""
    bytes: int


def check_name(name: str) -> None:
    """Raises ModelError for a name that cameras could not use."""
    if not _NAME.fullmatch(name):
        raise ModelError(
            f"{name!r} is no model name: lower-case letters, digits, dots, dashes and underscores, 64 at most"
        )


def check_free(repository: Path, name: str, replace: bool) -> None:
    """Raises ModelError for a name that cannot be, or is taken, unless `replace`."""
    check_name(name)
    if (repository / name).exists() and not replace:
        raise ModelError(f"{repository / name} exists already: choose another name, or --replace it")


def store(repository: Path, model: ServedModel, card: ModelCard, replace: bool = False) -> Path:
    """Writes a model and returns its folder. Raises ModelError for a name that is taken, unless `replace`."""
    name = model.detector.name
    check_free(repository, name, replace)
    target = repository / name
    repository.mkdir(parents=True, exist_ok=True)
    # beside the target, so that the rename stays within one file system
    draft = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=repository))
    try:
        draft.chmod(0o755)
        version = draft / "1"
        version.mkdir()
        (version / "model.onnx").write_bytes(model.graph.SerializeToString(deterministic=True))
        (draft / "config.pbtxt").write_text(config_text(model.detector), encoding="utf-8")
        (draft / "labels.txt").write_text("".join(f"{x}\n" for x in model.detector.labels), encoding="utf-8")
        (draft / "card.json").write_bytes(encode_card(card))
        if target.exists():
            target.rename(draft / "replaced")
        draft.rename(target)
        shutil.rmtree(target / "replaced", ignore_errors=True)
    except BaseException:
        if (draft / "replaced").exists() and not target.exists():
            (draft / "replaced").rename(target)
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return target


def models(repository: Path) -> Iterator[StoredModel]:
    """Every model of ours in a repository, by name; folders that are none are passed over."""
    if not repository.is_dir():
        return
    for folder in sorted(repository.iterdir()):
        if not folder.name.startswith(".") and (folder / "config.pbtxt").is_file():
            try:
                yield load(folder)
            except ModelError:
                continue


def load(folder: Path) -> StoredModel:
    """Raises ModelError for a folder that holds no served detector."""
    try:
        detector = parse_config((folder / "config.pbtxt").read_text(encoding="utf-8"))
        size = (folder / "1" / "model.onnx").stat().st_size
    except OSError as error:
        raise ModelError(f"{folder} holds no served model: {error}") from None
    try:
        card = read_card(folder / "card.json")
    except (OSError, msgspec.DecodeError):
        card = None
    return StoredModel(folder, detector, card, size)
