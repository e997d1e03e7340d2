"""An RTMP server (nginx) and publishers, to read from as one reads from RTMP cameras."""

import os
import socket
from collections.abc import Sequence
from pathlib import Path

from devstack.process import Process
from devstack.service import Service

_MODULE = "/usr/lib/nginx/modules/ngx_rtmp_module.so"
_HANDSHAKE = 1536


class RtmpServer(Service):
    hint = "apt-get install nginx-light libnginx-mod-rtmp"
    timeout = 60.0

    def __init__(self, directory: Path, port: int, name: str = "rtmp") -> None:
        super().__init__(name, directory)
        self.port = port
        self._settings = self.data / "nginx.conf"

    @property
    def address(self) -> str:
        return f"rtmp://127.0.0.1:{self.port}/live"

    def url(self, stream: str) -> str:
        return f"{self.address}/{stream}"

    def prepare(self) -> None:
        self._settings.write_text(
            f"""daemon off;
master_process off;
pid {self.data}/nginx.pid;
error_log stderr notice;
load_module {_MODULE};
events {{ worker_connections 128; }}
rtmp {{
  server {{
    listen 127.0.0.1:{self.port};
    chunk_size 4096;
    application live {{
      live on;
      wait_key on;
      drop_idle_publisher 10s;
    }}
  }}
}}
"""
        )

    def command(self) -> Sequence[str]:
        return ["/usr/sbin/nginx", "-e", "stderr", "-p", str(self.data), "-c", str(self._settings)]

    def probe(self) -> None:
        """RTMP's handshake: the server must return our random bytes."""
        ours = os.urandom(_HANDSHAKE - 8)
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(b"\x03" + bytes(8) + ours)
            answer = b""
            while len(answer) < 1 + 2 * _HANDSHAKE:
                part = connection.recv(4096)
                if not part:
                    raise ConnectionError("the RTMP handshake was broken off")
                answer += part
        if answer[-len(ours) :] != ours:
            raise ConnectionError("the RTMP handshake was answered wrongly")

    def publisher(self, directory: Path, stream: str, clip: Path, loop: bool = True) -> Process:
        """A process that pushes a clip (H.264) in real time until stopped; not started yet."""
        repeat = ["-stream_loop", "-1"] if loop else []
        argv = ["ffmpeg", "-nostdin", "-v", "error", "-re", *repeat, "-i", str(clip.resolve()), "-an", "-c:v", "copy"]
        return Process(f"rtmp-{stream}", [*argv, "-f", "flv", self.url(stream)], directory)
