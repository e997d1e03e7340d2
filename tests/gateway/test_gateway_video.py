"""Live video: from the latest keyframe, whole GOPs only, read only while somebody watches."""

import asyncio
import json
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway import video
from gateway.log import Position
from gateway.memory_log import MemoryReader
from gateway.routes import video as route
from schemas.messages import AccessUnit
from schemas.topics import FRAMES
from tests.gateway import clip
from tests.gateway.asgi import Gateway, Socket, gateway, settings

UNITS = list(clip.access_units("cam", 30, 0))


def write(found: Gateway, indices: range, camera: str = "cam", start_ns: int | None = None) -> None:
    start = time.time_ns() if start_ns is None else start_ns
    for index in indices:
        unit = msgspec.structs.replace(UNITS[index % 30], camera=camera, gop=index // 10, captured_ns=start + index)
        found.writer.frame(unit)


async def unit_of(socket: Socket, timeout: float = 5) -> tuple[dict[str, Any], bytes]:
    while True:
        message = await socket.raw(timeout)
        if message.get("bytes") is not None:
            head, _, data = message["bytes"].partition(b"\n")
            return json.loads(head), data


async def test_a_viewer_starts_at_the_latest_keyframe_and_goes_on(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        now = time.time_ns()
        write(found, range(25), start_ns=now)
        write(found, range(20, 29), camera="other", start_ns=now)
        async with found.socket("/ws/video/cam") as socket:
            got = [await unit_of(socket) for _ in range(5)]
            assert [(about["gop"], about["index"]) for about, _ in got] == [(2, index) for index in range(5)]
            about, data = got[0]
            assert about["keyframe"] is True
            assert (about["codec"], about["width"], about["height"]) == ("h264", clip.WIDTH, clip.HEIGHT)
            assert about["captured_ns"] == str(now + 20)
            assert data == UNITS[20].data
            write(found, range(25, 35), start_ns=now)
            following = [await unit_of(socket) for _ in range(10)]
            assert [about["captured_ns"] for about, _ in following] == [str(now + n) for n in range(25, 35)]
            async with found.socket("/ws/video/cam") as second:
                about, _ = await unit_of(second)
                assert (about["gop"], about["index"]) == (3, 0)


async def test_no_frames_are_read_while_nobody_watches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "_LINGER_SECONDS", 0.05)
    async with gateway(settings(tmp_path)) as found:
        readers: list[str] = []
        reader = found.log.reader

        def counted(topic: str, start: Position, stop: Position | None = None) -> MemoryReader:
            readers.append(topic)
            return reader(topic, start, stop)

        monkeypatch.setattr(found.log, "reader", counted)
        write(found, range(10))
        await found.settle()
        assert FRAMES.name not in readers
        async with found.socket("/ws/video/cam") as socket:
            await unit_of(socket)
            assert FRAMES.name in readers
        await asyncio.sleep(0.2)
        tasks = [task for task in asyncio.all_tasks() if "Channel.run" in repr(task)]
        assert tasks == []


async def test_a_camera_without_frames_waits_for_its_first_keyframe(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        async with found.socket("/ws/video/cam") as socket:
            await asyncio.sleep(0.05)
            write(found, range(5, 12))  # from the middle of a GOP
            about, _ = await unit_of(socket)
            assert about["keyframe"] is True


async def test_absurd_records_are_passed_over(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        async with found.socket("/ws/video/cam") as socket:
            await asyncio.sleep(0.05)
            found.log.append(FRAMES.name, b"cam", b"x", [("v", b"1"), ("kind", b"au"), ("keyframe", b"1")], None)
            found.log.append(FRAMES.name, b"cam", None, [], None)
            write(found, range(1))
            about, _ = await unit_of(socket)
            assert about["index"] == 0


def unit(index: int) -> AccessUnit:
    return msgspec.structs.replace(UNITS[0], index=index % 10, keyframe=index % 10 == 0, gop=index // 10)


async def test_a_slow_viewer_goes_on_at_a_keyframe() -> None:
    viewer = video.Viewer([])
    for index in range(5, 305):
        viewer.offer(unit(index))
    got = [await viewer.take() for _ in range(len(viewer._waiting))]
    assert viewer.dropped == 300 - len(got)
    assert 0 < len(got) <= 130
    numbers = [one.gop * 10 + one.index for one in got]
    assert got[0].keyframe
    for before, after in pairwise(numbers):
        assert after == before + 1 or after % 10 == 0


async def test_a_long_gop_reaches_a_newcomer_whole() -> None:
    gop = [msgspec.structs.replace(UNITS[0], index=index, keyframe=index == 0) for index in range(250)]
    viewer = video.Viewer(gop)
    for index in range(250, 280):
        viewer.offer(msgspec.structs.replace(UNITS[0], index=index, keyframe=False))
    assert [(await viewer.take()).index for _ in range(280)] == list(range(280))
    assert viewer.dropped == 0


async def test_too_many_viewers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "MAX_CHANNELS", 1)
    monkeypatch.setattr(route, "MAX_VIEWERS", 2)
    async with gateway(settings(tmp_path)) as found:
        write(found, range(3))
        async with found.socket("/ws/video/cam") as socket:
            await unit_of(socket)
            async with found.socket("/ws/video/other") as other:
                message = await other._from_app.get()
                assert (message["type"], message["code"]) == ("websocket.close", 1013)
