"""`rewatch models`: import, pull, quantize, list and show; `cli/model_versions.py`, `cli/accelerators.py` and
`cli/pose_models.py` have the rest."""

import re
from pathlib import Path
from typing import Annotated, NoReturn

import msgspec
import numpy as np
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from cli import accelerators, model_versions, networks, pose_models
from cli import pictures as pictures_of
from cli.pictures import Cameras, Clips, From, Pixels, To
from cli.table import table
from replay.log import LogGoneError, LogSilentError
from runtime.config import Settings
from training.catalogue import BUNDLED, Entry, choose, label_file, read_catalogue
from training.contract import Detector, Letterbox, ModelError, Suppression
from training.download import fetch
from training.families.registry import FAMILIES
from training.importing import import_detector
from training.label_file import COCO
from training.model_history import read_history
from training.model_repository import StoredModel, card_of, load, models
from training.pose.importing import POSE_FAMILIES
from training.served_network import networks as served_networks

app = typer.Typer(help="Models: import, pull, quantize, promote, roll back, list and show.", no_args_is_help=True)
app.command("promote")(model_versions.promote)
app.command("rollback")(model_versions.rollback)
app.command("tensorrt")(accelerators.tensorrt)
_err = Console(stderr=True)

Repository = Annotated[
    Path | None,
    typer.Option("--repository", help="Folder of served models, as Triton reads it. Default: `models` in the cache."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")]
Replace = Annotated[bool, typer.Option("--replace", help="Overwrite a model of the same name.")]
AsVersion = Annotated[
    bool, typer.Option("--as-version", help="The next version of the stored model of that name; not live yet.")
]


@app.command("import")
def import_model(
    file: Annotated[
        Path, typer.Argument(help="ONNX file of a detector, without suppression inside, or of a pose network.")
    ],
    name: Annotated[str, typer.Option(help="What cameras call it.")],
    family: Annotated[str, typer.Option(help=f"How it was exported: {', '.join((*FAMILIES, *POSE_FAMILIES))}.")],
    labels: Annotated[Path, typer.Option(help="Class names, one per line; COCO's 80 by default.")] = COCO,
    repository: Repository = None,
    size: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT, for networks of open size.")] = None,
    letterbox: Annotated[str | None, typer.Option(help="top_left or center, where the family's is wrong.")] = None,
    pad: Annotated[int | None, typer.Option(min=0, max=255, help="Grey of the border, likewise.")] = None,
    score: Annotated[float, typer.Option(min=0, max=1, help="Boxes below are dropped.")] = Suppression().score,
    iou: Annotated[float, typer.Option(min=0, max=1, help="Of boxes overlapping more, one stays.")] = Suppression().iou,
    licence: Annotated[str, typer.Option(help="For the model's card.")] = "unknown",
    replace: Replace = False,
    as_version: AsVersion = False,
) -> None:
    """Turn a public ONNX detector, or pose network, into a served model."""
    _check_storing(replace, as_version)
    try:
        if pose_models.takes(family):
            box = (_size(size), _letterbox(letterbox), pad)
            lines = pose_models.imported(file, name, family, _folder(repository), *box, licence, replace, as_version)
            for line in lines:
                Console().print(line, soft_wrap=True, highlight=False)
            return
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
            as_version=as_version,
        )
    except (ModelError, OSError) as error:
        _fail(error)
    _say_stored(folder, as_version)


@app.command()
def pull(
    name: Annotated[str, typer.Argument(help="A name in the catalogue.")],
    repository: Repository = None,
    catalogue: Annotated[Path, typer.Option(help="Another catalogue.")] = BUNDLED,
    replace: Replace = False,
    as_version: AsVersion = False,
) -> None:
    """Fetch a detector of the catalogue, check its digest, import it."""
    _check_storing(replace, as_version)
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
            as_version=as_version,
        )
    except (ModelError, OSError) as error:
        _fail(error)
    _say_stored(folder, as_version)


@app.command()
def quantize(
    name: Annotated[str, typer.Argument(help="A stored model.")],
    clips: Clips = None,
    cameras: Cameras = None,
    start: From = "",
    end: To = "",
    called: Annotated[
        str | None, typer.Option("--into", help="Name of the variant. Default: NAME-int8, or NAME with --as-version.")
    ] = None,
    pictures: Annotated[int, typer.Option(min=24, max=1000, help="At most so many, of all sources together.")] = 240,
    kept: Annotated[float, typer.Option(min=0, max=1, help="Agreement with the original it must reach.")] = 0.9,
    times_faster: Annotated[float, typer.Option(min=0, help="And how many times faster it must be.")] = 1.2,
    repository: Repository = None,
    replace: Replace = False,
    as_version: AsVersion = False,
    as_json: Json = False,
) -> None:
    """Make a static INT8 variant: calibrated on two thirds of the pictures, judged on the rest, and refused when it is
    not faster or no longer agrees with the original."""
    _check_storing(replace, as_version)
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
                called or (name if as_version else f"{name}-int8"),
                calibration,
                judging,
                ", ".join([*(clip.name for clip in clips or []), *(f"log of {camera}" for camera in cameras or [])]),
                _folder(repository),
                times_faster,
                kept,
                replace,
                lambda line: status.update(line),
                as_version,
            )
    except (ModelError, ValueError, OSError, LogGoneError, LogSilentError) as error:
        _fail(error)
    if as_json:
        typer.echo(msgspec.json.encode(report).decode())
        return
    compared = table("", "before", "after")
    compared.add_row(report.judged_by, f"{report.before:.3f}", f"{report.after:.3f}")
    compared.add_row(
        "ms a picture, one thread", f"{report.milliseconds_before:.1f}", f"{report.milliseconds_after:.1f}"
    )
    compared.add_row("size", _megabytes(report.bytes_before), _megabytes(report.bytes_after))
    compared.add_row("convolutions in float32", str(report.convolutions), str(len(report.in_float32)))
    Console().print(compared)
    _say_stored(folder, as_version)


@app.command("list")
def list_models(
    repository: Repository = None,
    catalogue: Annotated[Path, typer.Option(help="Another catalogue.")] = BUNDLED,
    as_json: Json = False,
) -> None:
    """What is stored, and what the catalogue offers besides."""
    try:
        offered = read_catalogue(catalogue)
    except ModelError as error:
        _fail(error)
    folder = _folder(repository)
    here, poses, others = list(models(folder)), pose_models.stored_poses(folder), list(served_networks(folder))
    if as_json:
        stored_names = {stored.detector.name for stored in here}
        to_pull = [name for name in offered if name not in stored_names]
        stored_here = [
            *(_described(each) for each in here),
            *(pose_models.described(each) for each in poses),
            *(networks.described(each) for each in others),
        ]
        typer.echo(msgspec.json.encode({"stored": stored_here, "to_pull": to_pull}).decode())
        return
    listed = table("name", "input", "gives", "size", "live", numbers=("size",), whole=("name", "live"))
    for stored in here:
        detector = stored.detector
        offered.pop(detector.name, None)
        listed.add_row(
            detector.name,
            f"{detector.width}x{detector.height}",
            f"{len(detector.labels)} classes",
            _megabytes(stored.bytes),
            f"{stored.live} of {_listed(stored.versions)}",
        )
    for pose in poses:
        listed.add_row(*pose_models.row(pose))
    for other in others:
        listed.add_row(*networks.row(other))
    for entry in offered.values():
        listed.add_row(entry.name, "", "", _megabytes(entry.bytes), "to pull")
    Console().print(listed)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A stored model.")], repository: Repository = None, as_json: Json = False
) -> None:
    """Contract, labels, versions and provenance of a stored model."""
    if pose := pose_models.find(_folder(repository), name):
        if as_json:
            typer.echo(msgspec.json.encode(pose_models.described(pose)).decode())
        else:
            _say(pose_models.facts(pose))
        return
    if other := networks.find(_folder(repository), name):
        if as_json:
            typer.echo(msgspec.json.encode(networks.described(other)).decode())
        else:
            _say(networks.facts(other))
        return
    try:
        stored = load(_folder(repository) / name)
        history = read_history(stored.folder, stored.live)
    except ModelError as error:
        _fail(error)
    if as_json:
        typer.echo(msgspec.json.encode({**_described(stored), "history": history}).decode())
        return
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
    facts += [("live", f"version {stored.live} of {_listed(stored.versions)}; served: {_listed(stored.served)}")]
    facts += [("", f"{change.at} {change.action} {change.before} -> {change.live}") for change in history.changes]
    _say(facts)


def _say(facts: list[tuple[str, str]]) -> None:
    for key, value in facts:
        Console().print(f"[bold]{key:>10}[/]  {value}", soft_wrap=True, highlight=False)


def _described(stored: StoredModel) -> dict[str, object]:
    """What programs are told."""
    return {
        "name": stored.detector.name,
        "folder": str(stored.folder),
        "contract": stored.detector,
        "live": stored.live,
        "served": stored.served,
        "versions": [{"version": each, "card": card_of(stored.folder, each)} for each in stored.versions],
    }


def _listed(versions: tuple[int, ...]) -> str:
    return ", ".join(str(version) for version in versions)


def _split(
    detector: Detector, clips: list[Path], cameras: list[str], start: str, end: str, count: int
) -> tuple[Pixels, Pixels]:
    """By time, source by source: what the variant is judged on comes after what it was calibrated on."""
    sources = pictures_of.of_all(clips, cameras, start, end, detector, count)
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


def _check_storing(replace: bool, as_version: bool) -> None:
    if replace and as_version:
        raise typer.BadParameter("--as-version replaces nothing", param_hint="--replace")


def _say_stored(folder: Path, as_version: bool = False) -> None:
    """Of a model its folder, or of one of its versions."""
    if as_version:
        name, version = folder.parent.name, folder.name
        Console().print(f"{name} has version {version}; live with: rewatch models promote {name} {version}")
        return
    stored = load(folder)
    for note in stored.card.notes if stored.card else ():
        Console().print(note, soft_wrap=True, highlight=False)
    Console().print(f"{stored.detector.name} is served from {folder}", soft_wrap=True, highlight=False)


def _fail(error: Exception) -> NoReturn:
    _err.print(f"[red]{type(error).__name__}[/]: {escape(str(error))}", soft_wrap=True, highlight=False, markup=True)
    raise typer.Exit(1)
