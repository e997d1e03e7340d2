"""`rewatch dataset manifest, fetch`: a training set as a query on the log, and its pictures."""

import contextlib
import hashlib
import math
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, NoReturn, Self

import typer
from rich.console import Console
from rich.markup import escape

from cli.moment import FORMS, nanoseconds
from cli.reach import reached
from replay.log import LogGoneError, LogSilentError, PartitionLog
from replay.past import published
from replay.span import locate
from replay.units import units_of
from schemas.messages import AccessUnit, Detections
from schemas.topics import DETECTIONS
from training.datasets.dataset import LabelledBox
from training.datasets.log_folder import write_folder
from training.datasets.manifest import FORMAT, Entry, Header, ManifestError, read_manifest, write_manifest

_EXPECTED: Final = (ManifestError, LogGoneError, LogSilentError, OSError, ValueError)
_END: Final = 2**63
_err = Console(stderr=True)


def manifest(
    cameras: Annotated[list[str], typer.Option("--camera", help="Of the log. Repeatable.")],
    start: Annotated[str, typer.Option("--from", help=f"{FORMS}.")],
    end: Annotated[str, typer.Option("--to", help="Likewise.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="JSON lines: offsets and labels.")],
    model: Annotated[str, typer.Option(help="Take the labels that this model found; default: whichever did.")] = "",
    score: Annotated[float, typer.Option(min=0, max=1, help="Boxes below are no labels.")] = 0.5,
    labels: Annotated[list[str] | None, typer.Option("--label", help="Only these. Repeatable.")] = None,
    apart: Annotated[float, typer.Option(min=0, help="Seconds between two pictures of a camera.")] = 2.0,
    empty: Annotated[bool, typer.Option("--empty", help="Pictures in which nothing was found, too.")] = False,
) -> None:
    """Which pictures of the log to learn from: their offsets, and what was found in them."""
    begin_ns, end_ns = nanoseconds(start, "--from"), nanoseconds(end, "--to")
    kafka = reached().kafka
    try:
        entries: list[Entry] = []
        with _Log(kafka) as log:
            for camera in cameras:
                found = _found(kafka, camera, begin_ns, end_ns, model)
                chosen = _chosen(found, score, set(labels or ()), round(apart * 1e9), empty)
                entries += [log.entry(*each) for each in chosen]
        if not entries:
            raise ManifestError("nothing was found there: another time, a lower --score, or --empty")
        classes = tuple(sorted(labels or {box.label for entry in entries for box in entry.boxes}))
        query: dict[str, str | int | float] = {"cameras": ",".join(cameras), "from_ns": begin_ns, "to_ns": end_ns}
        query |= {"model": model, "score": score, "apart_s": apart}
        header = Header(FORMAT, classes, f"detections of {model or 'whichever model'}", query)
        write_manifest(out, header, tuple(entries))
    except _EXPECTED as error:
        _fail(error)
    boxes = sum(len(entry.boxes) for entry in entries)
    Console().print(f"{out}: {len(entries)} pictures, {boxes} boxes", highlight=False, soft_wrap=True)


def fetch(
    file: Annotated[Path, typer.Argument(help="A manifest.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder in COCO's layout; must not be there yet.")],
) -> None:
    """Decode a manifest's pictures from the log into a labelled folder."""
    try:
        if out.exists():
            raise ManifestError(f"{out} is there already")
        header, entries = read_manifest(file)
        kafka = reached().kafka
        out.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        try:
            with _Log(kafka) as log:
                count = write_folder(draft / "set", header, entries, log.units)
            (draft / "set").rename(out)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except _EXPECTED as error:
        _fail(error)
    Console().print(f"{out}: {count} pictures; rewatch train {out} --name NAME", highlight=False, soft_wrap=True)


def _found(kafka: str, camera: str, begin_ns: int, end_ns: int, model: str) -> list[Detections]:
    """In order of time; the newest revision of each."""
    span = locate(kafka, camera, begin_ns, end_ns)
    results = published(kafka, span, _END, (DETECTIONS.name,)).values()
    return sorted(
        (
            each
            for each in results
            if isinstance(each, Detections)
            and begin_ns <= each.captured_ns < end_ns
            and (not model or each.provenance.model == model)
        ),
        key=lambda each: each.captured_ns,
    )


def _chosen(
    found: list[Detections], score: float, labels: set[str], apart_ns: int, empty: bool
) -> list[tuple[Detections, tuple[LabelledBox, ...]]]:
    chosen, last_ns = [], -math.inf
    for each in found:
        boxes = tuple(
            LabelledBox(box.label, box.x1, box.y1, box.x2, box.y2)
            for box in each.boxes
            if box.score >= score and (not labels or box.label in labels)
        )
        if (boxes or empty) and each.captured_ns - last_ns >= apart_ns:
            chosen.append((each, boxes))
            last_ns = each.captured_ns
    return chosen


class _Log:
    """Partitions, each opened once. Raises LogGoneError for what was deleted, LogSilentError."""

    def __init__(self, kafka: str) -> None:
        self._kafka, self._open = kafka, contextlib.ExitStack()
        self._partitions: dict[tuple[str, int], PartitionLog] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def units(self, camera: str, topic: str, partition: int, first: int, last: int) -> Iterator[tuple[int, AccessUnit]]:
        """A camera's access units with their offsets, from `first` to `last`."""
        if (topic, partition) not in self._partitions:
            opened = self._open.enter_context(PartitionLog(self._kafka, topic, partition))
            self._partitions[topic, partition] = opened
        log = self._partitions[topic, partition]
        if first < log.low:
            raise LogGoneError(f"{topic}/{partition}: offset {first} was deleted; left is {log.low} and later")
        for records in log.read(first):
            wanted = (record for record in records if record.offset <= last)
            yield from ((record.offset, unit) for record, unit in units_of(wanted, camera))
            if records[-1].offset >= last:
                return

    def entry(self, found: Detections, boxes: tuple[LabelledBox, ...]) -> Entry:
        origin = found.provenance
        where = (origin.topic, origin.partition)
        data = next((unit.data for _, unit in self.units(found.camera, *where, *[origin.last_offset] * 2)), None)
        if data is None:
            raise LogGoneError(f"{origin.topic}/{origin.partition}: offset {origin.last_offset} is not there any more")
        sha256 = hashlib.sha256(data).hexdigest()
        return Entry(found.camera, *where, origin.keyframe_offset, origin.last_offset, found.captured_ns, sha256, boxes)


def _fail(error: Exception) -> NoReturn:
    _err.print(f"[red]dataset:[/red] {escape(str(error))}", highlight=False, soft_wrap=True)
    raise typer.Exit(1)
