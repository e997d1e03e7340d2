"""The gateway on a real broker and real sockets."""

import asyncio
import contextlib
import itertools
import json
import socket as sockets
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from websockets.asyncio.client import connect

from devstack.stack import Stack
from gateway import cursor, socket_client
from gateway.kafka_log import KafkaLog
from gateway.log import LogUnavailable, PositionGone, Record
from gateway.models import KnownModels
from runtime.metrics import REGISTRY
from schemas.partition import partition_of
from schemas.topics import EVENTS, FAILED_WINDOWS, FLOW, FRAMES_BATCH, LEDGER, PARTITIONS
from tests.devstack.waiting import until
from tests.gateway import clip
from tests.gateway.asgi import settings
from tests.gateway.edge import analysed, edge, unreadable
from tests.gateway.served import Served
from tests.gateway.writer import Writer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


@pytest.fixture
def camera() -> str:
    return f"cam-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def served(broker: Stack, tmp_path: Path) -> Iterator[Served]:
    made = settings(tmp_path, kafka=broker.addresses.kafka_bootstrap, upload_max_bytes=3_000_000)
    with Served(made, KnownModels("square-finder")) as running:
        yield running


@pytest.fixture
async def log(broker: Stack) -> KafkaLog:
    made = KafkaLog(broker.addresses.kafka_bootstrap)
    await made.open()
    return made


async def read(log: KafkaLog, topic: str, start: dict[int, int], stop: dict[int, int] | None) -> list[Record]:
    found: list[Record] = []
    async with log.reader(topic, start, stop) as reader:
        async for batch in reader:
            found += batch
    return found


async def test_partitions_are_where_the_producer_puts_them(log: KafkaLog, producer: Producer) -> None:
    placed: dict[bytes | None, int | None] = {}
    keys = [f"camera-{number}".encode() for number in range(100)] + [b"x", b"junction.north", "straße".encode()]
    for key in keys:
        producer.produce(FLOW.name, b"{}", key, on_delivery=lambda _, m: placed.update({m.key(): m.partition()}))
    await asyncio.to_thread(producer.flush)
    assert placed == {key: partition_of(key, PARTITIONS) for key in keys}


async def test_positions(log: KafkaLog, producer: Producer, camera: str) -> None:
    where = partition_of(camera.encode(), PARTITIONS)
    before = await log.ends(LEDGER.name)
    base = int(time.time() * 1000) - 100_000
    for number in range(10):
        producer.produce(LEDGER.name, str(number).encode(), camera.encode(), timestamp=base + number * 1000)
    await asyncio.to_thread(producer.flush)
    ends = await log.ends(LEDGER.name)
    assert ends[where] == before[where] + 10
    at = await log.at(LEDGER.name, base + 3500)
    assert at[where] == before[where] + 4
    assert (await log.at(LEDGER.name, base + 1_000_000))[where] == ends[where]
    assert (await log.at(LEDGER.name, 0)) == await log.starts(LEDGER.name)
    records = await read(log, LEDGER.name, {where: before[where] + 2}, {where: before[where] + 7})
    assert [record.value for record in records] == [b"2", b"3", b"4", b"5", b"6"]
    assert records[0].timestamp_ms == base + 2000
    assert await read(log, LEDGER.name, ends, ends) == []
    # every partition, most of them empty
    everything = await read(log, LEDGER.name, await log.starts(LEDGER.name), ends)
    assert len([record for record in everything if record.key == camera.encode()]) == 10


async def test_frames_of_a_file_are_kept_by_their_arrival(log: KafkaLog, producer: Producer) -> None:
    """Its capture times begin at zero: by them, retention would delete every frame before it is read."""
    producer.produce(FRAMES_BATCH.name, b"x", b"file", timestamp=1)
    await asyncio.to_thread(producer.flush)
    where = partition_of(b"file", PARTITIONS)
    end = (await log.ends(FRAMES_BATCH.name))[where]
    (record,) = await read(log, FRAMES_BATCH.name, {where: end - 1}, {where: end})
    assert abs(record.timestamp_ms / 1000 - time.time()) < 60


async def test_a_left_partition_holds_nobody_up(log: KafkaLog, producer: Producer) -> None:
    for number in range(20_000):
        producer.produce(FAILED_WINDOWS.name, b"x" * 200, b"big", partition=0)
        if number % 5000 == 0:
            producer.produce(FAILED_WINDOWS.name, b"small", b"small", partition=1)
    await asyncio.to_thread(producer.flush)
    start = {0: 0, 1: 0}
    stop = {p: offset for p, offset in (await log.ends(FAILED_WINDOWS.name)).items() if p in start}
    seen: dict[int, int] = {0: 0, 1: 0}
    async with log.reader(FAILED_WINDOWS.name, start, stop) as reader:
        async for batch in reader:
            for record in batch:
                seen[record.partition] += 1
            if seen[0] >= 100:
                reader.leave(0)
    assert seen[1] == stop[1]
    assert 100 <= seen[0] < stop[0]


async def test_deleted_records(log: KafkaLog, producer: Producer, broker: Stack) -> None:
    for number in range(10):
        producer.produce(FAILED_WINDOWS.name, str(number).encode(), b"deleted", partition=7)
    await asyncio.to_thread(producer.flush)
    end = (await log.ends(FAILED_WINDOWS.name))[7]
    admin = AdminClient({"bootstrap.servers": broker.addresses.kafka_bootstrap})
    deleted = admin.delete_records([TopicPartition(FAILED_WINDOWS.name, 7, end - 3)])
    await asyncio.to_thread(next(iter(deleted.values())).result, 10)
    assert (await log.starts(FAILED_WINDOWS.name))[7] == end - 3
    with pytest.raises(PositionGone):
        await read(log, FAILED_WINDOWS.name, {7: end - 8}, {7: end})
    assert len(await read(log, FAILED_WINDOWS.name, {7: end - 3}, {7: end})) == 3


async def test_no_broker() -> None:
    with sockets.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    nowhere = KafkaLog(f"127.0.0.1:{port}")
    with pytest.raises(LogUnavailable):
        await nowhere.ends(EVENTS.name)
    with pytest.raises(LogUnavailable):
        await nowhere.open()


def test_pages_over_http(served: Served, writer: Writer, producer: Producer) -> None:
    now = time.time_ns()
    site = uuid.uuid4().hex[:6]
    for number in range(300):
        writer.result(clip.event(f"{site}-{number % 7}", number, now + number * 10**6, kind=site))
    producer.flush()
    with httpx.Client(base_url=served.url, timeout=30) as http:
        for limit in (23, 1000):
            got: list[int] = []
            parameters: dict[str, Any] = {"from": "-2m", "kind": site, "limit": limit}
            while True:
                answer = http.get("/events", params=parameters).json()
                got += [event["details"]["number"] for event in answer["events"]]
                parameters["cursor"] = answer["next"]
                if not answer["more"]:
                    break
            assert sorted(got) == list(range(300))
        one = http.get("/events", params={"camera": f"{site}-3", "from": "-2m"}).json()["events"]
        assert [event["details"]["number"] for event in one] == list(range(3, 300, 7))


class Numbers:
    """Writes numbered events of many cameras until it is stopped."""

    def __init__(self, writer: Writer, producer: Producer, site: str, pause: float = 0.002) -> None:
        self._writer, self._producer, self._site, self._pause = writer, producer, site, pause
        self._stop = threading.Event()
        self.count = 0
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        for number in itertools.count():
            if self._stop.wait(self._pause):
                break
            self._writer.result(clip.event(f"{self._site}-{number % 5}", number, time.time_ns(), kind=self._site))
            self.count = number + 1
        self._producer.flush(10)

    def __enter__(self) -> "Numbers":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


async def follow(url: str, kind: str, at: str, got: list[int], enough: int | None, seconds: float) -> str:
    """Collects numbers until there are `enough`, the connection ends or the time is over. Returns the last cursor."""
    address = f"{url}/ws/events?kind={kind}&cursor={at}"
    try:
        async with asyncio.timeout(seconds), connect(address, close_timeout=0.2) as socket:
            async for text in socket:
                message = json.loads(text)
                if message["type"] == "error":  # the log is away: come again with the same cursor
                    break
                at = message["cursor"]
                if message["type"] == "event":
                    got.append(message["data"]["details"]["number"])
                if enough is not None and len(got) >= enough:
                    break
    except (TimeoutError, OSError, websockets.WebSocketException):
        pass
    return at


async def test_a_client_that_comes_back_misses_nothing_and_gets_nothing_twice(
    served: Served, writer: Writer, producer: Producer
) -> None:
    """Clients leave at any moment, the gateway itself is started anew, events come all the while."""
    site = uuid.uuid4().hex[:6]
    got: list[int] = []
    async with httpx.AsyncClient(base_url=served.url) as http:
        at = (await http.get("/events?from=now")).json()["next"]
    with Numbers(writer, producer, site) as numbers:
        for turn in range(8):
            at = await follow(served.ws, site, at, got, None, 0.1 + 0.05 * turn)
            if turn == 4:
                await asyncio.to_thread(served.restart)
    at = await follow(served.ws, site, at, got, numbers.count, 20)
    assert numbers.count > 500
    assert sorted(got) == list(range(numbers.count))


async def test_a_client_that_reads_nothing(
    served: Served,
    writer: Writer,
    producer: Producer,
    monkeypatch: pytest.MonkeyPatch,
    undo: contextlib.ExitStack,
) -> None:
    """It is closed and counted; another one, and the gateway's memory, are not touched by it."""
    monkeypatch.setattr(socket_client.SocketClient.__init__, "__defaults__", (1.0,))
    site = uuid.uuid4().hex[:6]
    dropped = REGISTRY.get_sample_value("rewatch_gateway_clients_dropped_total") or 0
    slow = undo.enter_context(sockets.create_connection(("127.0.0.1", served.port)))
    slow.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    slow.sendall(
        f"GET /ws/events?kind={site} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    assert b"101" in slow.recv(100)
    got: list[int] = []
    quick = asyncio.create_task(follow(served.ws, site, "", got, 20_000, 60))
    await asyncio.sleep(0.5)
    for number in range(20_000):
        writer.result(clip.event(f"{site}-{number % 5}", number, time.time_ns(), kind=site))
        if number % 500 == 0:
            await asyncio.sleep(0.02)
    await asyncio.to_thread(producer.flush)
    await quick
    assert sorted(got) == list(range(20_000))
    async with asyncio.timeout(20):
        while (REGISTRY.get_sample_value("rewatch_gateway_clients_dropped_total") or 0) == dropped:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        # and its connection is cut, although it never took what was sent
        while served.connections():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def becomes(http: httpx.AsyncClient, path: str, status: int, patience: float = 20.0) -> None:
    """A broker's absence and return are noticed by the next fetch, not at once."""
    deadline = time.monotonic() + patience
    while (answer := await http.get(path)).status_code != status:
        assert time.monotonic() < deadline, answer.text
        await asyncio.sleep(0.2)


async def test_a_broker_that_is_away_for_a_while(
    broker: Stack, served: Served, writer: Writer, producer: Producer
) -> None:
    site = uuid.uuid4().hex[:6]
    got: list[int] = []
    async with httpx.AsyncClient(base_url=served.url, timeout=30) as http:
        at = (await http.get("/events?from=now")).json()["next"]
        writer.result(clip.event(site, 0, time.time_ns(), kind=site))
        producer.flush()
        at = await follow(served.ws, site, at, got, 1, 20)
        kafka = broker.service("kafka")
        await asyncio.to_thread(kafka.stop)
        await becomes(http, "/readyz", 503)
        assert (await http.get("/livez")).status_code == 200
        assert (await http.get("/cameras")).status_code == 200
        kafka.start()
        await asyncio.to_thread(kafka.wait_ready)
        writer.result(clip.event(site, 1, time.time_ns(), kind=site))
        await asyncio.to_thread(producer.flush)
        deadline = time.monotonic() + 40
        while len(got) < 2:
            assert time.monotonic() < deadline, got
            at = await follow(served.ws, site, at, got, 2, 10)
            await asyncio.sleep(0.2)
        assert got == [0, 1]
        await becomes(http, "/readyz", 200)


async def test_a_file_is_analysed(served: Served, log: KafkaLog, writer: Writer) -> None:
    async with edge(log, writer, analysed) as made, httpx.AsyncClient(base_url=served.url, timeout=60) as http:
        form = {"files": {"file": ("a.mp4", b"video" * 1000)}, "data": {"model": "square-finder"}}
        answer = await http.post("/analyze", **form)  # type: ignore[arg-type]
        assert answer.status_code == 200, answer.text
        assert answer.json()["tracks"] == {"car": 1, "person": 2}
        assert answer.json()["counts"] == {"middle": 2}
        assert not await asyncio.to_thread(Path(made.specs[0].source.url).exists)


async def test_no_video(served: Served, log: KafkaLog, writer: Writer) -> None:
    async with edge(log, writer, unreadable), httpx.AsyncClient(base_url=served.url, timeout=60) as http:
        form = {"files": {"file": ("a.mp4", b"text" * 1000)}, "data": {"model": "square-finder"}}
        answer = await http.post("/analyze", **form)  # type: ignore[arg-type]
        assert answer.status_code == 422
        assert "Invalid data" in answer.json()["detail"]


@pytest.mark.parametrize("declared", [True, False])
def test_an_upload_over_the_limit_gets_its_answer(served: Served, tmp_path: Path, declared: bool) -> None:
    """Also where the length is not told and the client sends all it has before it listens."""
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
    blocks = [head, *([b"x" * 100_000] * 60), b"\r\n--b--\r\n"]
    headers = {"content-type": "multipart/form-data; boundary=b"}
    if declared:
        headers["content-length"] = str(sum(map(len, blocks)))
    with httpx.Client(base_url=served.url, timeout=30) as http:
        answer = http.post("/analyze", content=iter(blocks), headers=headers)
        assert answer.status_code == 413
        assert "3000000" in answer.json()["detail"]
        assert http.get("/livez").status_code == 200
    assert list((tmp_path / "uploads").iterdir()) == []


def test_a_client_that_vanishes_while_it_sends(served: Served, tmp_path: Path) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
    with sockets.create_connection(("127.0.0.1", served.port)) as client:
        client.sendall(
            b"POST /analyze HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=b\r\n"
            b"Content-Length: 2000000\r\n\r\n" + head + b"x" * 200_000
        )
        assert until(lambda: len(list((tmp_path / "uploads").glob("*"))) == 1)
    for _ in range(100):
        if not list((tmp_path / "uploads").iterdir()):
            return
        time.sleep(0.05)
    raise AssertionError("the partial file is still there")


def test_the_cursor_of_a_page_is_that_of_the_feed(served: Served) -> None:
    with httpx.Client(base_url=served.url) as http:
        text = http.get("/events?from=now").json()["next"]
    assert cursor.decode(text, EVENTS.name, PARTITIONS)
