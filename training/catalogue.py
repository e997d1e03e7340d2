"""What `rewatch models pull` can fetch: `catalogue.yaml`."""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from training.contract import ModelError
from training.label_file import COCO

BUNDLED = Path(__file__).with_name("catalogue.yaml")


class Entry(Struct, frozen=True, forbid_unknown_fields=True):
    """A public model. `labels`: "coco", or a file beside the catalogue. `urls` are tried in order."""

    name: str
    urls: Annotated[tuple[str, ...], Meta(min_length=1)]
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Meta(gt=0)]
    family: str
    licence: str
    labels: str = "coco"
    summary: str = ""


def read_catalogue(path: Path = BUNDLED) -> dict[str, Entry]:
    """Entries by name. Raises ModelError for a file that is missing or not a catalogue."""
    try:
        entries = msgspec.yaml.decode(path.read_bytes(), type=list[Entry])
    except (OSError, msgspec.MsgspecError) as error:
        raise ModelError(f"catalogue {path}: {error}") from None
    found = {entry.name: entry for entry in entries}
    if len(found) != len(entries):
        raise ModelError(f"catalogue {path}: a name is there twice")
    return found


def choose(catalogue: dict[str, Entry], name: str) -> Entry:
    """Raises ModelError for a name that isn't in the catalogue."""
    try:
        return catalogue[name]
    except KeyError:
        raise ModelError(f"no model {name!r} in the catalogue; there are {', '.join(sorted(catalogue))}") from None


def label_file(entry: Entry, catalogue: Path) -> Path:
    return COCO if entry.labels == "coco" else catalogue.parent / entry.labels
