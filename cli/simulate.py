"""`rewatch simulate`: a rendered junction, production line or shop, as a clip or a live stream, with exact truth."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import cv2
import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from simulator.clip import ClipReport, render_clip, truth_path
from simulator.encoder import EncodeError, Encoding, shown
from simulator.line.clip import LineReport, render_line
from simulator.line.part import LineConfig, LineError
from simulator.line.scene import LineScene
from simulator.look import VARIANTS
from simulator.scene import Scene, SceneError
from simulator.shop.clip import ShopReport, render_shop
from simulator.shop.scene import ShopConfig, ShopError, ShopScene
from simulator.traffic import TrafficConfig

_SHOWN = Console()
_ASIDE = Console(stderr=True)


def simulate(
    out: Annotated[str, typer.Option("--out", "-o", help="File (.mp4 .mkv .mov .ts) or rtsp:// or rtmp:// address.")],
    scene: Annotated[str, typer.Option(help="junction; line: parts on a belt; shop: people in a shop.")] = "junction",
    seed: Annotated[int, typer.Option(help="Equal seeds give equal clips.")] = 0,
    variant: Annotated[str, typer.Option(help=f"Of a junction: {', '.join(VARIANTS)}.")] = "day",
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
    defective: Annotated[float, typer.Option(help="Of a line: share of parts with a defect.")] = 0.1,
    defect_mm: Annotated[float, typer.Option(help="Of a line: size of every defect; 0: each kind's own sizes.")] = 0.0,
    belt: Annotated[float, typer.Option(help="Of a line: the belt's speed, millimetres a second.")] = 30.0,
    people: Annotated[int, typer.Option(help="Of a shop: about how many are in it at once.")] = 7,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Render a junction, a production line or a shop seen by a fixed camera, with exact ground truth beside it."""
    cv2.setNumThreads(1)  # threads gain nothing on pictures of this size and cost others their cores
    try:
        width, height = _size(size)
        encoding = Encoding(
            codec=codec,  # type: ignore[arg-type]  # the encoder says what is wrong with another
            gop_seconds=gop,
            quality=quality,
            bitrate=bitrate * 1000 or None,
        )
        beside = truth if truth or "://" in out else truth_path(Path(out))
        with _progress(round(seconds * fps) if seconds > 0 else None, as_json) as progress:
            report: ClipReport | LineReport | ShopReport
            if scene == "junction":
                config = TrafficConfig(violation_probability=violations, demand=demand)
                junction = Scene(seed, variant, width, height, fps, config)  # type: ignore[arg-type]
                report = render_clip(junction, out, seconds, encoding, beside, realtime, progress)
            elif scene == "line":
                if variant != "day":
                    raise LineError(f"variant {variant!r}: a line has no variants, its light drifts by itself")
                asked = LineConfig(defective=defective, sizes=(defect_mm, defect_mm) if defect_mm else None, speed=belt)
                line = LineScene(seed, width, height, fps, asked)
                report = render_line(line, out, seconds, encoding, beside, realtime, progress)
            elif scene == "shop":
                if variant != "day":
                    raise ShopError(f"variant {variant!r}: a shop has no variants, each seed has its own light")
                shop = ShopScene(seed, width, height, fps, ShopConfig(people))
                report = render_shop(shop, out, seconds, encoding, beside, realtime, progress)
            else:
                raise SceneError(f"unknown scene {scene!r}: choose junction, line or shop")
    except (SceneError, LineError, ShopError, EncodeError, OSError) as error:
        _ASIDE.print(f"[red]simulate:[/red] {error}", highlight=False)
        raise typer.Exit(2) from error
    if as_json:
        print(msgspec.json.encode(report).decode())
        return
    _SHOWN.print(f"{shown(out)}: {report.frames} frames, {report.seconds:.1f} s, rendered in {report.elapsed:.1f} s")
    if isinstance(report, ClipReport):
        _SHOWN.print(f"tracks {report.tracks}  crossings {report.crossings}  red-light violations {report.violations}")
    elif isinstance(report, ShopReport):
        _SHOWN.print(f"people {report.people}  bought {report.bought}  seconds of activities {report.activities}")
    else:
        _SHOWN.print(f"parts {report.parts}  defective {report.defective}  defects {report.defects}")
    if report.truth:
        _SHOWN.print(f"truth: {report.truth}")


@contextmanager
def _progress(total: int | None, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    columns = (TextColumn("rendering"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_ASIDE, disable=quiet or not _ASIDE.is_terminal) as bar:
        task = bar.add_task("rendering", total=total)
        yield lambda done, _: bar.update(task, completed=done)


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if not match:
        raise SceneError(f"size {text!r}: write it like 1280x720")
    return int(match[1]), int(match[2])
