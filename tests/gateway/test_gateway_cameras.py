"""What is known of each camera, and what is kept to itself."""

import time
from pathlib import Path

import msgspec

from gateway.memory_log import MemoryLog
from schemas.analysis import CameraSpec, Source
from schemas.messages import EndLedger, Event, Heartbeat, IngestLedger
from schemas.topics import CAMERAS, DETECTIONS
from tests.gateway import clip
from tests.gateway.asgi import gateway, settings

SECOND = 10**9


def spec(camera: str, url: str = "rtsp://user:secret@10.1.2.3/one?token=abc", batch: bool = False) -> CameraSpec:
    return CameraSpec(id=camera, source=Source(url=url), batch=batch, labels={"site": "north"})


async def test_a_camera_with_results(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        found.writer.spec(spec("cam"))
        now = time.time_ns()
        for index in range(40):
            at = now - (40 - index) * SECOND // 10
            found.writer.result(clip.detections("cam", index, at), {"total": 50.0 + index}, at // 1_000_000 + 60)
        for gop in range(3):
            at = now - (4 - gop) * SECOND
            found.writer.result(IngestLedger("cam", "s", gop, at, received=10, published=10, lost=0))
        gap: dict[str, str | float | int] = {"reason": "stalled", "lost": 12}
        found.writer.result(Event("e", "cam", "gap", "", now - SECOND, None, None, None, gap, clip.provenance()))
        found.writer.result(Heartbeat("i-1", "ingest", "h", 1, ("cam", "other"), {}))
        await found.settle()
        cam = (await found.http.get("/cameras/cam")).json()
        assert cam["state"] == "online"
        assert cam["source"] == "rtsp://***@10.1.2.3/one?***"
        assert cam["labels"] == {"site": "north"}
        assert (cam["width"], cam["height"]) == (clip.WIDTH, clip.HEIGHT)
        assert cam["fps"] == 10.0
        assert cam["source_fps"] == 10.0
        assert cam["latency_ms"] == {"p50": 69.0, "p95": 87.0}
        assert 0 <= cam["lag_seconds"] < 5
        assert cam["last_gap"] == {"captured_ns": now - SECOND, "reason": "stalled", "lost": 12}
        assert cam["last_frame_ns"] == now - SECOND // 10
        assert cam["signals"] == {"north": "red"}
        assert cam["model"] == "square-finder"
        assert set(cam["processes"]) == {"ingest"}
        assert "secret" not in (await found.http.get("/cameras")).text


async def test_states(tmp_path: Path) -> None:
    now = [time.time()]
    async with gateway(settings(tmp_path), clock=lambda: now[0]) as found:
        for name in ("fresh", "silent", "never"):
            found.writer.spec(spec(name))
        at = int(now[0] * SECOND)
        found.writer.result(clip.detections("fresh", 1, at))
        found.writer.result(clip.detections("silent", 1, at - 30 * SECOND), None, at // 1_000_000 - 30_000)
        found.writer.spec(spec("file", "/tmp/secret-place/clip.mp4", batch=True))
        found.writer.result(clip.detections("file", 1, 5 * SECOND))
        found.writer.result(EndLedger("file", "s", 1, "cut short"))
        await found.settle()
        cameras = {one["id"]: one for one in (await found.http.get("/cameras")).json()["cameras"]}
        assert {name: one["state"] for name, one in cameras.items()} == {
            "fresh": "online",
            "silent": "dark",
            "never": "unknown",
            "file": "ended",
        }
        assert cameras["file"]["error"] == "cut short"
        assert cameras["file"]["source"] == "clip.mp4"
        assert cameras["file"]["batch"] is True
        now[0] += 11
        assert (await found.http.get("/cameras/fresh")).json()["state"] == "dark"


async def test_a_withdrawn_camera_leaves(tmp_path: Path) -> None:
    now = [time.time()]
    async with gateway(settings(tmp_path), clock=lambda: now[0]) as found:
        found.writer.spec(spec("cam"))
        found.writer.result(clip.detections("cam", 1, time.time_ns()))
        await found.settle()
        found.writer.withdraw("cam")
        await found.settle()
        assert (await found.http.get("/cameras/cam")).status_code == 404
        found.writer.result(clip.detections("cam", 2, time.time_ns()))
        await found.settle()
        assert (await found.http.get("/cameras/cam")).json()["source"] is None
        now[0] += 70
        assert (await found.http.get("/cameras")).json()["cameras"] == []


async def test_a_replay_says_nothing_about_now(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        now = time.time_ns()
        found.writer.result(clip.detections("cam", 1, now))
        revised = msgspec.structs.replace(clip.detections("cam", 1, now + 50 * SECOND), revision=1)
        found.writer.result(revised)
        await found.settle()
        assert (await found.http.get("/cameras/cam")).json()["last_frame_ns"] == now


async def test_unreadable_records_are_passed_over(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        found.log.append(CAMERAS.name, b"bad", b"{", [], None)
        found.log.append(CAMERAS.name, b"\xff\xfe", b"{}", [], None)
        found.log.append(DETECTIONS.name, b"cam", b"[]", [("timing", b"what")], None)
        found.writer.spec(spec("good"))
        await found.settle()
        assert [one["id"] for one in (await found.http.get("/cameras")).json()["cameras"]] == ["good"]


async def test_the_gateway_starts_before_the_log_answers(tmp_path: Path) -> None:
    log = MemoryLog()
    log.away = True
    async with gateway(settings(tmp_path), log, ready=False) as found:
        assert (await found.http.get("/readyz")).status_code == 503
        assert (await found.http.get("/livez")).status_code == 200
        assert (await found.http.get("/cameras")).json() == {"cameras": []}
        assert (await found.http.get("/events")).status_code == 503
        log.away = False
        await found.until_ready()


async def test_without_any_worker_the_frames_themselves_are_looked_at(tmp_path: Path) -> None:
    now = [time.time()]
    async with gateway(settings(tmp_path), clock=lambda: now[0]) as found:
        for name in ("cam", "never"):
            found.writer.spec(spec(name))
        await found.settle()
        units = list(clip.access_units("cam", 30, int(now[0] * SECOND) - 3 * SECOND))
        for unit in units:
            found.writer.frame(unit)
        found.log.append("frames", b"cam", b"rubbish", [], None)
        now[0] += 3
        cameras = {one["id"]: one for one in (await found.http.get("/cameras")).json()["cameras"]}
        assert cameras["cam"]["state"] == "online"
        assert cameras["cam"]["codec"] == "h264"
        assert cameras["cam"]["last_frame_ns"] == units[-1].captured_ns
        assert cameras["cam"]["lag_seconds"] is None
        assert cameras["never"]["state"] == "unknown"
        now[0] += 20
        assert (await found.http.get("/cameras/cam")).json()["state"] == "dark"
