"""RTSP cameras: files served by GStreamer's RTSP server."""

import base64
import hashlib
import json
import os
import re
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from devstack.service import Service

_SCRIPT = Path(__file__).with_name("rtsp_server.py")
#: the Python that Debian's GStreamer bindings belong to
_PYTHON = "/usr/bin/python3"


class Mount(msgspec.Struct, frozen=True):
    """One camera: a file with H.264 or H.265; looped, or ending after its last frame."""

    clip: Path
    loop: bool = True


class RtspServer(Service):
    hint = "apt-get install python3 python3-gi gir1.2-gst-rtsp-server-1.0"
    timeout = 60.0
    grace = 3.0

    def __init__(
        self,
        directory: Path,
        port: int,
        mounts: Mapping[str, Mount],
        credentials: str = "",
        auth: str = "basic",
        name: str = "rtsp",
    ) -> None:
        """`mounts` by path ("/cam1"); `credentials` "user:password" are then asked for, `auth` basic or digest."""
        super().__init__(name, directory)
        if auth not in ("basic", "digest"):
            raise ValueError(f"auth is basic or digest, not {auth}")
        self.port, self._mounts, self._credentials, self._auth = port, dict(mounts), credentials, auth
        self._settings = self.data / "settings.json"

    @property
    def address(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}"

    def url(self, mount: str) -> str:
        """What a client opens, credentials included."""
        user = f"{self._credentials}@" if self._credentials else ""
        return f"rtsp://{user}127.0.0.1:{self.port}{mount}"

    def prepare(self) -> None:
        mounts = {path: {"clip": str(mount.clip.resolve()), "loop": mount.loop} for path, mount in self._mounts.items()}
        settings = {"port": self.port, "auth": self._auth, "credentials": self._credentials, "mounts": mounts}
        # a file, because arguments are for everyone to see
        with open(os.open(self._settings, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
            json.dump(settings, file)

    def command(self) -> Sequence[str]:
        return [_PYTHON, "-I", str(_SCRIPT), str(self._settings)]

    def environment(self) -> Mapping[str, str]:
        return {"GST_DEBUG_NO_COLOR": "1"}

    def probe(self) -> None:
        """DESCRIBE every mount: the answer must be a session description with video."""
        for mount in self._mounts:
            answer = self._describe(mount, "")
            if self._credentials and answer.startswith("RTSP/1.0 401"):
                answer = self._describe(mount, self._authorization(mount, answer))
            if not answer.startswith("RTSP/1.0 200") or "m=video" not in answer:
                raise ConnectionError(f"{mount}: {answer.partition(chr(13))[0] or 'no answer'}")

    def _describe(self, mount: str, authorization: str) -> str:
        request = (
            f"DESCRIBE {self.address}{mount} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n{authorization}\r\n"
        )
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(request.encode())
            answer = b""
            while b"\r\n\r\n" not in answer or (b" 200 " in answer[:20] and b"m=video" not in answer):
                part = connection.recv(4096)
                if not part:
                    break
                answer += part
        return answer.decode(errors="replace")

    def _authorization(self, mount: str, challenge: str) -> str:
        """The header that answers a 401, as RFC 2617 has it."""
        if self._auth == "basic":
            return f"Authorization: Basic {_base64(self._credentials)}\r\n"
        values = dict(re.findall(r'(realm|nonce)="([^"]*)"', challenge))
        user, _, password = self._credentials.partition(":")
        uri = f"{self.address}{mount}"
        first = _md5(f"{user}:{values['realm']}:{password}")
        response = _md5(f"{first}:{values['nonce']}:{_md5(f'DESCRIBE:{uri}')}")
        return (
            f'Authorization: Digest username="{user}", realm="{values["realm"]}", nonce="{values["nonce"]}", '
            f'uri="{uri}", response="{response}"\r\n'
        )


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
