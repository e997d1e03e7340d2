"""A folder of served models as Triton reads it. A model, or a version of one, appears in it whole or not at all."""

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import msgspec
from msgspec import Struct

from training.contract import Detector, ModelError, ServedModel
from training.model_card import ModelCard, encode_card, read_card
from training.triton_config import config_text, parse_config, versions_of, with_versions

GRAPH = "model.onnx"
CONFIG = "config.pbtxt"
CARD = "card.json"
CURVES = "curves.png"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_VERSION = re.compile(r"[1-9][0-9]{0,8}")
Stored = TypeVar("Stored")


class StoredModel(Struct, frozen=True):
    """A model found in a repository; card and size are those of its live version."""

    folder: Path
    detector: Detector
    card: ModelCard | None
    """None: the card is missing or unreadable"""
    bytes: int
    live: int
    """the version that answers whoever names none"""
    served: tuple[int, ...]
    """the versions that Triton loads"""
    versions: tuple[int, ...]
    """all that are stored"""

    @property
    def graph(self) -> Path:
        return self.folder / str(self.live) / GRAPH


def check_name(name: str) -> None:
    """Raises ModelError for a name that cameras could not use."""
    if not _NAME.fullmatch(name):
        raise ModelError(
            f"{name!r} is no model name: lower-case letters, digits, dots, dashes and underscores, 64 at most"
        )


def check_free(repository: Path, name: str, replace: bool) -> None:
    """Raises ModelError for a name that cannot be, or is taken, unless `replace`; and for a model with several
    versions, which results name."""
    check_name(name)
    folder = repository / name
    if folder.exists() and not replace:
        raise ModelError(f"{folder} exists already: choose another name, --as-version, or --replace it")
    if len(stored_versions(folder)) > 1:
        raise ModelError(f"{folder} has versions that results name: add another with --as-version")


def store(
    repository: Path,
    model: ServedModel,
    card: ModelCard,
    replace: bool = False,
    beside: Mapping[str, bytes] = MappingProxyType({}),
) -> Path:
    """Writes a model and returns its folder; `beside` are further files of the version by name. Raises ModelError for a
    name that is taken, unless `replace`, and OSError when it cannot be written; the repository is then as it was."""
    labels = "".join(f"{label}\n" for label in model.detector.labels)
    further = {"labels.txt": labels.encode(), **{f"1/{name}": content for name, content in beside.items()}}
    graph = model.graph.SerializeToString(deterministic=True)
    return store_files(repository, graph, config_text(model.detector), card, replace, further)


def store_files(
    repository: Path,
    graph: bytes,
    config: str,
    card: ModelCard,
    replace: bool = False,
    further: Mapping[str, bytes] = MappingProxyType({}),
) -> Path:
    """As `store`, of a model of any contract; `further` files by their path in its folder."""
    name = card.name
    check_free(repository, name, replace)
    target = repository / name
    files = {f"1/{GRAPH}": graph, CONFIG: config.encode(), CARD: encode_card(card), **further}
    with locked(repository), _draft(repository, name) as draft:
        check_free(repository, name, replace)
        _write(draft, files)
        try:
            if target.exists():
                target.rename(draft / "replaced")
            draft.rename(target)
        except BaseException:
            if (draft / "replaced").exists() and not target.exists():
                (draft / "replaced").rename(target)
            raise
        shutil.rmtree(target / "replaced", ignore_errors=True)
    return target


def add_version(
    repository: Path, model: ServedModel, card: ModelCard, beside: Mapping[str, bytes] = MappingProxyType({})
) -> int:
    """Writes the next version of a stored model, which stays as live and as served as it was, and returns its number;
    `beside` are further files of it by name.

    Raises ModelError when there is no such model, or the new one takes or gives something else, and OSError when it
    cannot be written; the repository is then as it was.
    """
    folder = repository / model.detector.name
    with locked(repository), _draft(repository, model.detector.name) as draft:
        stored = load(folder)
        check_version(stored, model.detector)
        number = max(stored.versions) + 1
        graph = model.graph.SerializeToString(deterministic=True)
        _write(draft / str(number), {**beside, GRAPH: graph, CARD: encode_card(card)})
        # first: Triton's own policy is the highest number, which would be live with the next load
        pinned = with_versions(read_config(folder), stored.live, stored.served)
        draft_of(folder / CONFIG, pinned.encode()).replace(folder / CONFIG)
        (draft / str(number)).rename(folder / str(number))
    return number


def check_version(stored: StoredModel, detector: Detector) -> None:
    """Raises ModelError where a detector takes or gives something else than the stored model."""
    differing = _differences(stored.detector, detector)
    if differing:
        raise ModelError(f"no version of {stored.detector.name}: {'; '.join(differing)}")


def models(repository: Path) -> Iterator[StoredModel]:
    """Every model of ours in a repository, by name; folders that are none are passed over."""
    yield from loaded(repository, load)


def loaded(repository: Path, load: Callable[[Path], Stored]) -> Iterator[Stored]:
    """What `load` takes, by name; folders that it refuses with a ModelError are passed over."""
    if not repository.is_dir():
        return
    for folder in sorted(repository.iterdir()):
        if not folder.name.startswith(".") and (folder / CONFIG).is_file():
            with contextlib.suppress(ModelError):
                yield load(folder)


def load(folder: Path) -> StoredModel:
    """Raises ModelError for a folder that holds no served detector."""
    text = read_config(folder)
    detector, versions = parse_config(text), stored_versions(folder)
    live, served = versions_of(text, versions)
    size = (folder / str(live) / GRAPH).stat().st_size
    return StoredModel(folder, detector, card_of(folder, live), size, live, served, versions)


def card_of(folder: Path, version: int) -> ModelCard | None:
    """A version's card lies beside its weights; that of a model's first one beside the configuration."""
    for place in (folder / str(version), folder):
        with contextlib.suppress(OSError, msgspec.DecodeError):
            return read_card(place / CARD)
        if version > 1:
            break
    return None


def read_config(folder: Path) -> str:
    """Raises ModelError."""
    try:
        return (folder / CONFIG).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{folder} holds no served model: {error}") from None


def draft_of(file: Path, content: bytes) -> Path:
    """Beside the file and on the disk: what is left is to rename it, which takes no room. Raises OSError."""
    draft = file.with_name(f".{file.name}.draft")
    try:
        with draft.open("wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    return draft


@contextlib.contextmanager
def locked(repository: Path) -> Iterator[None]:
    """One writer at a time; a process that dies lets go."""
    repository.mkdir(parents=True, exist_ok=True)
    handle = os.open(repository, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def _draft(repository: Path, name: str) -> Iterator[Path]:
    """Beside the target, so that renaming stays within one file system."""
    draft = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=repository))
    try:
        draft.chmod(0o755)
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    """And waits until they are on the disk."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with (folder / name).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())


def stored_versions(folder: Path) -> tuple[int, ...]:
    """Numbers of those whose weights are there."""
    return tuple(
        sorted(int(each.parent.name) for each in folder.glob(f"*/{GRAPH}") if _VERSION.fullmatch(each.parent.name))
    )


def _differences(model: Detector, version: Detector) -> list[str]:
    """What is promised to whoever asks: all but the family."""
    promised = ("width", "height", "labels", "letterbox", "pad", "rows", "max_batch_size")
    pairs = [(name.replace("_", " "), getattr(version, name), getattr(model, name)) for name in promised]
    return [f"its {name} would be {_said(new)} instead of {_said(old)}" for name, new, old in pairs if new != old]


def _said(value: object) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)
