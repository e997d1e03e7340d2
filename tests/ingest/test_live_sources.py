"""Real servers: RTSP by GStreamer over TCP and UDP, RTMP by nginx, HTTP; killed, frozen, refused, and back again."""

import contextlib
import http.server
import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack.ports import free_port
from devstack.rtmp import RtmpServer
from devstack.rtsp import Mount, RtspServer
from ingest.camera import Past
from ingest.take import Outage
from runtime.metrics import REGISTRY
from tests.ingest.clips import check_log, write_clip
from tests.ingest.rig import Rig, wait_until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "camera.mp4", pictures=100, gop=25)


@contextlib.contextmanager
def rtsp(tmp_path: Path, clip: Path, credentials: str = "", loop: bool = True) -> Iterator[RtspServer]:
    server = RtspServer(tmp_path / "rtsp", free_port(), {"/cam": Mount(clip, loop)}, credentials)
    server.start()
    try:
        server.wait_ready()
        yield server
    finally:
        server.stop()


def metric(name: str, camera: str = "cam", **labels: str) -> float:
    return REGISTRY.get_sample_value(f"rewatch_ingest_{name}", {"camera": camera, **labels}) or 0.0


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("libx264", {}),
        ("libx264", {"b_frames": 2, "options": {"preset": "fast"}}),
        ("libx265", {"options": {"x265-params": "log-level=none:open-gop=0"}}),
    ],
)
def test_rtsp(rig: Rig, tmp_path: Path, transport: str, codec: str, options: dict[str, object]) -> None:
    clip = write_clip(tmp_path / "camera.mp4", codec, pictures=100, gop=25, **options)  # type: ignore[arg-type]
    with rtsp(tmp_path, clip) as server:
        started = time.time_ns()
        rig.camera(server.url("/cam"), transport=transport)
        wait_until(lambda: len(rig.units()) >= 130, 30)
        taken = time.time_ns()
    units = rig.units()[:125]
    check_log(units)
    assert units[0].gop == 0
    assert len({unit.session for unit in units}) == 1
    assert all(unit.index < 25 for unit in units), "a keyframe a second"
    shown = sorted(unit.captured_ns for unit in units)
    # what comes in a burst at the start is stamped by its own timestamps
    assert started - 200_000_000 < shown[0] < shown[-1] < taken
    assert all(abs(later - earlier - 40_000_000) < 4_000_000 for earlier, later in itertools.pairwise(shown))
    kinds = [dict(kept.headers)["kind"] for kept in rig.producer.kept if kept.topic == "frames"]
    # the server may have to be asked twice while it forgets the client that tried it
    assert b"gap" not in kinds[kinds.index(b"au") : 125]
    assert sum(entry.lost for entry in rig.ledger()) == 0


def test_a_wrong_password_is_said_without_the_password(
    rig: Rig, tmp_path: Path, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with rtsp(tmp_path, clip, "viewer:right") as server:
        camera = rig.camera(server.url("/cam").replace("right", "wr0ng-one"), id="wrong-password")
        wait_until(lambda: metric("failures_total", "wrong-password") >= 3)
        assert not camera.connected
        said = capsys.readouterr()
        assert "unauthorized" in said.out + said.err
        assert "wr0ng-one" not in said.out + said.err
        assert "viewer" not in said.out + said.err
        rig.camera(server.url("/cam"), id="right-password")
        wait_until(lambda: len(rig.units()) > 10)


def test_the_server_dies_and_comes_back(rig: Rig, tmp_path: Path, clip: Path) -> None:
    with rtsp(tmp_path, clip) as server:
        rig.camera(server.url("/cam"), id="dies")
        wait_until(lambda: len(rig.units()) >= 30)
        server.kill()
        wait_until(lambda: metric("connected", "dies") == 0)
        before = rig.units()[-1]
        wait_until(lambda: metric("failures_total", "dies") >= 2)
        server.restart()
        wait_until(lambda: rig.units()[-1].session != before.session)
        wait_until(lambda: len(rig.units()) >= 80)
    gap = rig.gaps()[-1]
    after = next(unit for unit in rig.units() if unit.session != before.session)
    assert gap.reason == "end_of_stream"
    assert gap.lost == -1
    assert gap.session == after.session
    assert gap.from_ns == max(unit.captured_ns for unit in rig.units() if unit.session == before.session)
    assert gap.to_ns == after.captured_ns
    assert after.keyframe
    check_log([unit for unit in rig.units() if unit.session == before.session])
    check_log([unit for unit in rig.units() if unit.session == after.session])
    records = rig.producer.records("frames")
    assert records.index(gap) + 1 == records.index(after), "in its place"


def test_a_frozen_server_is_noticed(rig: Rig, tmp_path: Path, clip: Path) -> None:
    with rtsp(tmp_path, clip) as server:
        rig.camera(server.url("/cam"), id="frozen", stall_seconds=1.0, open_timeout_seconds=2.0)
        wait_until(lambda: len(rig.units()) >= 30)
        # on a busy machine the server may have refused the first asking
        before = metric("failures_total", "frozen")
        server.pause()
        frozen = time.monotonic()
        wait_until(lambda: metric("failures_total", "frozen") > before)
        assert time.monotonic() - frozen < 8
        server.resume()
        wait_until(lambda: any(gap.reason == "stalled" for gap in rig.gaps()), 40)
        wait_until(lambda: len(rig.units()) >= 80)
    captured = [unit.captured_ns for unit in rig.units()]
    assert captured == sorted(captured)


def test_a_camera_removed_while_it_is_away_ends_its_log_too(rig: Rig, tmp_path: Path, clip: Path) -> None:
    with rtsp(tmp_path, clip) as server:
        camera = rig.camera(server.url("/cam"), id="away")
        wait_until(lambda: len(rig.units()) >= 30)
    wait_until(lambda: metric("failures_total", "away") >= 1)
    camera.leave()
    wait_until(lambda: bool(rig.ends()))
    (end,) = rig.ends()
    assert (end.session, end.published, end.error) == (rig.units()[-1].session, len(rig.units()), "")


def test_nobody_there_and_then_somebody(rig: Rig, tmp_path: Path, clip: Path) -> None:
    server = RtspServer(tmp_path / "rtsp", free_port(), {"/cam": Mount(clip)})
    camera = rig.camera(server.url("/cam"), id="late", past=Past(123, Outage("ingest_away", 123)))
    wait_until(lambda: metric("failures_total", "late") >= 3)
    assert not camera.ended
    assert rig.gaps() == []
    server.start()
    try:
        wait_until(lambda: len(rig.units()) > 10, 40)
    finally:
        server.stop()
    (gap,) = rig.gaps()
    assert (gap.reason, gap.from_ns) == ("ingest_away", 123)


def test_a_stopped_camera_publishes_nothing_more(rig: Rig, tmp_path: Path, clip: Path) -> None:
    with rtsp(tmp_path, clip) as server:
        camera = rig.camera(server.url("/cam"))
        wait_until(lambda: len(rig.units()) >= 30)
        camera.stop()
        camera.join(5)
        time.sleep(0.2)
        count = len(rig.units())
        time.sleep(0.5)
        assert len(rig.units()) == count
    wait_until(lambda: sum(entry.published for entry in rig.ledger()) == count)
    check_log(rig.units())


def test_rtmp_and_its_publisher_going_away(rig: Rig, tmp_path: Path, clip: Path) -> None:
    server = RtmpServer(tmp_path / "rtmp", free_port())
    server.start()
    try:
        server.wait_ready()
        publisher = server.publisher(tmp_path, "cam", clip)
        publisher.start()
        try:
            rig.camera(server.url("cam"), id="rtmp", stall_seconds=2.0)
            wait_until(lambda: len(rig.units()) >= 60, 30)
        finally:
            publisher.stop()
        wait_until(lambda: metric("connected", "rtmp") == 0, 20)
        check_log(rig.units())
        session = rig.units()[-1].session
        publisher = server.publisher(tmp_path, "cam", clip)
        publisher.start()
        try:
            wait_until(lambda: rig.units()[-1].session != session, 30)
        finally:
            publisher.stop()
        assert rig.gaps()[0].lost == -1
    finally:
        server.stop()


class _Handler(http.server.BaseHTTPRequestHandler):
    """`/clip.mp4`: a file; `/live.ts`: the file again and again, at its pace; `/mjpeg`: pictures without times."""

    folder: Path
    jpegs: list[bytes]

    def do_GET(self) -> None:
        with contextlib.suppress(ConnectionError):
            if self.path.startswith("/clip.mp4"):
                data = (self.folder / "camera.mp4").read_bytes()
                self._head("video/mp4", len(data))
                self.wfile.write(data)
            elif self.path.startswith("/live.ts"):
                data = (self.folder / "camera.ts").read_bytes()
                self._head("video/mp2t", None)
                size = len(data) // 188 // 100 * 188
                while True:
                    for at in range(0, len(data), size):
                        self.wfile.write(data[at : at + size])
                        time.sleep(0.04)
            elif self.path.startswith("/mjpeg"):
                self._head("multipart/x-mixed-replace; boundary=picture", None)
                for jpeg in self.jpegs * 100:
                    head = f"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    self.wfile.write(head.encode() + jpeg + b"\r\n")
                    time.sleep(0.04)
            elif self.path.startswith("/private"):
                self.send_error(401)
            else:
                self.send_error(404)

    def _head(self, kind: str, length: int | None) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path, clip: Path) -> Iterator[str]:
    write_clip(tmp_path / "camera.ts", pictures=100, gop=25)
    write_clip(tmp_path / "pictures.avi", "mjpeg", pictures=20, pix_fmt="yuvj420p")
    import av

    with av.open(str(tmp_path / "pictures.avi")) as container:
        jpegs = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    handler = type("Handler", (_Handler,), {"folder": tmp_path, "jpegs": jpegs})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_file_over_http_has_an_end(rig: Rig, web: str) -> None:
    units = rig.read_all(f"{web}/clip.mp4")
    assert len(units) == 100
    check_log(units)


def test_a_live_stream_over_http_whose_timestamps_restart(rig: Rig, web: str) -> None:
    rig.camera(f"{web}/live.ts", id="live-http")
    wait_until(lambda: len(rig.units()) >= 230, 40)
    units = rig.units()[:225]
    check_log(units)
    assert rig.ends() == []
    assert metric("sessions_total", "live-http") == 1
    captured = [unit.captured_ns for unit in units]
    assert captured == sorted(captured)


def test_mjpeg_over_http_is_transcoded(rig: Rig, web: str) -> None:
    started = time.time_ns()
    rig.camera(f"{web}/mjpeg")
    wait_until(lambda: len(rig.units()) >= 100, 40)
    units = rig.units()[:90]
    check_log(units)
    assert started - 10**9 < units[0].captured_ns
    assert units[-1].captured_ns < time.time_ns() + 10**9


@pytest.mark.parametrize(("path", "word"), [("/nowhere", "not_found"), ("/private?key=s3cret", "unauthorized")])
def test_http_errors(rig: Rig, web: str, path: str, word: str, capsys: pytest.CaptureFixture[str]) -> None:
    id = f"http-{word}"
    camera = rig.camera(f"{web}{path}", id=id)
    wait_until(lambda: metric("failures_total", id) >= 2)
    said = capsys.readouterr()
    assert word in said.out + said.err
    assert "s3cret" not in said.out + said.err
    assert not camera.ended


def test_no_camera_at_the_usb_port(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    rig.camera("/dev/video99", id="usb")
    wait_until(lambda: metric("failures_total", "usb") >= 2)
    said = capsys.readouterr()
    assert "not_found" in said.out + said.err
