"""InfluxDB's own troubles: away, refusing, misled."""

import http.server
import threading
from collections.abc import Iterator

import httpx
import pytest

from devstack.influxdb.server import InfluxDB
from devstack.stack import Stack
from processors.errors import RetryError
from processors.influx import InfluxStore
from processors.influx_points import Held, assign, place_of, point, spans
from processors.store import Query, Record, captured_ns
from schemas.results import identity
from tests.store.conftest import empty_influx
from tests.store.records import EVERY_KIND, T0, detections, event, example

pytestmark = pytest.mark.timeout(120)


def test_points_written_again_are_the_same_bytes() -> None:
    for record in EVERY_KIND:
        assert point(record, 0).to_line_protocol() == point(record, 0).to_line_protocol()
        assert str(captured_ns(record)) in point(record, 0).to_line_protocol()


def test_every_revision_of_a_table_has_the_same_fields() -> None:
    """A field that only some revisions have would survive from a lower one."""
    pairs: list[tuple[Record, Record]] = [
        (example("flow"), example("flow", mean_speed=None)),
        (example("event"), example("event", track=None, label=None, box=None, details={})),
        (detections(0), detections(0, boxes=())),
        (example("analysis-ledger"), example("analysis-ledger", reason="")),
    ]
    for full, bare in pairs:
        assert set(point(full, 0)._fields) == set(point(bare, 0)._fields)
        assert point(full, 0)._tags == point(bare, 0)._tags


def test_slots_are_the_smallest_that_are_free() -> None:
    held = {place_of(event("a")): [Held(0, "a", 0), Held(2, "c", 1)]}
    batch = [event("b"), event("c"), event("a"), event("d"), event("b", label="x")]
    chosen = [(identity(record), slot) for record, slot in assign(batch, held)]
    assert chosen == [("b", 1), ("a", 0), ("d", 3)], "c is held with a higher revision"


def test_spans_break_at_long_holes() -> None:
    second = 1_000_000_000
    assert spans([]) == []
    assert spans([5, 1, 3]) == [(1, 5)]
    assert spans([0, 60 * second, 121 * second, 122 * second]) == [(0, 60 * second), (121 * second, 122 * second)]


@pytest.mark.integration
def test_events_make_no_series_of_their_own(influx_stack: Stack) -> None:
    store = empty_influx(influx_stack)
    store.write([event(f"e{number}", captured_ns=T0 + number) for number in range(200)])
    answer = httpx.post(
        f"{influx_stack.addresses.influx_url}/query",
        data={"q": "SHOW SERIES", "db": store._bucket},
        trust_env=False,
    ).json()
    assert len(answer["results"][0]["series"][0]["values"]) == 1
    assert store.count(Query("events")) == 200
    store.close()


@pytest.mark.integration
def test_what_the_retention_policy_refuses_is_told_and_the_rest_is_written(influx_stack: Stack) -> None:
    url = influx_stack.addresses.influx_url
    httpx.post(
        f"{url}/query", data={"q": 'CREATE DATABASE "short" WITH DURATION 1000w NAME "weeks"'}, trust_env=False
    ).raise_for_status()
    store = InfluxStore(url, "", "rewatch", "short/weeks")
    old: list[Record] = [event("old", captured_ns=5), detections(0, captured_ns=7)]
    new: list[Record] = [event("new"), detections(1)]
    refused = store.write([old[0], new[0], old[1], new[1]])
    assert {identity(each.record) for each in refused} == {identity(each) for each in old}
    assert all("retention policy" in each.why for each in refused)
    assert store.read(Query("events")) == [new[0]]
    assert store.read(Query("detections")) == [new[1]]
    store.close()


@pytest.mark.integration
def test_a_bucket_that_is_missing_is_waited_for(influx_stack: Stack) -> None:
    store = InfluxStore(influx_stack.addresses.influx_url, "", "rewatch", "nowhere")
    with pytest.raises(RetryError, match="nowhere"):
        store.write([detections(0)])
    store.close()


@pytest.mark.integration
def test_stopped_and_started_again(influx_stack: Stack) -> None:
    store = empty_influx(influx_stack)
    server = influx_stack.service("influxdb")
    assert isinstance(server, InfluxDB)
    store.write([detections(0)])
    server.kill()
    try:
        for call in (
            lambda: store.write([detections(1)]),
            lambda: store.count(Query("detections")),
            lambda: store.read(Query("detections")),
        ):
            with pytest.raises(RetryError, match="influxdb"):
                call()
    finally:
        server.restart()
    assert store.write([detections(1)]) == []
    assert store.read(Query("detections")) == [detections(0), detections(1)], "what was acknowledged survives kill -9"
    store.close()


class _Stubborn(http.server.BaseHTTPRequestHandler):
    """Answers questions with nothing and refuses every point."""

    status = 400
    answer = b""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked = self.path.startswith("/api/v2/query")
        self.send_response(200 if asked else self.status)
        body = self.answer if asked else b'{"code":"invalid","message":"unwanted secret"}'
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def stubborn() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Stubborn) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("status", [400, 401, 404, 413, 422, 429, 500, 503])
def test_a_server_that_takes_nothing_loses_nothing(stubborn: str, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A point is given up only when the same server takes another one."""
    monkeypatch.setattr(_Stubborn, "status", status)
    store = InfluxStore(stubborn, "", "rewatch", "rewatch")
    with pytest.raises(RetryError, match="unwanted"):
        store.write([detections(0), detections(1), event("a")])
    store.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"#datatype,string,string\r\n#group,true,true\r\n#default,,\r\n,error,reference\r\n,out of memory,897\r\n\r\n",
        b"<html>a proxy says hello</html>\r\n",
    ],
)
def test_an_answer_that_is_an_error_is_waited_out(
    stubborn: str, answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Stubborn, "answer", answer)
    store = InfluxStore(stubborn, "", "rewatch", "rewatch")
    with pytest.raises(RetryError, match="rewatch"):
        store.count(Query("events"))
    store.close()


def test_no_server_and_no_address() -> None:
    for url in ("http://127.0.0.1:1", "http://nowhere.invalid:8086"):
        store = InfluxStore(url, "", "rewatch", "rewatch", timeout_seconds=2)
        with pytest.raises(RetryError, match="influxdb"):
            store.write([detections(0)])
        store.close()
