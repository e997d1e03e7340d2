"""`rewatch models`: import, pull, list and show detectors."""

import re
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from runtime.config import Settings
from training.catalogue import BUNDLED, Entry, choose, label_file, read_catalogue
from training.contract import Letterbox, ModelError, Suppression
from training.download import fetch
from training.families.registry import FAMILIES
from training.importing import import_detector
from training.label_file import COCO
from training.model_repository import load, models

app = typer.Typer(help="Detectors: import, pull, list and show.", no_args_is_help=True)
_out = Console()
_err = Console(stderr=True)

Repository = Annotated[
    Path | None,
    typer.Option("--repository", help="Folder of served models, as Triton reads it. Default: `models` in the cache."),
]
Replace = Annotated[bool, typer.Option("--replace", help="Overwrite a model of the same name.")]


@app.command("import")
def import_model(
    file: Annotated[Path, typer.Argument(help="ONNX file of a detector, without suppression inside.")],
    name: Annotated[str, typer.Option(help="What cameras call it.")],
    family: Annotated[str, typer.Option(help=f"How it was exported: {', '.join(FAMILIES)}.")],
    labels: Annotated[Path, typer.Option(help="Class names, one per line; COCO's 80 by default.")] = COCO,
    repository: Repository = None,
    size: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT, for networks of open size.")] = None,
    letterbox: Annotated[str | None, typer.Option(help="top_left or center, where the family's is wrong.")] = None,
    pad: Annotated[int | None, typer.Option(min=0, max=255, help="Grey of the border, likewise.")] = None,
    score: Annotated[float, typer.Option(min=0, max=1, help="Boxes below are dropped.")] = Suppression().score,
    iou: Annotated[float, typer.Option(min=0, max=1, help="Of boxes overlapping more, one stays.")] = Suppression().iou,
    licence: Annotated[str, typer.Option(help="For the model's card.")] = "unknown",
    replace: Replace = False,
) -> None:
    """Turn a public ONNX detector into a served model."""
    try:
        folder = import_detector(
            file,
            name,
            family,
            _folder(repository),
            labels=labels,
            size=_size(size),
            letterbox=_letterbox(letterbox),
            pad=pad,
            suppression=Suppression(score=score, iou=iou),
            licence=licence,
            replace=replace,
        )
    except ModelError as error:
        _fail(error)
    _say_stored(folder)


@app.command()
def pull(
    name: Annotated[str, typer.Argument(help="A name in the catalogue.")],
    repository: Repository = None,
    catalogue: Annotated[Path, typer.Option(help="Another catalogue.")] = BUNDLED,
    replace: Replace = False,
) -> None:
    """Fetch a detector of the catalogue, check its digest, import it."""
    try:
        entry = choose(read_catalogue(catalogue), name)
        file = _download(entry, _cache() / "downloads")
        folder = import_detector(
            file,
            entry.name,
            entry.family,
            _folder(repository),
            labels=label_file(entry, catalogue),
            origin=entry.urls[0],
            licence=entry.licence,
            replace=replace,
        )
    except ModelError as error:
        _fail(error)
    _say_stored(folder)


@app.command("list")
def list_models(
    repository: Repository = None,
    catalogue: Annotated[Path, typer.Option(help="Another catalogue.")] = BUNDLED,
) -> None:
    """What is stored, and what the catalogue offers besides."""
    try:
        offered = read_catalogue(catalogue)
    except ModelError as error:
        _fail(error)
    table = Table("name", "family", "input", "classes", "size", "licence", "state")
    for stored in models(_folder(repository)):
        detector, card = stored.detector, stored.card
        offered.pop(detector.name, None)
        table.add_row(
            detector.name,
            detector.family,
            f"{detector.width}x{detector.height}",
            str(len(detector.labels)),
            _megabytes(stored.bytes),
            card.licence if card else "?",
            "stored",
        )
    for entry in offered.values():
        table.add_row(entry.name, entry.family, "", "", _megabytes(entry.bytes), entry.licence, "to pull")
    _out.print(table)


@app.command()
def show(name: Annotated[str, typer.Argument(help="A stored model.")], repository: Repository = None) -> None:
    """Contract, labels and provenance of a stored model."""
    try:
        stored = load(_folder(repository) / name)
    except ModelError as error:
        _fail(error)
    detector, card = stored.detector, stored.card
    batch = f"batches up to {detector.max_batch_size}" if detector.max_batch_size > 1 else "one picture at a time"
    facts = [
        ("folder", str(stored.folder)),
        ("family", detector.family),
        ("input", f"uint8 [{detector.height}, {detector.width}, 3] RGB, {batch}"),
        ("output", f"float32 [{detector.rows}, 6]: x1, y1, x2, y2, score, class"),
        ("letterbox", f"{detector.letterbox}, pad {detector.pad}"),
        ("labels", ", ".join(detector.labels)),
        ("size", _megabytes(stored.bytes)),
    ]
    if card:
        facts += [("origin", card.origin), ("sha256", card.sha256), ("licence", card.licence)]
        facts += [("note", note) for note in card.notes]
    for key, value in facts:
        _out.print(f"[bold]{key:>10}[/]  {value}", soft_wrap=True, highlight=False)


def _cache() -> Path:
    return Settings().cache.expanduser()


def _folder(repository: Path | None) -> Path:
    """Outside any checkout by default: imported weights belong to others and are never committed."""
    return repository or _cache() / "models"


def _download(entry: Entry, folder: Path) -> Path:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=_err) as bar:
        task = bar.add_task(entry.name, total=entry.bytes)
        return fetch(
            entry.urls,
            entry.sha256,
            entry.bytes,
            folder / f"{entry.sha256[:16]}.onnx",
            lambda done, total: bar.update(task, completed=done, total=total),
        )


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"([1-9]\d{1,4})x([1-9]\d{1,4})", text)
    if match is None:
        raise ModelError(f"--size is WIDTHxHEIGHT, such as 640x384, not {text!r}")
    return int(match[1]), int(match[2])


def _letterbox(text: str | None) -> Letterbox | None:
    if text is None or text == "top_left" or text == "center":
        return text  # type: ignore[return-value]
    raise ModelError(f"--letterbox is top_left or center, not {text!r}")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _say_stored(folder: Path) -> None:
    stored = load(folder)
    for note in stored.card.notes if stored.card else ():
        _out.print(note, soft_wrap=True, highlight=False)
    _out.print(f"{stored.detector.name} is served from {folder}", soft_wrap=True, highlight=False)


def _fail(error: ModelError) -> NoReturn:
    _err.print(f"[red]{type(error).__name__}[/]: {error}", soft_wrap=True, highlight=False, markup=True)
    raise typer.Exit(1)
