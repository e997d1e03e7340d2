"""Pages of the log: complete, without repetition, in order, and clear about what is wrong with a question."""

import time
from pathlib import Path
from typing import Any

import pytest

from gateway.memory_log import MemoryLog
from schemas.messages import AnalysisLedger, EndLedger, Flow, IngestLedger
from schemas.topics import EVENTS
from tests.gateway import clip
from tests.gateway.asgi import Gateway, gateway, settings


async def pages(found: Gateway, query: str, name: str = "events") -> list[list[dict[str, Any]]]:
    got: list[list[dict[str, Any]]] = []
    cursor = ""
    while True:
        answer = (await found.http.get(f"/{name}?{query}" + (f"&cursor={cursor}" if cursor else ""))).json()
        got.append(answer[name])
        cursor = answer["next"]
        if not answer["more"]:
            return got


async def test_pages_hold_every_event_once_in_order(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        now_ms = time.time_ns() // 1_000_000 - 60_000
        for number in range(157):
            captured = (now_ms + number * 10) * 1_000_000
            found.writer.result(clip.event(f"cam-{number % 9}", number, captured), timestamp_ms=now_ms + number * 10)
        for limit in (1, 7, 50, 1000):
            got = await pages(found, f"limit={limit}")
            events = [event for page in got for event in page]
            assert [event["details"]["number"] for event in events] == list(range(157))
            assert all(len(page) <= limit for page in got)


async def test_filters(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        now_ns = time.time_ns()
        for number in range(60):
            kind = "red_light" if number % 4 == 0 else "line_crossed"
            captured = now_ns - (60 - number) * 10**9
            event = clip.event(f"cam-{number % 3}", number, captured, kind)
            found.writer.result(event, timestamp_ms=captured // 1_000_000 + 90)
        by_camera = [e for page in await pages(found, "camera=cam-1&limit=5") for e in page]
        assert [e["details"]["number"] for e in by_camera] == list(range(1, 60, 3))
        by_kind = [e for page in await pages(found, "kind=red_light&limit=4") for e in page]
        assert [e["details"]["number"] for e in by_kind] == list(range(0, 60, 4))
        late = [e for page in await pages(found, "from=-10500ms&limit=3") for e in page]
        assert {e["details"]["number"] for e in late} == set(range(50, 60))
        early = [e for page in await pages(found, "to=-50500ms") for e in page]
        assert {e["details"]["number"] for e in early} == set(range(10))
        assert [e for page in await pages(found, "camera=nobody") for e in page] == []


async def test_an_event_arriving_late_is_found_by_its_capture_time(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        now_ns = time.time_ns()
        found.writer.result(clip.event("cam", 1, now_ns - 3600 * 10**9))  # a backfill: written now, captured long ago
        found.writer.result(clip.event("cam", 2, now_ns))
        got = (await found.http.get("/events?from=-2h&to=-30m")).json()["events"]
        assert [event["details"]["number"] for event in got] == [1]


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("from=yesterday", "from"),
        ("to=2027-01-15T08:00:00", "time zone"),
        ("from=-1m&to=-2m", "after to"),
        ("cursor=abc", "cursor"),
        ("limit=0", "limit"),
        ("limit=100000", "limit"),
        ("limit=many", "limit"),
    ],
)
async def test_a_bad_question_is_answered_with_what_is_wrong(tmp_path: Path, query: str, word: str) -> None:
    async with gateway(settings(tmp_path)) as found:
        for name in ("events", "detections", "flow"):
            answer = await found.http.get(f"/{name}?{query}")
            assert answer.status_code == 422
            assert word in answer.text


async def test_cursors_of_other_topics_and_other_logs_are_refused(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        found.writer.result(clip.event("cam", 1, time.time_ns()))
        cursor = (await found.http.get("/events")).json()["next"]
        answer = await found.http.get(f"/flow?cursor={cursor}")
        assert answer.status_code == 422
        assert "belongs to events" in answer.text
    async with gateway(settings(tmp_path), MemoryLog()) as renewed:
        answer = await renewed.http.get(f"/events?cursor={cursor}")
        assert answer.status_code == 422
        assert "beyond" in answer.text


async def test_a_cursor_into_deleted_records_is_gone(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        now = time.time_ns()
        for number in range(10):
            found.writer.result(clip.event("cam", number, now))
        cursor = (await found.http.get("/events?limit=3")).json()["next"]
        partition = next(p for p, end in (await found.log.ends(EVENTS.name)).items() if end)
        found.log.expire(EVENTS.name, partition, 6)
        answer = await found.http.get(f"/events?cursor={cursor}")
        assert answer.status_code == 410
        assert "retention" in answer.text


async def test_records_that_are_no_json_are_passed_over(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        found.log.append(EVENTS.name, b"cam", b"\x00not json", [], None)
        found.log.append(EVENTS.name, b"cam", None, [], None)
        found.log.append(EVENTS.name, b"cam", b"[1]", [], None)
        found.writer.result(clip.event("cam", 1, time.time_ns()))
        answer = (await found.http.get("/events?limit=1")).json()
        assert len(answer["events"]) == 1
        assert answer["more"] is False


async def test_detections_and_flow(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        now = time.time_ns()
        for index in range(5):
            found.writer.result(clip.detections("cam", index, now + index))
        row = Flow("cam", "middle", now - now % (60 * 10**9), "car", "forward", 3, None, clip.provenance())
        found.writer.result(row)
        boxes = (await found.http.get("/detections?camera=cam&from=-5m")).json()["detections"]
        assert [one["captured_ns"] for one in boxes] == [now + index for index in range(5)]
        assert (await found.http.get("/flow?camera=cam")).json()["flow"][0]["count"] == 3


async def test_the_ledger_adds_up(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        now = time.time_ns()
        for gop in range(4):
            at = now - (10 - gop) * 10**9
            found.writer.result(IngestLedger("cam", "s", gop, at, received=10, published=9, lost=1, reason="full"))
            if gop < 3:
                entry = AnalysisLedger("cam", "s", gop, at, 9, 8, 4, 4, 1, "frames", 0, 0)
                found.writer.result(entry)
                found.writer.result(entry)  # delivered at least once: counted once
        found.writer.result(
            AnalysisLedger("cam", "s", 9, now, 5, 5, 5, 0, 0, "frames", 0, 0)
        )  # the edge's is yet to come
        found.writer.result(IngestLedger("odd", "s", 1, now, received=10, published=10, lost=0))
        found.writer.result(AnalysisLedger("odd", "s", 1, now, 7, 7, 7, 0, 0, "frames", 0, 0))
        found.writer.result(EndLedger("cam", "s", 36))
        answer = (await found.http.get("/ledger")).json()
        assert answer["complete"] is True
        cam, odd = answer["cameras"]
        assert cam["frames"] == {
            "received": 40, "published": 36, "decoded": 24, "inferred": 12, "skipped": 12, "failed": 3, "lost": 4,
        }  # fmt: skip
        assert cam["unread"] == 9
        assert cam["reconciles"] is True
        assert odd["reconciles"] is False
        only = (await found.http.get("/ledger?camera=cam&from=-1d")).json()["cameras"]
        assert [one["camera"] for one in only] == ["cam"]
        assert (await found.http.get("/ledger?from=soon")).status_code == 422


async def test_a_log_that_is_away_is_said_to_be(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        found.log.away = True
        for path in ("/events", "/detections", "/flow", "/ledger", "/readyz"):
            answer = await found.http.get(path)
            assert answer.status_code == 503
            assert "log" in answer.text
        assert (await found.http.get("/livez")).status_code == 200
        found.log.away = False
        assert (await found.http.get("/readyz")).status_code == 200
