"""The same clip and the same model once as a bare loop, once through the whole pipeline with one to three cameras.

Run as `python -m benchmarks.pipeline`; prints a table and writes build/bench.json. A ratio is of CPU seconds per
frame: all processes that carry a frame (RTSP server, recorder and gateway apart) over the bare loop's one. Like is
held against like: `cpu_ratio` is live video over RTSP against the loop at the video's rate; `cpu_ratio_file` is the
clip read as fast as the pipeline takes it against the loop at full speed. A frame at a time costs the loop, too, more
than one after the other: `cpu_ratio_live_to_full_speed` holds the live pipeline against the fast loop. Pipeline and
loop take turns, never at the same time, because machines drift within minutes. Latency is of the live turns.
"""

import json
import os
import platform
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.processes import usage
from cli.collect import Record, read_all
from cli.demo.clips import Clip, View, clips
from cli.demo.report import latency
from cli.system import System
from devstack.rtsp import Mount
from ingest.camera_topic import write_cameras
from runtime.config import Settings
from schemas.analysis import CameraSpec, Source
from schemas.topics import DETECTIONS, LEDGER
from simulator.spec import spec

ROOT: Final = Path(__file__).resolve().parents[1]
MODEL: Final = "junction-yolo"
CARRIERS: Final = ("ingest", "kafka", "worker", "triton")
"""the processes without which a frame has no result; the ratio is theirs"""
BASELINE_FRAMES: Final = 150
FILE_PASSES: Final = 2
VIEW: Final = View("bench", 5, "day")


@dataclass
class Live:
    """What some cameras at once cost and took, over all turns."""

    cameras: int
    seconds: float = 0.0
    used: Counter[str] = field(default_factory=Counter)
    """CPU seconds by process"""
    records: list[Record] = field(default_factory=list)

    def report(self, loop: float, fast: float) -> dict[str, Any]:
        """`loop` and `fast`: the bare loop's CPU seconds per frame, at the video's rate and at full speed."""
        per_frame = {name: value / len(self.records) for name, value in self.used.items()}
        carried = sum(per_frame[name] for name in CARRIERS)
        return {
            "cameras": self.cameras,
            "frames": len(self.records),
            "frames_per_second": round(len(self.records) / self.seconds, 2),
            "cpu_ms_per_frame": {name: round(value * 1e3, 2) for name, value in per_frame.items()},
            "cpu_ratio": round(carried / loop, 3),
            "cpu_ratio_live_to_full_speed": round(carried / fast, 3),
            "cpu_ratio_with_all_processes": round(sum(per_frame.values()) / loop, 3),
            "latency_ms": latency(self.records),
        }


def main(
    seconds: Annotated[float, typer.Option(help="How long each of the turns is measured.")] = 15,
    rounds: Annotated[int, typer.Option(help="Turns of the pipeline and of the loop.")] = 3,
    warm_up: Annotated[float, typer.Option(help="Seconds before the measuring begins: the broker compiles.")] = 480,
    settle: Annotated[float, typer.Option(help="Seconds of live video before each turn.")] = 8,
    size: Annotated[str, typer.Option()] = "1920x1080",
    fps: Annotated[float, typer.Option()] = 15,
    linger_ms: Annotated[int | None, typer.Option(help="REWATCH_LINGER_MS of the pipeline.")] = None,
    out: Annotated[Path, typer.Option()] = Path("build/bench.json"),
) -> None:
    """Compare the pipeline with a bare loop."""
    if linger_ms is not None:
        os.environ["REWATCH_LINGER_MS"] = str(linger_ms)
    width, height = (int(side) for side in size.split("x"))
    (clip,) = clips((VIEW,), 30, (width, height), fps, lambda _: None)
    lives = one, two, three = Live(1), Live(2), Live(3)
    paced: list[float] = []
    with System(
        None,
        ("kafka", "triton", "redis", "influxdb", "rtsp"),
        ("ingest", "worker", "recorder", "gateway"),
        (MODEL,),
        mounts={"/bench": Mount(clip.path)},
        lasting=True,
    ) as system:
        _live_turn(system, clip, Live(3), warm_up, 0)
        for _ in range(rounds):
            for live in lives:
                _live_turn(system, clip, live, settle, seconds)
            paced.append(bare_loop(clip.path, fps))
        rss = {name: round(value.rss_bytes / 2**20, 1) for name, value in usage(system.stack).items()}
        fast = [bare_loop(clip.path)]
        file_frames, file_ms = _file_run(system, clip)
        fast.append(bare_loop(clip.path))
    report: dict[str, Any] = {
        "machine": {"cpu": _cpu(), "cores": _cores(), "commit": _commit()},
        "pipeline": {
            "size": size,
            "fps": fps,
            "linger_ms": Settings().linger_ms,
            "baseline_cpu_ms_per_frame": round(mean(paced) * 1e3, 2),
            "baseline_cpu_ms_per_frame_file": round(mean(fast) * 1e3, 2),
            **two.report(mean(paced), mean(fast)),
            "one_camera": one.report(mean(paced), mean(fast)),
            "three_cameras": three.report(mean(paced), mean(fast)),
            "cpu_ms_per_frame_file": {name: round(value, 2) for name, value in file_ms.items()},
            "cpu_ratio_file": round(sum(file_ms[name] for name in CARRIERS) / mean(fast) / 1e3, 3),
            "frames_file": file_frames,
            "rss_mib": rss,
        },
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    kept = json.loads(out.read_text()) if out.exists() else {}
    out.write_bytes(msgspec.json.format(msgspec.json.encode({**kept, **report})) + b"\n")
    _print(report["pipeline"], out)


def _live_turn(system: System, clip: Clip, live: Live, settle: float, seconds: float) -> None:
    bootstrap = system.addresses.kafka_bootstrap
    source = Source(url=f"{system.addresses.rtsp_url}/bench")
    analysis = spec(clip.header.geometry, model=MODEL)
    specs = [CameraSpec(f"{VIEW.camera}-{number}", source, analysis) for number in range(live.cameras)]
    write_cameras(bootstrap, specs, [])
    time.sleep(settle)
    begin_ms, before = time.time() * 1000, usage(system.stack)
    time.sleep(seconds)
    end_ms, after = time.time() * 1000, usage(system.stack)
    live.seconds += seconds
    live.records += [r for r in read_all(bootstrap, [DETECTIONS.name]) if begin_ms <= r.timestamp_ms < end_ms]
    live.used.update({name: after[name].cpu_seconds - before[name].cpu_seconds for name in before if name in after})
    write_cameras(bootstrap, [], [camera.id for camera in specs])
    time.sleep(3)


def _file_run(system: System, clip: Clip) -> tuple[int, dict[str, float]]:
    """Frames, and CPU milliseconds per frame by process, of the clip read FILE_PASSES times at full speed."""
    bootstrap = system.addresses.kafka_bootstrap
    used = usage(system.stack)
    analysis = spec(clip.header.geometry, model=MODEL)
    names = [f"bench-file-{number}" for number in range(FILE_PASSES)]
    for name in names:
        write_cameras(bootstrap, [CameraSpec(name, Source(url=str(clip.path), pace="max"), analysis)], [])
        while not any(
            r.key == name.encode() and r.json()["stage"] == "end" for r in read_all(bootstrap, [LEDGER.name])
        ):
            time.sleep(2)
    after = usage(system.stack)
    frames = sum(r.key.decode() in names for r in read_all(bootstrap, [DETECTIONS.name]))
    return frames, {name: (after[name].cpu_seconds - used[name].cpu_seconds) * 1e3 / frames for name in used}


def bare_loop(clip: Path, fps: float | None = None, model: str = MODEL) -> float:
    """CPU seconds per frame, in a process of its own."""
    graph = ROOT / "triton_models" / model / "1" / "model.onnx"
    command = [sys.executable, "-m", "benchmarks.bare_loop", str(clip), str(graph), str(BASELINE_FRAMES)]
    if fps is not None:
        command.append(str(fps))
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return float(json.loads(done.stdout)["cpu_seconds_per_frame"])


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _cores() -> int:
    return os.cpu_count() or 1


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    return done.stdout.strip()


def _print(pipeline: dict[str, Any], out: Path) -> None:
    console = Console()
    lives = pipeline["one_camera"], pipeline, pipeline["three_cameras"]
    file = pipeline["cpu_ms_per_frame_file"]
    table = Table(title=f"CPU milliseconds per frame, {pipeline['size']} at {pipeline['fps']:g} fps")
    table.add_column("process")
    for column in ("live, 1 camera", "live, 2 cameras", "live, 3 cameras", "file"):
        table.add_column(column, justify="right")
    loop = str(pipeline["baseline_cpu_ms_per_frame"])
    table.add_row("bare loop", loop, loop, loop, str(pipeline["baseline_cpu_ms_per_frame_file"]))
    for name in file:
        table.add_row(name, *(str(live["cpu_ms_per_frame"][name]) for live in lives), str(file[name]))
    table.add_row("ratio", *(str(live["cpu_ratio"]) for live in lives), str(pipeline["cpu_ratio_file"]))
    for percentile in ("p50", "p95", "p99"):
        times = [str(live["latency_ms"].get(percentile)) for live in lives]
        table.add_row(f"latency {percentile}, ms", *times)
    console.print(table)
    console.print(f"written to {out}")


if __name__ == "__main__":
    typer.run(main)
