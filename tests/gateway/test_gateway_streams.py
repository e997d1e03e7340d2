"""WebSocket feeds: nothing twice, nothing left out, and nobody holds up the others."""

import asyncio
import time
from pathlib import Path

import pytest

from gateway import feed, socket_client
from gateway.routes import streams
from runtime.metrics import REGISTRY
from schemas.topics import EVENTS
from tests.gateway import clip
from tests.gateway.asgi import Closed, Gateway, Socket, gateway, settings


def write(found: Gateway, numbers: range, camera: str = "cam-{}", kind: str = "line_crossed") -> None:
    now = time.time_ns()
    for number in numbers:
        found.writer.result(clip.event(camera.format(number % 5), number, now + number, kind), {"total": 80.0})


async def numbers_of(socket: Socket, count: int) -> list[int]:
    return [(await socket.of_type("event"))["data"]["details"]["number"] for _ in range(count)]


async def test_events_as_they_come(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        write(found, range(5))
        await found.settle()
        async with found.socket("/ws/events") as socket:
            assert (await socket.json())["type"] == "hello"
            write(found, range(5, 30))
            assert sorted(await numbers_of(socket, 25)) == list(range(5, 30))
            write(found, range(30, 31))
            message = await socket.of_type("event")
            assert message["timing"] == {"total": 80.0}
            assert message["data"]["id"] == "cam-0-30"


@pytest.mark.parametrize("near", [0, 10, 10_000])
async def test_a_client_that_was_away_misses_nothing(
    tmp_path: Path, near: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`near` moves the seam: from the log alone, from both, from the hub alone."""
    monkeypatch.setattr(feed, "_NEAR", near)
    async with gateway(settings(tmp_path)) as found:
        write(found, range(100))
        cursor, seen = "", []
        first = (await found.http.get("/events?limit=37")).json()
        seen += [event["details"]["number"] for event in first["events"]]
        cursor = first["next"]
        for turn in range(6):
            write(found, range(100 + turn * 20, 120 + turn * 20))
            async with found.socket(f"/ws/events?cursor={cursor}") as socket:
                while len(seen) < 80 + turn * 25:
                    message = await socket.json()
                    cursor = message["cursor"]
                    if message["type"] == "event":
                        seen.append(message["data"]["details"]["number"])
        async with found.socket(f"/ws/events?cursor={cursor}") as socket:
            seen += await numbers_of(socket, 220 - len(seen))
            with pytest.raises(TimeoutError):
                await socket.of_type("event", timeout=0.2)
        assert sorted(seen) == list(range(220))


async def test_the_seam_while_events_keep_coming(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        cursor = (await found.http.get("/events")).json()["next"]
        write(found, range(50))

        async def keep_writing() -> None:
            for number in range(50, 500):
                write(found, range(number, number + 1))
                if number % 3 == 0:
                    await asyncio.sleep(0)

        async with found.socket(f"/ws/events?cursor={cursor}") as socket:
            writing = asyncio.create_task(keep_writing())
            got = await numbers_of(socket, 500)
            await writing
        assert sorted(got) == list(range(500))
        # of one camera, which is in one partition, in order
        assert [n for n in got if n % 5 == 2] == list(range(2, 500, 5))


async def test_filters_and_heartbeats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_client, "HEARTBEAT_SECONDS", 0.1)
    async with gateway(settings(tmp_path)) as found:
        async with found.socket("/ws/events?camera=cam-1&kind=red_light") as socket:
            await socket.of_type("hello")
            write(found, range(10))
            write(found, range(10, 20), kind="red_light")
            assert sorted(await numbers_of(socket, 2)) == [11, 16]
            beat = await socket.of_type("heartbeat")
        # what was filtered out lies behind the heartbeat's cursor too
        async with found.socket(f"/ws/events?cursor={beat['cursor']}") as socket:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await socket.of_type("event")


async def test_a_bad_cursor_ends_with_an_error_that_says_so(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        async with found.socket("/ws/events?cursor=nonsense") as socket:
            assert "cursor" in (await socket.of_type("error"))["detail"]
            with pytest.raises(Closed) as closed:
                await socket.json()
            assert closed.value.code == 1008


async def test_a_cursor_into_deleted_records_goes_on_where_the_log_begins(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        cursor = (await found.http.get("/events")).json()["next"]
        write(found, range(10), camera="cam")
        partition = next(p for p, end in (await found.log.ends(EVENTS.name)).items() if end)
        found.log.expire(EVENTS.name, partition, 6)
        async with found.socket(f"/ws/events?cursor={cursor}") as socket:
            assert "retention" in (await socket.of_type("expired"))["detail"]
            assert await numbers_of(socket, 4) == [6, 7, 8, 9]


async def test_a_slow_client_is_closed_and_counted_and_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "_QUEUE", 50)
    monkeypatch.setattr(socket_client.SocketClient.__init__, "__defaults__", (0.3,))
    async with gateway(settings(tmp_path)) as found:
        before = REGISTRY.get_sample_value("rewatch_gateway_clients_dropped_total") or 0
        async with found.socket("/ws/events") as slow, found.socket("/ws/events") as quick:
            cursor = (await slow.of_type("hello"))["cursor"]
            slow.flowing.clear()
            got = []
            for start in range(0, 200, 20):
                write(found, range(start, start + 20))
                got += await numbers_of(quick, 20)
            assert sorted(got) == list(range(200))
            with pytest.raises(Closed) as closed:
                await slow.of_type("never")
            assert closed.value.code == 1013
        assert REGISTRY.get_sample_value("rewatch_gateway_clients_dropped_total") == before + 1
        async with found.socket(f"/ws/events?cursor={cursor}") as again:
            assert sorted(await numbers_of(again, 200)) == list(range(200))


async def test_too_many_clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MAX_CLIENTS", 1)
    async with gateway(settings(tmp_path)) as found:
        async with found.socket("/ws/events") as socket:
            await socket.of_type("hello")
            async with found.socket("/ws/detections") as other:
                with pytest.raises(Closed) as closed:
                    await other.json()
                assert closed.value.code == 1013
        async with found.socket("/ws/detections") as socket:
            await socket.of_type("hello")


async def test_detections_live(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        found.writer.result(clip.detections("cam", 0, 1))
        await found.settle()
        async with found.socket("/ws/detections?camera=cam") as socket:
            await socket.of_type("hello")
            found.writer.result(clip.detections("other", 1, 2))
            found.log.append("detections", b"cam", b"{broken", [], None)
            found.writer.result(clip.detections("cam", 1, 2))
            message = await socket.of_type("detections")
            assert message["data"]["captured_ns"] == 2
            assert message["data"]["camera"] == "cam"


async def test_the_log_going_away_for_a_while_leaves_no_hole(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        async with found.socket("/ws/events") as socket:
            await socket.of_type("hello")
            write(found, range(5))
            assert len(await numbers_of(socket, 5)) == 5
            found.log.away = True
            write(found, range(5, 9))
            await found.settle()
            found.log.away = False
            write(found, range(9, 12))
            assert sorted(await numbers_of(socket, 7)) == list(range(5, 12))
