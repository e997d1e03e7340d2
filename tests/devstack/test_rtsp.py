"""Cameras: H.264 and H.265, TCP and UDP, loops, passwords, RTMP."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import pytest

from devstack.ports import free_port
from devstack.rtmp import RtmpServer
from devstack.rtsp import Mount, RtspServer
from devstack.service import ServiceError
from devstack.stack import Stack
from tests.devstack.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def cameras(clip: Path, hevc_clip: Path) -> Iterator[Stack]:
    mounts = {"/loop": Mount(clip), "/once": Mount(clip, loop=False), "/hevc": Mount(hevc_clip)}
    with Stack(services=("rtsp",), mounts=mounts) as stack:
        yield stack


def packets(url: str, transport: str, count: int) -> tuple[str, Sequence[Any]]:
    """Codec, and up to `count` packets until the stream ends."""
    found: list[Any] = []
    with av.open(url, options={"rtsp_transport": transport}, timeout=30) as container:
        for packet in container.demux(container.streams.video[0]):
            if not packet.size or len(found) == count:
                break
            found.append(packet)
        return container.streams.video[0].codec_context.name, found


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize(("mount", "codec"), [("/loop", "h264"), ("/hevc", "hevc")])
def test_a_loop_goes_on_with_rising_times(cameras: Stack, mount: str, codec: str, transport: str) -> None:
    name, found = packets(cameras.addresses.rtsp_url + mount, transport, 50)  # two and a half laps
    assert name == codec
    assert len(found) == 50
    assert [packet.is_keyframe for packet in found[:21]] == [index % 10 == 0 for index in range(21)]
    times = [packet.pts for packet in found[1:] if packet.pts is not None]
    steps = [after - before for before, after in itertools.pairwise(times)]
    assert all(4300 < step < 4700 for step in steps)  # 90 kHz / 20, over the seams too
    assert sum(len(packet.decode()) for packet in found) >= 45


def test_a_clip_that_is_not_looped_ends(cameras: Stack) -> None:
    _, found = packets(f"{cameras.addresses.rtsp_url}/once", "tcp", 1000)
    assert len(found) == 20


def test_an_unknown_mount(cameras: Stack) -> None:
    with pytest.raises(av.error.HTTPNotFoundError):
        av.open(f"{cameras.addresses.rtsp_url}/nowhere", options={"rtsp_transport": "tcp"})


@pytest.mark.parametrize("auth", ["basic", "digest"])
def test_passwords(clip: Path, tmp_path: Path, auth: str) -> None:
    server = RtspServer(tmp_path, free_port(), {"/cam": Mount(clip)}, "viewer:secret", auth)
    with Stack(services=()) as stack:
        stack.start(server)
        assert len(packets(server.url("/cam"), "tcp", 5)[1]) == 5
        for wrong in (server.url("/cam").replace("secret", "guess"), f"{server.address}/cam"):
            with pytest.raises(av.error.HTTPUnauthorizedError):
                av.open(wrong, options={"rtsp_transport": "tcp"})
        assert b"secret" not in b" ".join(Path(f"/proc/{server.pid}/cmdline").read_bytes().split(b"\0"))
        assert (server.data / "settings.json").stat().st_mode & 0o077 == 0
        assert "secret" not in server.log.read_text()


def test_what_is_no_video_fails_the_start(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    with pytest.raises(ServiceError, match=r"(?s)rtsp ended with code 1.*text\.mp4: neither H\.264 nor H\.265"):
        Stack(services=("rtsp",), mounts={"/text": Mount(text)}).__enter__()


def test_rtmp_publisher_and_reader(clip: Path) -> None:
    with Stack(services=("rtmp",)) as stack:
        server = stack.service("rtmp")
        assert isinstance(server, RtmpServer)
        stack.start(server.publisher(stack.directory, "cam", clip))

        def read() -> bool:
            try:
                with av.open(server.url("cam"), options={"analyzeduration": "500000"}, timeout=10) as container:
                    return (
                        container.streams.video[0].codec_context.name == "h264"
                        and len([packet for packet, _ in zip(container.demux(video=0), range(30), strict=False)]) == 30
                    )
            except av.error.FFmpegError:
                return False

        assert until(read, 60)
