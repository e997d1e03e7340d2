"""`rewatch models`: import, pull, quantize, list and show detectors."""

import re
from pathlib import Path
from typing import Annotated, NoReturn

import msgspec
import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from cli import pictures as pictures_of
from cli.moment import nanoseconds
from cli.pictures import Pixels
from cli.reach import reached
from replay.log import LogGoneError, LogSilentError
from runtime.config import Settings
from training.catalogue import BUNDLED, Entry, choose, label_file, read_catalogue
from training.contract import Detector, Letterbox, ModelError, Suppression
from training.download import fetch
from training.families.registry import FAMILIES
from training.importing import import_detector
from training.label_file import COCO
from training.model_repository import load, models

app = typer.Typer(help="Detectors: import, pull, quantize, list and show.", no_args_is_help=True)
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


@app.command()
def quantize(
    name: Annotated[str, typer.Argument(help="A stored model.")],
    clips: Annotated[list[Path] | None, typer.Option("--clip", help="Pictures: a video file. Repeatable.")] = None,
    cameras: Annotated[
        list[str] | None, typer.Option("--camera", help="Pictures: keyframes of a camera's log. Repeatable.")
    ] = None,
    start: Annotated[str, typer.Option("--from", help="Of the log: 2026-01-31T08:00 (UTC unless it says).")] = "",
    end: Annotated[str, typer.Option("--to", help="Likewise.")] = "",
    called: Annotated[str | None, typer.Option("--into", help="Name of the variant. Default: NAME-int8.")] = None,
    pictures: Annotated[int, typer.Option(min=24, max=5000, help="At most so many, of all sources together.")] = 240,
    kept: Annotated[float, typer.Option(min=0, max=1, help="Agreement with the original it must reach.")] = 0.9,
    times_faster: Annotated[float, typer.Option(min=0, help="And how many times faster it must be.")] = 1.2,
    repository: Repository = None,
    replace: Replace = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> None:
    """Make a static INT8 variant: calibrated on two thirds of the pictures, judged on the rest, and refused when it is
    not faster or no longer agrees with the original."""
    try:
        stored = load(_folder(repository) / name)
        calibration, judging = _split(stored.detector, clips or [], cameras or [], start, end, pictures)
        try:
            from training.int8 import publish
        except ImportError as error:
            raise ModelError(f"quantising needs the extra `train`: {error}") from None
        with _err.status("quantising") as status:
            folder, report = publish(
                stored,
                called or f"{name}-int8",
                calibration,
                judging,
                ", ".join([*(clip.name for clip in clips or []), *(f"log of {camera}" for camera in cameras or [])]),
                _folder(repository),
                times_faster,
                kept,
                replace,
                lambda line: status.update(line),
            )
    except (ModelError, ValueError, LogGoneError, LogSilentError) as error:
        _fail(error)
    if as_json:
        typer.echo(msgspec.json.encode(report).decode())
        return
    table = Table("", "before", "after")
    table.add_row(report.judged_by, f"{report.before:.3f}", f"{report.after:.3f}")
    table.add_row("ms a picture, one thread", f"{report.milliseconds_before:.1f}", f"{report.milliseconds_after:.1f}")
    table.add_row("size", _megabytes(report.bytes_before), _megabytes(report.bytes_after))
    table.add_row("convolutions in float32", str(report.convolutions), str(len(report.in_float32)))
    _out.print(table)
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


def _split(
    detector: Detector, clips: list[Path], cameras: list[str], start: str, end: str, count: int
) -> tuple[Pixels, Pixels]:
    """By time, source by source: what the variant is judged on comes after what it was calibrated on."""
    if not clips and not cameras:
        raise ModelError("no pictures: say --clip FILE, or --camera with --from and --to")
    if cameras and not (start and end):
        raise ModelError("--camera wants --from and --to")
    each = max(1, count // (len(clips) + len(cameras)))
    sources = [pictures_of.of_clip(clip, detector, each) for clip in clips]
    if cameras:
        kafka, times = reached().kafka, (nanoseconds(start, "--from"), nanoseconds(end, "--to"))
        sources += [pictures_of.of_log(kafka, camera, *times, detector, each) for camera in cameras]
    first = [source[: len(source) * 2 // 3] for source in sources]
    second = [source[len(source) * 2 // 3 :] for source in sources]
    return np.concatenate(first), np.concatenate(second)


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


def _fail(error: Exception) -> NoReturn:
    _err.print(f"[red]{type(error).__name__}[/]: {error}", soft_wrap=True, highlight=False, markup=True)
    raise typer.Exit(1)
