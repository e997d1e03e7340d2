"""A live source without an end: an MPEG-TS clip over HTTP, again and again, at 25 pictures a second."""

import contextlib
import http.server
import itertools
import threading
import time
from pathlib import Path
from typing import Self

import av


class LivePipe:
    def __init__(self, clip: Path) -> None:
        with av.open(str(clip)) as container:
            positions = [packet.pos for packet in container.demux(video=0) if packet.size and packet.pos is not None]
        data = clip.read_bytes()
        cuts = [0, *positions[1:], len(data)]
        pieces = [data[begin:end] for begin, end in itertools.pairwise(cuts)]
        pipe = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "video/mp2t")
                self.end_headers()
                began = time.monotonic()
                sent = 0
                with contextlib.suppress(ConnectionError):
                    while True:
                        for piece in pieces:
                            self.wfile.write(piece)
                            sent += 1
                            pipe.served += 1
                            time.sleep(max(0.0, began + sent / 25 - time.monotonic()))

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.served = 0
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/live.ts"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
