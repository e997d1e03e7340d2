"""Replays by REST: what is taken, what is refused and why, and what is told of them."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway import replays as replays_module
from gateway.memory_log import MemoryLog
from schemas.analysis import Analysis, CameraSpec, Signal, Source
from schemas.messages import ReplayRequest, ReplayState, ShadowWanted
from schemas.results import to_json
from schemas.topics import REPLAYS, TOPICS
from tests.gateway.asgi import Gateway, gateway, settings

SECOND = 10**9
LINE = {"kind": "line", "name": "middle", "start": [0.0, 0.6], "end": [1.0, 0.6]}
RED = {"kind": "red_light", "name": "red", "signal": "north", "start": [0.0, 0.6], "end": [1.0, 0.6]}


SHADOW = {"kind": "shadow", "model": "other:2"}


def camera(found: Gateway) -> None:
    signals = (Signal("north", (0.1, 0.1, 0.2, 0.2)),)
    found.writer.spec(CameraSpec("cam", Source("rtsp://10.0.0.1/one"), Analysis(signals=signals)))


async def requests(log: MemoryLog) -> list[ReplayRequest]:
    starts, ends = await log.starts(REPLAYS.name), await log.ends(REPLAYS.name)
    entries = []
    async with log.reader(REPLAYS.name, starts, ends) as reader:
        async for batch in reader:
            for record in batch:
                entries.append((record.key, msgspec.json.decode(record.value or b"", type=dict[str, Any])))
    found = [(key, entry) for key, entry in entries if entry["entry"] == "request"]
    assert all(key.decode() == entry["id"] for key, entry in found)
    return [msgspec.convert(entry, ReplayRequest) for _, entry in found]


def wanted(**more: Any) -> dict[str, Any]:
    return {"camera": "cam", "from": "-10m", "to": "-5m", **more}


async def test_what_is_asked_for_becomes_a_record(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        camera(found)
        await found.settle()
        asked = wanted(
            **{"from": "2026-03-01T12:00:00Z", "to": "2026-03-01T12:05:00Z"},
            model="other", rules=[LINE, RED], into="last-night", speed=2,
        )  # fmt: skip
        answer = await found.http.post("/replays", json=asked)
        assert answer.status_code == 202, answer.text
        accepted = answer.json()
        assert answer.headers["location"] == accepted["status_url"] == f"/replays/{accepted['id']}"
        assert accepted["state"] == "waiting"
        (request,) = await requests(found.log)
        noon_ns = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()) * SECOND
        assert request == ReplayRequest(
            accepted["id"], "cam", noon_ns, noon_ns + 300 * SECOND, "replay",
            {"rules": [LINE, RED], "model": "other"}, "last-night", 2.0,
        )  # fmt: skip
        await found.settle()
        told = (await found.http.get(accepted["status_url"])).json()
        assert (told["state"], told["from"], told["progress"]["done"]) == ("waiting", "2026-03-01T12:00:00.000000Z", 0)
        (listed,) = (await found.http.get("/replays")).json()["replays"]
        assert listed == told


async def test_two_models_in_the_shadow(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        spec = CameraSpec("cam", Source("rtsp://10.0.0.1/one"), Analysis(model="square-finder"))
        found.writer.spec(spec)
        await found.settle()
        answer = await found.http.post("/replays", json=wanted(**SHADOW, window=30, seed=7))
        assert answer.status_code == 202, answer.text
        (request,) = await requests(found.log)
        assert (request.kind, request.changes) == ("shadow", {})
        assert request.shadow == ShadowWanted("square-finder", "other:2", 30.0, 7)
        told = (await found.http.get(answer.json()["status_url"])).json()
        assert told["shadow"] == {"a": "square-finder", "b": "other:2", "window_seconds": 30.0, "seed": 7}
        assert (await found.http.post("/replays", json=wanted(**SHADOW, against="other"))).status_code == 202
        assert ShadowWanted("other", "other:2") in [each.shadow for each in await requests(found.log)]


async def test_how_far_it_is_and_what_came_of_it(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        camera(found)
        await found.settle()
        replay = (await found.http.post("/replays", json=wanted())).json()
        url = replay["status_url"]

        async def tell(at_ms: int, state: ReplayState) -> dict[str, Any]:
            found.writer.result(state, timestamp_ms=at_ms)
            await found.settle()
            told: dict[str, Any] = (await found.http.get(url)).json()
            return told

        name, now = replay["id"], time.time_ns() // 1_000_000
        await tell(now, ReplayState(name, "running"))
        told = await tell(now + 10_000, ReplayState(name, "running", 60.0, 900))
        assert told["state"] == "running"
        assert told["progress"] == {"done": 0.2, "frames": 900, "times_real_time": 6.0}
        # the replayer was killed, and another one begins again
        told = await tell(now + 20_000, ReplayState(name, "running", 10.0, 150))
        assert told["progress"] == {"done": 0.0333, "frames": 150, "times_real_time": None}
        told = await tell(now + 30_000, ReplayState(name, "done", 300.0, 4500, report={"published": 3}))
        assert (told["state"], told["report"]) == ("done", {"published": 3})
        assert told["progress"] == {"done": 1.0, "frames": 4500, "times_real_time": 30.0}
        # killed between its last word and the commit, it is done once more: the first report stays
        told = await tell(now + 40_000, ReplayState(name, "running"))
        told = await tell(now + 41_000, ReplayState(name, "done", 300.0, 4500, report={"published": 0}))
        assert (told["state"], told["report"]) == ("done", {"published": 3})
        (listed,) = (await found.http.get("/replays")).json()["replays"]
        assert listed["report"] is None, "a list holds no reports"
        # nothing is left to cancel
        before = len(await requests(found.log))
        assert (await found.http.delete(url)).json()["state"] == "done"
        assert len(await requests(found.log)) == before


async def test_a_gateway_that_starts_later_knows_them(tmp_path: Path) -> None:
    log = MemoryLog()
    request = ReplayRequest("replay-1", "cam", 0, 10 * SECOND, "backtest", {"model": "other"})
    for entry in (request, ReplayState("replay-1", "failed", reason="older records were deleted")):
        log.append(REPLAYS.name, b"replay-1", to_json(entry))
    log.append(REPLAYS.name, b"replay-1", b"{nonsense")
    log.append(REPLAYS.name, b"stranger", to_json(ReplayState("stranger", "done")))
    async with gateway(settings(tmp_path), log) as found:
        told = (await found.http.get("/replays/replay-1")).json()
        assert (told["state"], told["error"]) == ("failed", "older records were deleted")
        assert (await found.http.get("/replays/stranger")).status_code == 404


async def test_a_waiting_one_is_cancelled(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        camera(found)
        await found.settle()
        url = (await found.http.post("/replays", json=wanted())).json()["status_url"]
        assert (await found.http.delete(url)).json()["state"] == "cancelled"
        first, second = await requests(found.log)
        assert second == msgspec.structs.replace(first, cancelled=True)
        assert (await found.http.get(url)).json()["state"] == "cancelled"
        # it was about to publish when nobody wanted it any more
        found.writer.result(ReplayState(first.id, "done", report={}))
        await found.settle()
        assert (await found.http.get(url)).json()["state"] == "done"
        assert (await found.http.delete("/replays/none")).status_code == 404


@pytest.mark.parametrize(
    ("more", "status", "why"),
    [
        ({"camera": "nobody"}, 404, "camera: there is no 'nobody'"),
        ({"model": "none"}, 404, "model: there is no 'none'; there are: other, square-finder"),
        ({"rules": {"model": "none"}}, 404, "model: there is no 'none'"),
        ({"from": "-5m", "to": "-5m"}, 422, "from: lies not before to"),
        ({"from": "-5m", "to": "-10m"}, 422, "from: lies not before to"),
        ({"from": "-25h", "to": "now"}, 422, "to: a replay spans at most 24 hours"),
        ({"from": "-5h", "speed": 0.1}, 422, "speed: it would take more than 24 hours"),
        ({"to": "2999-01-01T00:00:00Z"}, 422, "to: lies in the future"),
        ({"from": "yesterday"}, 422, "from: 'yesterday' is no point in time"),
        ({"from": None}, 422, "from: "),
        ({"kind": "verify"}, 422, "kind: "),
        ({"kind": "backtest"}, 422, "kind: a backtest wants a model or rules"),
        ({"kind": "backtest", "model": "other", "into": "mine"}, 422, "kind: "),
        ({"rules": [{"kind": "line", "name": "a"}]}, 422, "rules: Object missing required field `start`"),
        ({"rules": [{**RED, "signal": "south"}]}, 422, "rules: rule red wants the signal south"),
        ({"rules": {"nonsense": 1}}, 422, "rules: Object contains unknown field `nonsense`"),
        ({"speed": 0}, 422, "speed: "),
        ({"speed": "max"}, 422, "speed: "),
        ({"into": "a b"}, 422, "into: 'a b' is no name"),
        ({"into": "__consumer_offsets"}, 422, "into: "),
        *(({"into": topic.name}, 422, "into: ") for topic in TOPICS),
        ({"typo": 1}, 422, "typo: "),
        ({"window": 30}, 422, "kind: against, window and seed are of a shadow"),
        ({**SHADOW, "model": None}, 422, "model: a shadow wants two models"),
        ({**SHADOW, "model": "none"}, 404, "model: there is no 'none'"),
        ({**SHADOW, "against": "none:1"}, 404, "against: there is no 'none'"),
        ({**SHADOW, "model": "other:x"}, 422, "model: 'other:x' is neither a model nor a version"),
        ({**SHADOW, "against": "other:2"}, 422, "against: both are other:2"),
        ({**SHADOW, "rules": [LINE]}, 422, "kind: a shadow has no rules"),
        ({**SHADOW, "against": "other", "window": 301}, 422, "window: the span is less than one of 301 s"),
        ({**SHADOW, "window": 0}, 422, "window: "),
    ],
    ids=str,
)  # fmt: skip
async def test_what_cannot_be_is_refused_at_once(tmp_path: Path, more: dict[str, Any], status: int, why: str) -> None:
    async with gateway(settings(tmp_path)) as found:
        camera(found)
        await found.settle()
        answer = await found.http.post("/replays", json=wanted(**more))
        assert (answer.status_code, answer.json()["detail"][: len(why)]) == (status, why)
        assert await requests(found.log) == []


async def test_bodies_that_are_none(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        for body, status in ((b"", 422), (b"{", 422), (b"[]", 422), (b"\xff", 422), (b" " * 70_000, 413)):
            answer = await found.http.post("/replays", content=body)
            assert answer.status_code == status, body[:10]
            assert isinstance(answer.json()["detail"], str)


async def test_not_more_than_can_be_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replays_module, "MAX_WAITING", 2)
    async with gateway(settings(tmp_path)) as found:
        camera(found)
        await found.settle()
        urls = [(await found.http.post("/replays", json=wanted())).json()["status_url"] for _ in range(2)]
        answer = await found.http.post("/replays", json=wanted())
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
        await found.http.delete(urls[0])
        assert (await found.http.post("/replays", json=wanted())).status_code == 202


async def test_while_a_part_is_away(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        camera(found)
        await found.settle()
        found.models.away = True
        assert (await found.http.post("/replays", json=wanted(model="other"))).status_code == 503
        found.models.away = False
        found.log.away = True
        assert (await found.http.post("/replays", json=wanted())).status_code == 503
