"""Replays asked for by REST, carried out by the replayer: killed, cancelled, shared, beside failed windows."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import redis

from cli.collect import read_all
from cli.system import Processes
from cli.windows import states
from devstack.stack import Stack
from replay.compare import content
from replay.past import Key, published
from replay.publish import publish_failure
from replay.span import locate
from runtime.kafka import producer
from schemas.messages import FailedWindow
from schemas.partition import partition_of
from schemas.topics import DETECTIONS, EVENTS, FLOW, FRAMES, LEDGER, PARTITIONS, REPLAYS
from tests.replay.camera_log import FPS, MODEL, SECOND_NS, gops, publish, records, wait_for_ledger

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[2]
CAMERA = "asked"
SECONDS = 24
OTHER_RULES = {"labels": ["bus"]}


class Asked(msgspec.Struct):
    stack: Stack
    processes: Processes
    begin_ns: int

    @property
    def bootstrap(self) -> str:
        return self.stack.addresses.kafka_bootstrap

    def at(self, seconds: float) -> str:
        return datetime.fromtimestamp(self.begin_ns / 1e9 + seconds, UTC).isoformat()

    def http(self, method: str, path: str, **more: Any) -> httpx.Response:
        return httpx.request(method, self.processes.url["gateway"] + path, trust_env=False, timeout=30, **more)

    def ask(self, start: float, end: float, **more: Any) -> str:
        answer = self.http(
            "POST", "/replays", json={"camera": CAMERA, "from": self.at(start), "to": self.at(end), **more}
        )
        assert answer.status_code == 202, answer.text
        return str(answer.json()["status_url"])

    def until(self, url: str, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + 120
        while True:
            told: dict[str, Any] = self.http("GET", url).json()
            if wanted(told):
                return told
            assert time.monotonic() < deadline, told
            time.sleep(0.1)

    def ended(self, url: str) -> dict[str, Any]:
        return self.until(url, lambda told: told["state"] not in ("waiting", "running"))

    def running(self, url: str) -> dict[str, Any]:
        return self.until(url, lambda told: told["progress"]["frames"] > 0)

    def table(self) -> dict[Key, bytes]:
        span = locate(self.bootstrap, CAMERA, self.begin_ns, self.begin_ns + SECONDS * SECOND_NS)
        return {key: content(message) for key, message in published(self.bootstrap, span, 2**63).items()}

    def results(self) -> int:
        return len(read_all(self.bootstrap, [DETECTIONS.name, EVENTS.name, FLOW.name, LEDGER.name]))


@pytest.fixture(scope="module")
def asked() -> Iterator[Asked]:
    begin_ns = (time.time_ns() - 600 * SECOND_NS) // SECOND_NS * SECOND_NS
    log = records(CAMERA, SECONDS, begin_ns)
    with Stack(services=("kafka", "triton", "redis"), models=(MODEL,)) as stack:
        processes = Processes(stack, ("worker", "gateway", "replayer"))
        processes.start()
        publish(stack, log)
        wait_for_ledger(stack, CAMERA, gops(log) - 1)
        found = Asked(stack, processes, begin_ns)
        found.until("/cameras", lambda told: CAMERA in {camera["id"] for camera in told["cameras"]})
        yield found


def test_the_worker_has_indexed_its_keyframes(asked: Asked) -> None:
    keyframes = [r for r in read_all(asked.bootstrap, [FRAMES.name]) if r.headers.get("keyframe") == b"1"]
    client = redis.Redis.from_url(asked.stack.addresses.redis_url)
    deadline = time.monotonic() + 30
    while client.zcard(f"rewatch:keyframes:{FRAMES.name}:{CAMERA}") != len(keyframes):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    indexed = client.zrange(f"rewatch:keyframes:{FRAMES.name}:{CAMERA}", 0, -1, withscores=True)
    assert indexed == [
        (str(record.offset).encode(), int(record.headers["captured_ns"]) // 1000) for record in keyframes
    ]


def test_what_comes_out_is_what_the_command_says(asked: Asked) -> None:
    url = asked.ask(2, 9)
    told = asked.ended(url)
    assert told["state"] == "done", told
    assert told["progress"]["done"] == 1.0
    assert told["progress"]["frames"] == told["report"]["frames"] >= 7 * FPS
    environment = {
        **os.environ,
        "REWATCH_KAFKA": asked.bootstrap,
        "REWATCH_TRITON": asked.stack.addresses.triton_grpc,
        "REWATCH_REDIS": asked.stack.addresses.redis_url,
    }
    words = "replay", "--camera", CAMERA, "--from", asked.at(2), "--to", asked.at(9), "--json"
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", *words],
        capture_output=True, text=True, check=True, cwd=ROOT, env=environment, timeout=120,
    )  # fmt: skip
    assert json.loads(done.stdout) == told["report"]
    assert told["report"]["published"] == 0


def test_a_backtest_publishes_nothing(asked: Asked) -> None:
    before = asked.results()
    line = {"kind": "line", "name": "middle", "start": [0.0, 0.6], "end": [1.0, 0.6]}
    told = asked.ended(asked.ask(0, 12, kind="backtest", rules=[line]))
    assert told["state"] == "done", told
    gained = {event["after"]["rule"] for event in told["report"]["events"] if event["change"] == "gained"}
    assert gained == {"middle"}
    assert asked.results() == before


def test_two_models_in_the_shadow_publish_nothing(asked: Asked) -> None:
    before = asked.results()
    told = asked.ended(asked.ask(2, 8, kind="shadow", model=MODEL, against="junction-yolo", window=2))
    assert told["state"] == "done", told
    report = told["report"]
    assert [(report[arm]["model"], report[arm]["version"]) for arm in "ab"] == [("junction-yolo", "1"), (MODEL, "1")]
    assert (report["windows"], report["frames"], report["verdict"]) == (3, 6 * FPS, "not enough data")
    assert report["box_agreement"] > 0.8
    assert told["progress"] | {"times_real_time": 0} == {"done": 1.0, "frames": 6 * FPS, "times_real_time": 0}
    failed = asked.ended(asked.ask(2, 8, kind="shadow", model=f"{MODEL}:9", against=MODEL, window=2))
    assert failed["state"] == "failed"
    assert "version 9" in failed["error"]
    assert asked.results() == before


def test_a_replayer_that_is_killed_does_it_again(asked: Asked) -> None:
    original = asked.table()
    url = asked.ask(4, 12, rules=OTHER_RULES, speed=2)
    asked.running(url)
    replayer = asked.stack.service("replayer")
    replayer.kill()
    replayer.stop()
    assert asked.table() == original, "it had published nothing yet"
    replayer.start()
    told = asked.ended(url)
    assert told["state"] == "done", told
    revised = asked.table()
    assert told["report"]["counts"]["Detections"]["changed"] == told["report"]["frames"] >= 8 * FPS
    assert revised != original

    # an undisturbed one finds the same past, and the first rules bring the first past back
    assert asked.ended(asked.ask(4, 12, rules=OTHER_RULES))["report"]["published"] == 0
    assert asked.table() == revised
    assert asked.ended(asked.ask(4, 12))["report"]["published"] > 0
    restored = asked.table()
    assert {key: value for key, value in restored.items() if key in original} == original


def test_cancelled_ones_make_room_and_failed_windows_do_not_wait(asked: Asked) -> None:
    before = asked.results()
    running, waiting, following = asked.ask(0, 20, speed=0.1), asked.ask(0, 1), asked.ask(0, 2)
    asked.running(running)
    # nobody's frames are there: it is given up as soon as its turn comes
    publish_failure(asked.bootstrap, FailedWindow("nobody", "s1", 0, FRAMES.name, 3, 10**9, 10**9, 10**9, "a test"))
    deadline = time.monotonic() + 60
    while [one.state for one in states(asked.bootstrap, "nobody")] != ["given up"]:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert asked.http("GET", running).json()["state"] == "running"
    assert asked.http("GET", following).json()["state"] == "waiting", "one at a time"

    assert asked.http("DELETE", waiting).json()["state"] == "cancelled"
    assert asked.http("DELETE", running).json()["state"] == "cancelled"
    assert asked.ended(following)["state"] == "done"
    assert [asked.ended(url)["state"] for url in (running, waiting)] == ["cancelled", "cancelled"]
    assert asked.results() == before
    ended = {entry["id"] for record in read_all(asked.bootstrap, [REPLAYS.name])
             if (entry := record.json()).get("state") == "cancelled"}  # fmt: skip
    assert {url.rpartition("/")[2] for url in (running, waiting)} <= ended, "the replayer says so too"


def test_what_only_the_log_knows_is_why_it_failed(asked: Asked) -> None:
    told = asked.ended(asked.ask(-100, -90))
    assert told["state"] == "failed"
    assert "frames begins at" in told["error"]
    # from somebody who did not ask the gateway
    partition = partition_of(b"odd", PARTITIONS)
    sender = producer(asked.bootstrap, "test")
    for value in (
        b"nonsense",
        b'{"entry":"request","id":"odd","camera":"asked","from_ns":5,"to_ns":4}',
        b'{"entry":"request","id":"even-odder","camera":"asked","from_ns":4,"to_ns":5,"changes":{"a":1}}',
    ):
        sender.produce(REPLAYS.name, value, b"odd", partition=partition)
    assert sender.flush(10) == 0
    asked.until("/replays", lambda told: "even-odder" in {replay["id"] for replay in told["replays"]})
    assert asked.ended("/replays/odd")["error"] == "the end is not after the beginning"
    assert "unknown field `a`" in asked.ended("/replays/even-odder")["error"]


def test_a_second_replayer_takes_its_share(asked: Asked) -> None:
    """Last: it stays."""
    before = asked.results()
    urls = [asked.ask(0, 6, speed=2) for _ in range(6)]
    asked.running(urls[0])
    more = Processes(asked.stack, ("replayer-2",))
    more.start()
    reports = [asked.ended(url) for url in urls]
    assert {told["state"] for told in reports} == {"done"}
    assert all(told["report"] == reports[0]["report"] for told in reports)
    assert reports[0]["report"]["published"] == 0
    assert asked.results() == before
