"""Live streams, received by a real RTSP and a real RTMP peer in a process of its own."""

import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from simulator.clip import render_clip
from simulator.encoder import Encoding
from simulator.scene import Scene

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

_PEER = """
import json, sys, av
url = sys.argv[1]
options = {"rtsp_flags": "listen", "listen_timeout": "60"} if url.startswith("rtsp") else {"listen": "1"}
pictures = keyframes = 0
with av.open(url, options=options) as container:
    stream = container.streams.video[0]
    try:
        for packet in container.demux(stream):
            pictures += packet.size > 0
            keyframes += packet.size > 0 and packet.is_keyframe
    except (av.error.FFmpegError, OSError):
        pass  # the pusher hung up
    print(json.dumps({"codec": stream.codec_context.name, "pictures": pictures, "keyframes": keyframes}))
"""


def _listening(port: int) -> bool:
    return any(f":{port:04X} 00000000:0000 0A" in line for line in Path("/proc/net/tcp").read_text().splitlines())


@pytest.mark.parametrize("scheme", ["rtsp", "rtmp"])
def test_a_stream_is_pushed_at_its_own_pace(scheme: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    url = f"{scheme}://127.0.0.1:{port}/live/cam"
    peer = subprocess.Popen([sys.executable, "-c", _PEER, url], stdout=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 60
        while not _listening(port):
            assert time.monotonic() < deadline, "the peer does not listen"
            time.sleep(0.05)
        report = render_clip(Scene(2, "day", 320, 180, fps=10.0), url, 3.0, Encoding(gop_seconds=0.5))
        output, _ = peer.communicate(timeout=60)
    finally:
        peer.kill()
        peer.wait()
    received = json.loads(output)
    assert report.frames == 30
    assert report.elapsed >= 2.9, "frame k leaves k / fps after the first, never earlier"
    assert received["codec"] == "h264"
    assert received["pictures"] >= 28, "the last packets may be lost when the pusher hangs up"
    assert received["keyframes"] >= 5
