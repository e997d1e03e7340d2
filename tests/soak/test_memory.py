"""Two cameras for half an hour: no process grows."""

import json
import os
import statistics
import time
from pathlib import Path

import pytest

from benchmarks.processes import usage
from cli.collect import read_all
from cli.demo.clips import VIEWS, clips
from cli.demo.command import MODEL, ROLES, SERVERS, await_ends
from cli.demo.report import frames_by_camera, unreconciled
from cli.system import System
from devstack.rtsp import Mount
from ingest.camera_topic import write_cameras
from schemas.analysis import CameraSpec, Source
from schemas.topics import LEDGER
from simulator.spec import spec

pytestmark = [pytest.mark.soak, pytest.mark.timeout(0)]

MINUTES = float(os.environ.get("SOAK_MINUTES", "30"))
SAMPLE_SECONDS = 10.0
GROWTH = 1.05
"""between the second quarter and the last; the first is warming up: JIT, caches, first connections"""
SLACK_BYTES = 8 * 1024 * 1024
OURS = ("ingest", "worker", "recorder", "gateway", "triton")


def test_memory_stays_flat_with_two_cameras() -> None:
    rendered = clips(VIEWS, 60, (1280, 720), 15, lambda _: None)
    mounts = {f"/{clip.view.camera}": Mount(clip.path) for clip in rendered}
    samples: dict[str, list[int]] = {}
    with System(None, SERVERS, ROLES, (MODEL,), mounts=mounts, lasting=True) as system:
        bootstrap = system.addresses.kafka_bootstrap
        write_cameras(
            bootstrap,
            [
                CameraSpec(
                    clip.view.camera,
                    Source(f"{system.addresses.rtsp_url}/{clip.view.camera}"),
                    spec(clip.header.geometry, model=MODEL),
                )
                for clip in rendered
            ],
            [],
        )
        until = time.monotonic() + MINUTES * 60
        while time.monotonic() < until:
            time.sleep(SAMPLE_SECONDS)
            for name, used in usage(system.stack).items():
                samples.setdefault(name, []).append(used.rss_bytes)
            restarted = [name for name in OURS if not system.stack.service(name).running]
            assert not restarted
        write_cameras(bootstrap, [], [clip.view.camera for clip in rendered])
        await_ends(system, {clip.view.camera for clip in rendered})
        frames = frames_by_camera(read_all(bootstrap, [LEDGER.name]))
    Path("build").mkdir(exist_ok=True)
    Path("build/soak.json").write_text(json.dumps({"minutes": MINUTES, "rss_bytes": samples}))
    assert {name: unreconciled(sums) for name, sums in frames.items()} == dict.fromkeys(frames, "")
    assert all(sums.lost == 0 for sums in frames.values())
    grown = {}
    for name in OURS:
        quarter = len(samples[name]) // 4
        second = statistics.median(samples[name][quarter : 2 * quarter])
        last = statistics.median(samples[name][-quarter:])
        if last > second * GROWTH + SLACK_BYTES:
            grown[name] = f"{second / 2**20:.0f} -> {last / 2**20:.0f} MiB"
    assert grown == {}
