"""Who may ask, from where, and how often."""

import base64
from pathlib import Path

import httpx
import pytest

from gateway import app
from gateway.guard import Rate
from tests.gateway.asgi import Closed, gateway, settings


async def test_without_a_token_nothing_is_wanted(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        answer = await found.http.get("/cameras")
        assert answer.status_code == 200
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Bearer", "Basic c2VjcmV0", "secret"])
async def test_a_token_is_wanted(tmp_path: Path, header: str | None) -> None:
    async with gateway(settings(tmp_path, api_token="secret")) as found:
        headers = {} if header is None else {"authorization": header}
        for path in (
            "/cameras",
            "/events",
            "/jobs/x",
            "/replays",
            "/replays/x",
            "/experiments",
            "/experiments/x/report",
            "/openapi.json",
        ):
            answer = await found.http.get(path, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Bearer")
        for path in ("/analyze", "/replays", "/experiments"):
            assert (await found.http.post(path, headers=headers)).status_code == 401
        for path in ("/", "/livez", "/readyz", "/metrics", "/static/app.js"):
            assert (await found.http.get(path, headers=headers)).status_code == 200


async def test_the_token_opens(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path, api_token="secret")) as found:
        assert (await found.http.get("/cameras", headers={"authorization": "bearer secret"})).status_code == 200
        async with found.socket("/ws/events?token=secret") as socket:
            assert (await socket.json())["type"] == "hello"
        async with found.socket("/ws/events", {"sec-websocket-protocol": "bearer, secret"}) as socket:
            assert socket.subprotocol == "bearer"
        encoded = "b64." + base64.urlsafe_b64encode(b"secret").decode().rstrip("=")
        async with found.socket("/ws/events", {"sec-websocket-protocol": f"bearer, {encoded}"}) as socket:
            assert socket.subprotocol == "bearer"
        for path, headers in (
            ("/ws/events", {}),
            ("/ws/events", {"sec-websocket-protocol": "bearer, b64.%%%"}),
            ("/ws/video/cam?token=no", {}),
            ("/ws/events", {"sec-websocket-protocol": "bearer, no"}),
        ):
            with pytest.raises(Closed) as closed:
                await found.socket(path, headers).__aenter__()
            assert closed.value.code == 1008


async def test_other_sites_pages_are_refused(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        evil = {"origin": "http://evil.example"}
        assert (await found.http.post("/analyze", headers=evil)).status_code == 403
        assert (await found.http.delete("/jobs/x", headers=evil)).status_code == 403
        with pytest.raises(Closed):
            await found.socket("/ws/events", evil).__aenter__()
        async with found.socket("/ws/events", {"origin": "http://127.0.0.1"}) as socket:
            assert (await socket.json())["type"] == "hello"


async def test_a_rebound_name_is_refused_on_loopback_only(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(found.app), base_url="http://evil.example") as http:
            assert (await http.get("/cameras")).status_code == 421
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(found.app), base_url="http://localhost:8080"
        ) as http:
            assert (await http.get("/cameras")).status_code == 200
    async with gateway(settings(tmp_path, http_host="0.0.0.0")) as found:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(found.app), base_url="http://gateway") as http:
            assert (await http.get("/cameras")).status_code == 200


def test_a_rate_allows_bursts_and_then_its_pace() -> None:
    now = [0.0]
    rate = Rate(per_second=2, burst=5, clock=lambda: now[0])
    assert [rate.allows("a") for _ in range(7)] == [True] * 5 + [False] * 2
    assert rate.allows("b")
    now[0] += 1
    assert [rate.allows("a") for _ in range(3)] == [True, True, False]
    now[0] += 3600
    assert sum(rate.allows("a") for _ in range(9)) == 5
    for client in range(10_000):
        rate.allows(str(client))
    assert len(rate._buckets) <= 4096


async def test_too_many_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "_RATE", (0.001, 3.0))
    async with gateway(settings(tmp_path)) as found:
        answers = [await found.http.get("/cameras/none") for _ in range(5)]
        assert [answer.status_code for answer in answers] == [404, 404, 404, 429, 429]
        assert answers[-1].headers["retry-after"] == "1"
        assert (await found.http.get("/livez")).status_code == 200


async def test_openapi_describes_everything(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        api = (await found.http.get("/openapi.json")).json()
        paths = {
            "/cameras",
            "/cameras/{camera_id}",
            "/events",
            "/detections",
            "/flow",
            "/ledger",
            "/windows",
            "/analyze",
        }
        paths |= {"/replays", "/replays/{replay_id}"}
        paths |= {"/experiments", "/experiments/{name}", "/experiments/{name}/report"}
        assert paths | {"/models", "/jobs/{job_id}", "/livez", "/readyz", "/metrics"} == set(api["paths"])
        for path, methods in api["paths"].items():
            for method in methods.values():
                assert method.get("summary"), path
        form = api["paths"]["/analyze"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
        assert {"file", "model", "analysis", "async", "timeout"} == set(form["properties"])


async def test_metrics(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        assert "rewatch_gateway_websocket_clients" in (await found.http.get("/metrics")).text
