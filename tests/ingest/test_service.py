"""The whole process against a real Kafka: cameras come, change and go; Kafka goes away and comes back."""

import asyncio
import contextlib
import threading
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from devstack.ports import free_port
from devstack.stack import Stack
from ingest.camera import analysis_bytes
from ingest.camera_topic import CameraTopicError, read_cameras, write_cameras
from ingest.limits import Limits
from ingest.service import Service, build_service
from runtime import kafka as clients
from runtime.config import Settings
from schemas.analysis import CameraSpec
from schemas.partition import partition_of
from schemas.topics import CAMERAS, PARTITIONS
from tests.ingest.clips import check_log, write_clip
from tests.ingest.kafka_log import KafkaLog
from tests.ingest.rig import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


class Running:
    """A service on a loop of its own, in a thread."""

    def __init__(self, bootstrap: str, group: str, limits: Limits | None = None, wait: bool = True) -> None:
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self.service: Service = build_service(Settings(kafka=bootstrap, ingest_group=group), limits)
        self.code: int | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        if wait:
            assert self._ready.wait(30)

    def _run(self) -> None:
        with contextlib.closing(self._loop):
            self.code = self._loop.run_until_complete(self.service.run(self._stop, self._ready.set))

    def get(self, path: str) -> tuple[int, str]:
        with contextlib.suppress(urllib.error.HTTPError):
            with urllib.request.urlopen(f"http://127.0.0.1:{self.service.port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        return 503, ""

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(30)
        assert self.code == 0


@contextlib.contextmanager
def running(bootstrap: str, group: str, limits: Limits | None = None) -> Iterator[Running]:
    service = Running(bootstrap, group, limits)
    try:
        yield service
    finally:
        service.stop()


@contextlib.contextmanager
def log(bootstrap: str, topic: str, key: str) -> Iterator[KafkaLog]:
    opened = KafkaLog(bootstrap, topic, key)
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture
def name() -> str:
    """Of the camera and the group, so that nobody else's cameras are touched."""
    return f"ingest-{uuid.uuid4().hex[:8]}"


def spec(name: str, url: Path | str, batch: bool = False, model: str = "junction-yolo", **source: object) -> CameraSpec:
    return msgspec.convert(
        {
            "id": name,
            "source": {"url": str(url), **source},
            "analysis": {"model": model},
            "labels": {"ingest": name},
            "batch": batch,
        },
        CameraSpec,
    )


def test_cameras_come_change_and_go(kafka: str, name: str, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", pictures=50, gop=10)
    with running(kafka, name) as service, log(kafka, "frames", name) as frames, log(kafka, "ledger", name) as ledger:
        assert service.get("/readyz") == (200, "ok\n")
        write_cameras(kafka, [spec(name, clip, loop=True)], [])
        frames.wait(lambda seen: len(seen.units) >= 30)
        write_cameras(kafka, [spec(name, clip, loop=True, model="other")], [])
        frames.wait(lambda seen: any(b"other" in (unit.analysis or b"") for unit in seen.units))
        assert len({unit.session for unit in frames.units}) == 1, "the source was not opened again"
        other = write_clip(tmp_path / "other.mp4", pictures=50, gop=10, size=(160, 128))
        write_cameras(kafka, [spec(name, other, loop=True)], [])
        frames.wait(lambda seen: any(unit.width == 160 for unit in seen.units))
        assert f'rewatch_ingest_connected{{camera="{name}"}} 1.0' in service.get("/metrics")[1]
        write_cameras(kafka, [], [name])
        wait_until(lambda: f'"{name}"' not in service.get("/metrics")[1], 10)
        frames.catch_up()
        count = len(frames.units)
        frames.catch_up()
        assert len(frames.units) == count
        ledger.wait(lambda seen: sum(entry.published for entry in seen.ledger) == count)
    units = frames.units
    for session in {unit.session for unit in units}:
        check_log([unit for unit in units if unit.session == session])
    assert {stored.partition for stored in frames.stored} == {partition_of(name.encode(), PARTITIONS)}
    assert [stored.timestamp_ms for stored in frames.stored[:-1]] == [unit.captured_ns // 1_000_000 for unit in units]
    (end,) = frames.ends
    assert end == frames.records[-1], "a camera that was removed ends its log"
    assert (end.published, end.error) == (count - units.index(next(u for u in units if u.width == 160)), "")
    traces = {(unit.session, unit.gop): unit.traceparent for unit in units}
    assert all(unit.traceparent == traces[unit.session, unit.gop] for unit in units)
    assert len(set(traces.values())) == len(traces)
    assert all(trace and trace.startswith("00-") and len(trace) == 55 for trace in traces.values())
    assert {stored.partition for stored in ledger.stored} == {stored.partition for stored in frames.stored}


def test_an_upload_is_read_once_and_its_camera_removed(kafka: str, name: str, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", pictures=200, gop=50)
    upload = spec(name, clip, batch=True, start_ns=10**18)
    with running(kafka, name), log(kafka, "frames-batch", name) as frames:
        write_cameras(kafka, [upload], [])
        frames.wait(lambda seen: bool(seen.ends))
        wait_until(lambda: name not in read_cameras(kafka))
    with running(kafka, name), log(kafka, "frames-batch", name) as frames:
        frames.wait(lambda seen: bool(seen.ends))
    assert len(frames.units) == 200
    check_log(frames.units)
    (end,) = frames.ends
    assert (end.published, end.error) == (200, "")
    assert end.analysis == analysis_bytes(upload.analysis)
    assert end == frames.records[-1]


def test_an_upload_that_is_no_video(kafka: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("not a video " * 100)
    with running(kafka, name), log(kafka, "frames-batch", name) as frames:
        write_cameras(kafka, [spec(name, path, batch=True)], [])
        frames.wait(lambda seen: bool(seen.ends))
        assert "Invalid data" in frames.ends[0].error
        assert frames.ends[0].published == 0
        wait_until(lambda: name not in read_cameras(kafka))


def test_a_restart_leaves_a_gap_that_fits(kafka: str, name: str, tmp_path: Path) -> None:
    """A live source (here HTTP without a length would do; RTSP is tested elsewhere) goes on behind the log's end."""
    from devstack.rtsp import Mount, RtspServer

    clip = write_clip(tmp_path / "clip.mp4", pictures=100, gop=25)
    server = RtspServer(tmp_path / "rtsp", free_port(), {"/cam": Mount(clip)})
    server.start()
    try:
        server.wait_ready()
        with log(kafka, "frames", name) as frames:
            with running(kafka, name):
                write_cameras(kafka, [spec(name, server.url("/cam"))], [])
                frames.wait(lambda seen: len(seen.units) >= 40)
            frames.catch_up()
            last = max(unit.captured_ns for unit in frames.units)
            before = len(frames.records)
            with running(kafka, name):
                frames.wait(lambda seen: len(seen.records) >= before + 40)
            gap, after = frames.gaps[-1], frames.units[-1]
    finally:
        server.stop()
    assert frames.records[before] == gap
    assert (gap.reason, gap.from_ns, gap.lost) == ("ingest_away", last, -1)
    assert gap.session == after.session
    assert gap.to_ns == min(unit.captured_ns for unit in frames.units if unit.session == after.session)
    write_cameras(kafka, [], [name])


def test_records_that_are_no_cameras_are_ignored(kafka: str, name: str, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", pictures=10)
    with running(kafka, name) as service, log(kafka, "frames-batch", name) as frames:
        producer = clients.producer(kafka, "test")
        for value in (b"{", b'{"id":"x"}', msgspec.json.encode(spec("someone-else", clip))):
            producer.produce(CAMERAS.name, value, name.encode())
        producer.produce(CAMERAS.name, b"{}", None)
        producer.flush(10)
        write_cameras(kafka, [spec(name, clip, batch=True)], [])
        frames.wait(lambda seen: bool(seen.ends))
        assert service.get("/livez") == (200, "ok\n")


def test_other_groups_cameras_are_left_alone(kafka: str, name: str, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", pictures=10)
    with running(kafka, f"not-{name}"), log(kafka, "frames-batch", name) as frames:
        write_cameras(kafka, [spec(name, clip, batch=True)], [])
        frames.catch_up()
        frames.catch_up()
        assert frames.records == []
    write_cameras(kafka, [], [name])


def test_heartbeats(kafka: str, name: str, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", pictures=100)
    with running(kafka, name), contextlib.closing(KafkaLog(kafka, "heartbeats")) as beats:
        write_cameras(kafka, [spec(name, clip, loop=True)], [])
        beats.wait(lambda seen: any(name.encode() in (stored.value or b"") for stored in seen.stored))
    beat = msgspec.json.decode(beats.stored[-1].value or b"")
    assert beat["role"] == "ingest"
    write_cameras(kafka, [], [name])


def test_nobody_answers(tmp_path: Path) -> None:
    """Without Kafka the process waits and says so; the command line gives up with a word."""
    service = Running(f"127.0.0.1:{free_port()}", "x", wait=False)
    try:
        wait_until(lambda: service.service._health._server is not None)
        assert service.get("/livez")[0] == 200
        assert service.get("/readyz")[0] == 503
    finally:
        service.stop()
    with pytest.raises(CameraTopicError, match="did not answer"):
        read_cameras(f"127.0.0.1:{free_port()}", timeout=1)


@pytest.mark.timeout(300)
def test_kafka_away_loses_only_whole_counted_groups(name: str, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.ts", pictures=50, gop=10, size=(640, 480))
    from tests.ingest.live_pipe import LivePipe

    with Stack(services=("kafka",)) as stack, LivePipe(clip) as source:
        bootstrap = stack.addresses.kafka_bootstrap
        size = clip.stat().st_size
        # holds about three seconds of the clip
        limits = Limits(queue_bytes=size * 3 // 2, in_flight_bytes=size // 4, backoff_seconds=(0.1, 0.5))
        with running(bootstrap, name, limits), log(bootstrap, "frames", name) as frames:
            write_cameras(bootstrap, [spec(name, source.url)], [])
            frames.wait(lambda seen: len(seen.units) >= 50)
            stack.service("kafka").kill()
            threading.Event().wait(12)
            stack.service("kafka").restart()
            frames.wait(lambda seen: bool(seen.gaps), 60)
            count = len(frames.units)
            frames.wait(lambda seen: len(seen.units) >= count + 50, 60)
            write_cameras(bootstrap, [], [name])
            with log(bootstrap, "ledger", name) as ledger:

                def told_of_all(seen: KafkaLog) -> bool:
                    frames.catch_up()  # the camera's last groups may still be on their way
                    return sum(entry.published for entry in seen.ledger) == len(frames.units)

                ledger.wait(told_of_all, 30)
    units = frames.units
    check_log(units)
    assert all(entry.received == entry.published + entry.lost for entry in ledger.ledger)
    assert all(entry.lost in (0, entry.received) for entry in ledger.ledger), "whole groups"
    lost = sum(entry.lost for entry in ledger.ledger)
    assert lost > 50
    assert sum(gap.lost for gap in frames.gaps) == lost
    assert {gap.reason for gap in frames.gaps} == {"queue_full"}
    gops = [unit.gop for unit in units if unit.keyframe]
    missing = {entry.gop for entry in ledger.ledger if entry.lost}
    assert sorted({*gops, *missing}) == list(range(max(gops) + 1)), "every group is in the log or in the ledger"
    assert source.served >= len(units) + lost, "nothing was invented"
