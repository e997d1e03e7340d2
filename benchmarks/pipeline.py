"""The same clip and the same model once as a bare loop, once through the whole pipeline.

Run as `python -m benchmarks.pipeline`; prints a table and writes build/bench.json. A ratio is of CPU seconds per
frame: all processes that carry a frame (RTSP server, recorder and gateway apart) over the bare loop's one. There are
two: `cpu_ratio` of live video over RTSP at its own rate, and `cpu_ratio_file` of the clip read as fast as the pipeline
takes it, which is how the bare loop reads it. Latency is of the live run.
"""

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.processes import usage
from cli.collect import read_all
from cli.demo.clips import Clip, View, clips
from cli.demo.report import latency
from cli.system import System
from devstack.rtsp import Mount
from ingest.camera_topic import write_cameras
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


def main(
    seconds: Annotated[float, typer.Option(help="How long the pipeline is measured.")] = 40,
    warm_up: Annotated[float, typer.Option(help="Seconds before the measuring begins.")] = 45,
    size: Annotated[str, typer.Option()] = "1920x1080",
    fps: Annotated[float, typer.Option()] = 15,
    out: Annotated[Path, typer.Option()] = Path("build/bench.json"),
) -> None:
    """Compare the pipeline with a bare loop."""
    width, height = (int(side) for side in size.split("x"))
    (clip,) = clips((VIEW,), 30, (width, height), fps, lambda _: None)
    before = _bare_loop(clip.path)
    with System(
        None,
        ("kafka", "triton", "redis", "influxdb", "rtsp"),
        ("ingest", "worker", "recorder", "gateway"),
        (MODEL,),
        mounts={"/bench": Mount(clip.path)},
    ) as system:
        bootstrap = system.addresses.kafka_bootstrap
        source = Source(url=f"{system.addresses.rtsp_url}/bench")
        write_cameras(bootstrap, [CameraSpec(VIEW.camera, source, spec(clip.header.geometry, model=MODEL))], [])
        time.sleep(warm_up)
        begin_ms, used = time.time() * 1000, usage(system.stack)
        time.sleep(seconds)
        end_ms, used_after = time.time() * 1000, usage(system.stack)
        records = [r for r in read_all(bootstrap, [DETECTIONS.name]) if begin_ms <= r.timestamp_ms < end_ms]
        write_cameras(bootstrap, [], [VIEW.camera])
        file_frames, file_ms = _file_run(system, clip)
    after = _bare_loop(clip.path)
    frames = len(records)
    baseline = (before["cpu_seconds_per_frame"] + after["cpu_seconds_per_frame"]) / 2
    per_frame = {
        name: (used_after[name].cpu_seconds - used[name].cpu_seconds) / frames for name in used if name in used_after
    }
    carried = sum(per_frame[name] for name in CARRIERS)
    report: dict[str, Any] = {
        "machine": {"cpu": _cpu(), "cores": _cores(), "commit": _commit()},
        "pipeline": {
            "size": size,
            "fps": fps,
            "frames": frames,
            "frames_per_second": round(frames / seconds, 2),
            "baseline_cpu_ms_per_frame": round(baseline * 1e3, 2),
            "cpu_ms_per_frame": {name: round(value * 1e3, 2) for name, value in per_frame.items()},
            "cpu_ratio": round(carried / baseline, 3),
            "cpu_ms_per_frame_file": {name: round(value, 2) for name, value in file_ms.items()},
            "cpu_ratio_file": round(sum(file_ms[name] for name in CARRIERS) / baseline / 1e3, 3),
            "frames_file": file_frames,
            "cpu_ratio_with_all_processes": round(sum(per_frame.values()) / baseline, 3),
            "latency_ms": latency(records),
            "rss_mib": {name: round(value.rss_bytes / 2**20, 1) for name, value in used_after.items()},
        },
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    kept = json.loads(out.read_text()) if out.exists() else {}
    out.write_bytes(msgspec.json.format(msgspec.json.encode({**kept, **report})) + b"\n")
    _print(report["pipeline"], out)


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


def _ended(bootstrap: str, camera: str) -> bool:
    entries = read_all(bootstrap, [LEDGER.name])
    return any(entry.key == camera.encode() and entry.json()["stage"] == "end" for entry in entries)


def _bare_loop(clip: Path) -> dict[str, float]:
    """In a process of its own; measured before and after, because machines drift."""
    model = ROOT / "triton_models" / MODEL / "1" / "model.onnx"
    command = [sys.executable, "-m", "benchmarks.bare_loop", str(clip), str(model), str(BASELINE_FRAMES)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    result: dict[str, float] = json.loads(done.stdout)
    return result


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
    table = Table(title=f"CPU per frame, {pipeline['size']} at {pipeline['fps']:g} fps")
    table.add_column("process")
    table.add_column("ms", justify="right")
    table.add_row("bare loop", str(pipeline["baseline_cpu_ms_per_frame"]))
    for name, value in pipeline["cpu_ms_per_frame"].items():
        table.add_row(name, str(value))
    console.print(table)
    times = pipeline["latency_ms"]
    console.print(
        f"ratio {pipeline['cpu_ratio']} live, {pipeline['cpu_ratio_file']} from a file\n"
        f"latency p50 {times.get('p50')} p95 {times.get('p95')} p99 {times.get('p99')} ms at "
        f"{pipeline['frames_per_second']} frames per second\nwritten to {out}"
    )


if __name__ == "__main__":
    typer.run(main)
