"""`rewatch simulate`: a rendered junction, as a clip or a live stream, with exact ground truth."""

import re
from pathlib import Path
from typing import Annotated

import cv2
import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from simulator.clip import ClipReport, render_clip, truth_path
from simulator.encoder import EncodeError, Encoding, shown
from simulator.look import VARIANTS
from simulator.scene import Scene, SceneError
from simulator.traffic import TrafficConfig

_SHOWN = Console()
_ASIDE = Console(stderr=True)


def simulate(
    out: Annotated[str, typer.Option("--out", "-o", help="File (.mp4 .mkv .mov .ts) or rtsp:// or rtmp:// address.")],
    seed: Annotated[int, typer.Option(help="Equal seeds give equal clips.")] = 0,
    variant: Annotated[str, typer.Option(help=f"One of {', '.join(VARIANTS)}.")] = "day",
    seconds: Annotated[float, typer.Option(help="Length of the clip.")] = 60.0,
    size: Annotated[str, typer.Option(help="Width and height in pixels, at most 1920x1080.")] = "1280x720",
    fps: Annotated[float, typer.Option(help="Frames per second.")] = 15.0,
    codec: Annotated[str, typer.Option(help="h264 or h265.")] = "h264",
    gop: Annotated[float, typer.Option(help="Seconds from keyframe to keyframe.")] = 1.0,
    quality: Annotated[int, typer.Option(help="Constant rate factor: smaller is better and larger.")] = 23,
    bitrate: Annotated[int, typer.Option(help="Kilobits per second; 0: constant quality instead.")] = 0,
    truth: Annotated[Path | None, typer.Option(help="Truth file; default: beside the clip.")] = None,
    realtime: Annotated[bool, typer.Option("--realtime", help="Write frames at their times, as a camera.")] = False,
    violations: Annotated[float, typer.Option(help="Chance per lane and cycle of someone running the light.")] = 0.7,
    demand: Annotated[float, typer.Option(help="Factor on the amount of traffic.")] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Render a junction seen by a fixed camera, with exact ground truth beside it."""
    cv2.setNumThreads(1)  # threads gain nothing on pictures of this size and cost others their cores
    try:
        width, height = _size(size)
        encoding = Encoding(
            codec=codec,  # type: ignore[arg-type]  # the encoder says what is wrong with another
            gop_seconds=gop,
            quality=quality,
            bitrate=bitrate * 1000 or None,
        )
        config = TrafficConfig(violation_probability=violations, demand=demand)
        scene = Scene(seed, variant, width, height, fps, config)  # type: ignore[arg-type]
        beside = truth if truth or "://" in out else truth_path(Path(out))
        report = _rendered(scene, out, seconds, encoding, beside, realtime, quiet=as_json)
    except (SceneError, EncodeError, OSError) as error:
        _ASIDE.print(f"[red]simulate:[/red] {error}", highlight=False)
        raise typer.Exit(2) from error
    if as_json:
        print(msgspec.json.encode(report).decode())
        return
    _SHOWN.print(f"{shown(out)}: {report.frames} frames, {report.seconds:.1f} s, rendered in {report.elapsed:.1f} s")
    _SHOWN.print(f"tracks {report.tracks}  crossings {report.crossings}  red-light violations {report.violations}")
    if report.truth:
        _SHOWN.print(f"truth: {report.truth}")


def _rendered(
    scene: Scene, out: str, seconds: float, encoding: Encoding, truth: Path | None, realtime: bool, quiet: bool
) -> ClipReport:
    columns = (TextColumn("rendering"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_ASIDE, disable=quiet or not _ASIDE.is_terminal) as bar:
        task = bar.add_task("rendering", total=round(seconds * scene.fps))
        return render_clip(
            scene, out, seconds, encoding, truth, realtime, lambda done, _: bar.update(task, completed=done)
        )


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if not match:
        raise SceneError(f"size {text!r}: write it like 1280x720")
    return int(match[1]), int(match[2])
