"""What every request passes: who may ask, from where, how often; and what every answer carries."""

import base64
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qs, urlsplit

import msgspec
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

OPEN_PATHS: Final = {"/livez", "/readyz", "/metrics", "/"}
_SUBPROTOCOL: Final = "bearer"
_LOOPBACK: Final = {"127.0.0.1", "localhost", "::1"}
_SAFE_METHODS: Final = {"GET", "HEAD", "OPTIONS"}
_MAX_CLIENTS: Final = 4096

SECURITY_HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


class Rate:
    """A bucket of tokens per client: `per_second` go in, at most `burst` lie there."""

    def __init__(self, per_second: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second, self._burst, self._clock = per_second, burst, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, client: str) -> bool:
        now = self._clock()
        tokens, at = self._buckets.pop(client, (self._burst, now))
        tokens = min(self._burst, tokens + (now - at) * self._per_second)
        self._buckets[client] = (tokens - 1 if tokens >= 1 else tokens), now
        if len(self._buckets) > _MAX_CLIENTS:
            self._buckets.popitem(last=False)
        return tokens >= 1


class Guard:
    """Refuses before the application sees anything.

    - with a token: the same one as `Authorization: Bearer …`; a WebSocket may bring it as `?token=` or as the
      subprotocol after `bearer` (as it is, or `b64.` and its base64url), because browsers cannot set its headers;
    - bound to loopback: only loopback's names as Host, which stops rebound DNS names;
    - a browser's requests that change something, and its WebSockets: only from our own pages (header Origin).
    """

    def __init__(self, app: ASGIApp, token: str, loopback_only: bool, rate: Rate) -> None:
        self._app, self._token, self._loopback_only, self._rate = app, token, loopback_only, rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refused = self._refusal(scope)
        if refused is not None:
            await _refuse(scope, receive, send, *refused)
        elif scope["type"] == "websocket":
            await self._app(scope, receive, send)
        else:
            await self._app(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._loopback_only and _host_name(host) not in _LOOPBACK:
            return 421, f"this gateway listens on loopback only and does not answer for host {host!r}"
        origin = headers.get("origin")
        changes = scope["type"] == "websocket" or scope["method"] not in _SAFE_METHODS
        if changes and origin is not None and urlsplit(origin).netloc != host:
            return 403, "requests from other sites' pages are refused"
        if scope["path"] in ("/livez", "/readyz", "/metrics"):
            return None
        if not self._rate.allows((scope.get("client") or ("unknown", 0))[0]):
            return 429, "too many requests; wait a second"
        if self._token and not _is_open(scope["path"]) and not self._knows(scope, headers):
            return 401, "a bearer token is wanted: Authorization: Bearer …"
        return None

    def _knows(self, scope: Scope, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        offered = [given] if scheme.lower() == "bearer" else []
        if scope["type"] == "websocket":
            offered += parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
            protocols = [p.strip() for p in headers.get("sec-websocket-protocol", "").split(",")]
            if protocols[0] == _SUBPROTOCOL:
                offered += [_plain(text) for text in protocols[1:2]]
        return any(hmac.compare_digest(text.encode(), self._token.encode()) for text in offered)


def _plain(protocol: str) -> str:
    """A subprotocol may hold few characters: a token with others comes as `b64.` and its base64url."""
    name, dot, encoded = protocol.partition(".")
    if name != "b64" or not dot:
        return protocol
    try:
        return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    except ValueError:
        return ""


def _is_open(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith("/static/")


def _host_name(host: str) -> str:
    return (urlsplit(f"//{host}").hostname or "") if host else ""


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("cache-control", "no-store")
        await send(message)

    return sending


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, why: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": why[:120]})
        return
    body = msgspec.json.encode({"detail": why})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="rewatch"'))
    if status == 429:
        headers.append((b"retry-after", b"1"))
    if scope["method"] == "POST":
        headers.append((b"connection", b"close"))
    await _with_headers(send)({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
