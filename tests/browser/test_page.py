"""The page in a real browser: what it shows is what is in the log."""

import asyncio
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer
from playwright.sync_api import Page, Route, expect

from devstack.stack import Stack
from gateway.kafka_log import KafkaLog
from gateway.models import KnownModels
from tests.browser.live import ROUND, Live
from tests.gateway import clip
from tests.gateway.asgi import settings
from tests.gateway.edge import analysed, edge, unreadable
from tests.gateway.served import Served
from tests.gateway.writer import Writer

expect.set_options(timeout=30_000)
pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

LOOK = """(tile) => {
  const canvas = tile.querySelector("canvas");
  const { captured, exact } = canvas.dataset;
  const { width, height } = canvas;
  const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  const at = (x, y) => {
    const i = 4 * (Math.round(y) * width + Math.round(x));
    return [...pixels.slice(i, i + 3)];
  };
  // columns of the row through the square's middle, by colour: bright yellow is the square, light blue the box's edge
  const row = Math.round((height * (MIDDLE)) / SOURCE);
  const yellow = [], edge = [];
  for (let x = 0; x < width; x++) {
    // several rows: an edge may be dashed
    const seen = [-6, -4, -2, 0, 2, 4, 6].map((offset) => at(x, row + offset));
    if (seen.some(([r, g, b]) => r > 180 && g > 150 && b < 130)) yellow.push(x);
    if (seen.some(([r, g, b]) => b > 180 && g > 140 && r < 150)) edge.push(x);
  }
  return { captured: Number(captured), exact, width, height, yellow, edge };
}""".replace("MIDDLE", str(clip.top_of(0) + clip.SIDE // 2)).replace("SOURCE", str(clip.HEIGHT))


@pytest.fixture
def camera() -> str:
    return f"cam-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def served(broker: Stack, tmp_path: Path) -> Iterator[Served]:
    with Served(settings(tmp_path, kafka=broker.addresses.kafka_bootstrap), KnownModels("square-finder")) as running:
        yield running


def look(page: Page, camera: str) -> dict[str, Any]:
    seen: dict[str, Any] = page.locator(f"[data-camera='{camera}']").evaluate(LOOK)
    return seen


def looks(page: Page, camera: str, count: int, exact: str) -> list[dict[str, Any]]:
    """Different pictures, each with its boxes."""
    found: dict[float, dict[str, Any]] = {}
    deadline = time.monotonic() + 40
    while len(found) < count:
        assert time.monotonic() < deadline, f"only {len(found)} pictures with boxes (exact: {exact})"
        seen = look(page, camera)
        if seen["exact"] == exact and seen["edge"]:
            found[seen["captured"]] = seen
        page.wait_for_timeout(60)
    return list(found.values())


def test_boxes_lie_on_the_picture_they_belong_to(served: Served, page: Page, writer: Writer, camera: str) -> None:
    with Live(writer, camera, delay=3) as live:
        page.goto(served.url)
        for seen in looks(page, camera, 12, "true"):
            scale = seen["width"] / clip.WIDTH
            left = clip.left_of(live.index_of(seen["captured"])) * scale
            right = left + clip.SIDE * scale
            # the picture is the one the page says it is, and the box is around what is in it
            assert abs(seen["yellow"][0] - left) <= 4
            assert abs(seen["yellow"][-1] - right) <= 4
            assert abs(seen["edge"][0] - left) <= 4
            assert abs(seen["edge"][-1] - right) <= 4
        tile = page.locator(f"[data-camera='{camera}']")
        expect(tile).to_have_attribute("data-state", "online")
        expect(tile.locator("[data-fact=fps]")).to_have_text("10.0")
        expect(tile.locator("[data-fact=p95]")).to_have_text("90 ms")
        expect(tile.locator("[data-fact=picture]")).to_contain_text("640×360")
        expect(tile.locator(".signals li")).to_have_text("north")
        expect(page.locator("#link")).to_have_attribute("data-state", "live")


def test_pictures_between_two_analysed_ones_have_boxes_in_between(
    served: Served, page: Page, writer: Writer, camera: str
) -> None:
    with Live(writer, camera, delay=1, sample=3) as live:
        page.goto(served.url)
        for seen in looks(page, camera, 8, "false"):
            index = live.index_of(seen["captured"])
            if index > ROUND - 6 or index < 3 or clip.left_of(index) < 60:
                continue  # where the square jumps back, in between means nothing
            left = clip.left_of(index) * seen["width"] / clip.WIDTH
            assert abs(seen["yellow"][0] - left) <= 4
            assert abs(seen["edge"][0] - left) <= 5


def test_without_any_analysis_the_picture_comes_all_the_same(
    served: Served, page: Page, writer: Writer, camera: str
) -> None:
    with Live(writer, camera, boxes=False):
        page.goto(served.url)
        page.wait_for_function(
            "(id) => Number(document.querySelector(`[data-camera='${id}'] canvas`)?.dataset.shown) > 8", arg=camera
        )
        seen = look(page, camera)
        assert len(seen["yellow"]) > 50
        assert seen["edge"] == []


def test_an_analysis_far_behind_does_not_stop_the_picture(
    served: Served, page: Page, writer: Writer, camera: str
) -> None:
    with Live(writer, camera, delay=6 * clip.FPS):
        page.goto(served.url)
        tile = page.locator(f"[data-camera='{camera}']")
        expect(tile.locator(".note")).to_contain_text("behind: the picture is shown without boxes")
        shown = int(tile.locator("canvas").get_attribute("data-shown") or 0)
        page.wait_for_function(
            "([id, n]) => Number(document.querySelector(`[data-camera='${id}'] canvas`).dataset.shown) > n + 15",
            arg=[camera, shown],
        )
        seen = look(page, camera)
        assert seen["yellow"]
        assert seen["edge"] == []


def test_events_come_and_show_their_evidence(
    served: Served, page: Page, writer: Writer, producer: Producer, camera: str
) -> None:
    for number in range(3):
        writer.result(clip.event(camera, number, time.time_ns() - (60 - number) * 10**9))
    producer.flush()
    page.goto(served.url)
    items = page.locator(f"#event-list li[data-id^='{camera}']")
    expect(items).to_have_count(3)
    writer.result(clip.event(camera, 3, time.time_ns(), "red_light"))
    producer.flush()
    expect(items).to_have_count(4)
    expect(items.first).to_contain_text("Red light")
    items.first.locator("summary").click()
    expect(items.first.locator("dl")).to_contain_text("square-finder version 1")
    expect(items.first.locator("dl")).to_contain_text("frames/0, offsets")
    page.select_option("#event-kind", "red_light")
    expect(page.locator(f"#event-list li[data-id^='{camera}']:visible")).to_have_count(1)
    # a replay takes it back, and another that this page has never seen
    for number, kind in ((3, "red_light"), (9, "red_light")):
        event = clip.event(camera, number, time.time_ns(), kind)
        writer.result(msgspec.structs.replace(event, details={**event.details, "retracted": 1}, revision=1))
    producer.flush()
    expect(items.first).to_have_class("retracted")
    expect(items).to_have_count(4)


def test_after_the_gateway_was_away_no_event_is_missing(
    served: Served, page: Page, writer: Writer, producer: Producer, camera: str
) -> None:
    with Live(writer, camera) as live:
        page.goto(served.url)
        link = page.locator("#link")
        expect(link).to_have_attribute("data-state", "live")
        for _ in range(5):
            live.event()
        producer.flush()
        items = page.locator(f"#event-list li[data-id^='{camera}']")
        expect(items).to_have_count(5)
        served.stop()
        expect(link).to_have_attribute("data-state", "lost")
        for _ in range(20):
            live.event()
        producer.flush()
        served.start().until_ready()
        expect(link).to_have_attribute("data-state", "live")
        for _ in range(5):
            live.event()
        producer.flush()
        expect(items).to_have_count(30)
        ids = items.evaluate_all("(rows) => rows.map((row) => row.dataset.id)")
        assert sorted(ids) == sorted(f"{camera}-{number}" for number in range(30))
        shown = int(page.locator(f"[data-camera='{camera}'] canvas").get_attribute("data-shown") or 0)
        page.wait_for_function(
            "([id, n]) => Number(document.querySelector(`[data-camera='${id}'] canvas`).dataset.shown) > n + 5",
            arg=[camera, shown],
        )


def test_a_dark_camera_is_marked(served: Served, page: Page, writer: Writer, producer: Producer, camera: str) -> None:
    then = time.time_ns() - 45 * 10**9
    live = Live(writer, camera)
    with live:
        live._stop.set()  # it said that it is there, and nothing more
        writer.result(clip.detections(camera, 1, then), None, then // 1_000_000)
        producer.flush()
        page.goto(served.url)
        tile = page.locator(f"[data-camera='{camera}']")
        if tile.get_attribute("data-state") == "online":  # the one frame it sent before it stopped
            page.wait_for_timeout(11_000)
        expect(tile).to_have_attribute("data-state", "dark")
        expect(tile.locator(".note")).to_contain_text("No picture for")
        expect(page.locator("#figure-cameras")).to_have_class("bad")


def test_what_the_browser_cannot_decode_is_said_and_boxes_are_drawn(
    served: Served, page: Page, writer: Writer, camera: str
) -> None:
    with Live(writer, camera, codec="libx265"):
        page.goto(served.url)
        tile = page.locator(f"[data-camera='{camera}']")
        expect(tile.locator(".note")).to_contain_text("cannot decode H.265 (hev1.1.6.L")
        page.wait_for_function(
            "(id) => Number(document.querySelector(`[data-camera='${id}'] canvas`)?.dataset.shown) > 3", arg=camera
        )
        assert look(page, camera)["edge"]


class EdgeThread:
    """The stand-in for ingest and a worker, beside the browser's test."""

    def __init__(self, bootstrap: str, writer: Writer, handle: Any) -> None:
        self._bootstrap, self._writer, self._handle = bootstrap, writer, handle
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    async def _run(self) -> None:
        log = KafkaLog(self._bootstrap)
        await log.open()
        async with edge(log, self._writer, self._handle):
            await asyncio.sleep(0.5)
            self._ready.set()
            await asyncio.to_thread(self._stop.wait)
        await log.close()

    def __enter__(self) -> "EdgeThread":
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def test_a_file_is_analysed_from_the_page(
    served: Served, page: Page, writer: Writer, broker: Stack, tmp_path: Path
) -> None:
    def handle(to: Writer, job: str) -> None:
        if not_a_video:
            unreadable(to, job)
        else:
            analysed(to, job)

    not_a_video = True
    file = tmp_path / "holiday.mp4"
    file.write_bytes(b"x" * 100_000)
    with EdgeThread(broker.addresses.kafka_bootstrap, writer, handle):
        page.goto(served.url)
        page.click("#analyze-open")
        page.set_input_files("#analyze-file", file)
        expect(page.locator("#file-name")).to_have_text("holiday.mp4")
        page.fill("#analyze-model", "nobody")
        page.click("#analyze-start")
        expect(page.locator("#analyze-problem")).to_contain_text("there is no 'nobody'; there are: square-finder")
        page.fill("#analyze-model", "square-finder")
        page.click("#analyze-start")
        expect(page.locator("#analyze-problem")).to_contain_text("Invalid data found")
        not_a_video = False
        page.click("#analyze-start")
        result = page.locator("#analyze-result")
        expect(result).to_contain_text("Person")
        expect(result.locator("table", has_text="Tracks")).to_contain_text("Car1")
        expect(result.locator("table", has_text="Crossings")).to_contain_text("Middle2")
        expect(result).to_contain_text("Read only in part: corrupt")
        expect(page.locator("#analyze-problem")).to_be_hidden()


def test_a_late_list_of_models_leaves_what_was_typed(served: Served, page: Page) -> None:
    page.goto(served.url)
    waiting: list[Route] = []
    page.route("**/models", lambda route: waiting.append(route))
    field = page.locator("#analyze-model")
    with page.expect_request("**/models"):
        page.click("#analyze-open")
    page.fill("#analyze-model", "nobody")
    with page.expect_response("**/models"):
        waiting.pop().continue_()
    expect(page.locator("#models option")).to_have_count(1)
    expect(field).to_have_value("nobody")
    page.fill("#analyze-model", "long-gone")
    page.click("#analyze [data-close]")
    page.unroute("**/models")
    page.click("#analyze-open")
    expect(field).to_have_value("square-finder")


def test_a_token_is_asked_for(broker: Stack, tmp_path: Path, page: Page, writer: Writer, camera: str) -> None:
    made = settings(tmp_path, kafka=broker.addresses.kafka_bootstrap, api_token="open sesame")
    with Served(made, KnownModels()) as served, Live(writer, camera):
        page.goto(served.url)
        page.fill("#token-value", "wrong")
        page.keyboard.press("Enter")
        expect(page.locator("#token")).to_be_visible()
        page.fill("#token-value", "open sesame")
        page.keyboard.press("Enter")
        expect(page.locator("#link")).to_have_attribute("data-state", "live")
        page.wait_for_function(
            "(id) => Number(document.querySelector(`[data-camera='${id}'] canvas`)?.dataset.shown) > 3", arg=camera
        )


def test_by_keyboard_and_in_both_themes(served: Served, page: Page, writer: Writer, camera: str) -> None:
    with Live(writer, camera):
        page.goto(served.url)
        tile = page.locator(f"[data-camera='{camera}']")
        tile.locator(".enlarge").focus()
        page.keyboard.press("Enter")
        expect(tile).to_have_class("tile large")
        page.keyboard.press("Escape")
        expect(tile).to_have_class("tile")
        page.keyboard.press("Shift+Tab")
        before = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.focus("#theme")
        page.keyboard.press("Space")
        after = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert before != after
        page.reload()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == after
