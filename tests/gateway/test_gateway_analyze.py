"""Uploads: what comes back, what is refused, and that nothing is left behind."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway import jobs as jobs_module
from gateway import upload
from gateway.jobs import Jobs
from schemas.analysis import CameraSpec, LineRule, Source
from schemas.messages import EndLedger, IngestLedger
from tests.gateway.asgi import Gateway, gateway, settings
from tests.gateway.edge import analysed, edge, unreadable
from tests.gateway.writer import Writer

VIDEO = b"\x00\x01video\r\n--not-the-boundary\r\n" * 5000


def form(**fields: str) -> dict[str, Any]:
    return {"files": {"file": ("clip.MP4", VIDEO, "video/mp4")}, "data": {"model": "square-finder", **fields}}


def left_behind(tmp_path: Path) -> list[str]:
    folder = tmp_path / "uploads"
    return [file.name for file in folder.iterdir()] if folder.exists() else []


async def until(found: Gateway, job: str, *states: str) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while True:
            answer: dict[str, Any] = (await found.http.get(f"/jobs/{job}")).json()
            if answer["state"] in states:
                return answer
            await asyncio.sleep(0.01)


async def test_a_file_is_analysed(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found, edge(found.log, found.writer) as made:
        answer = await found.http.post("/analyze", **form())
        assert answer.status_code == 200, answer.text
        result = answer.json()
        assert result["frames"] == {
            "received": 40, "published": 40, "decoded": 39, "inferred": 39, "skipped": 0, "failed": 1, "lost": 0,
        }  # fmt: skip
        assert result["tracks"] == {"car": 1, "person": 2}
        assert result["counts"] == {"middle": 2}
        assert [event["details"]["number"] for event in result["events"]] == [1, 2]
        assert result["events_total"] == 2
        assert result["flow"][0]["count"] == 2
        assert result["model"] == {"name": "square-finder", "version": "1"}
        assert result["latency_ms"] == {"p50": 39.0, "p95": 57.0, "p99": 58.0}
        assert result["error"] == "corrupt"
        assert result["file"] == "clip.MP4"
        spec = made.specs[0]
        assert spec.batch
        assert (spec.source.pace, spec.source.start_ns) == ("max", 0)
        assert spec.source.url.endswith(".mp4")
        assert Path(spec.source.url).is_absolute()
        assert made.contents == [VIDEO]
        await found.settle()
        await asyncio.sleep(0.05)
        assert made.withdrawn == [spec.id]
        assert left_behind(tmp_path) == []
        events = (await found.http.get(f"/events?camera={spec.id}")).json()["events"]
        assert len(events) == 3
        sums = (await found.http.get(f"/ledger?camera={spec.id}")).json()["cameras"][0]
        assert sums["reconciles"] is True


async def test_the_same_file_gives_the_same_result(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found, edge(found.log, found.writer):
        first, second = [(await found.http.post("/analyze", **form())).json() for _ in range(2)]
        assert first.pop("job") != second.pop("job")
        for one in (first, second):
            for event in one["events"]:
                event["id"] = event["camera"] = ""
            for row in one["flow"]:
                row["camera"] = ""
        assert first == second


async def test_rules_of_ones_own(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found, edge(found.log, found.writer) as made:
        rules = '{"rules":[{"kind":"line","name":"quiet","start":[0,0.5],"end":[1,0.5]}],"sample_fps":5}'
        result = (await found.http.post("/analyze", **form(analysis=rules))).json()
        assert result["counts"] == {"middle": 2, "quiet": 0}
        analysis = made.specs[0].analysis
        assert analysis.model == "square-finder"
        assert analysis.sample_fps == 5
        assert isinstance(analysis.rules[0], LineRule)


async def test_uploads_stay_among_themselves(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found, edge(found.log, found.writer) as made:
        async with found.socket("/ws/events") as everybody, found.socket("/ws/detections") as wall:
            await everybody.of_type("hello")
            await wall.of_type("hello")
            await found.http.post("/analyze", **form())
            for socket, kind in ((everybody, "event"), (wall, "detections")):
                with pytest.raises(TimeoutError):
                    await socket.of_type(kind, timeout=0.2)
        assert (await found.http.get("/events")).json()["events"] == []
        assert len((await found.http.get(f"/events?camera={made.specs[0].id}")).json()["events"]) == 3


async def test_models_to_choose_from(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        assert (await found.http.get("/models")).json() == {"models": ["other", "square-finder"]}
        found.models.away = True
        assert (await found.http.get("/models")).status_code == 503


async def test_a_job_to_poll(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found, edge(found.log, found.writer):
        answer = await found.http.post("/analyze?async=true", **form())
        assert answer.status_code == 202
        accepted = answer.json()
        assert accepted["status_url"] == f"/jobs/{accepted['job']}" == answer.headers["location"]
        done = await until(found, accepted["job"], "done", "failed")
        assert done["state"] == "done"
        assert done["progress"] == {"published": 40, "analysed": 49}
        assert done["result"]["tracks"] == {"car": 1, "person": 2}
        assert (await found.http.get("/jobs/nobody")).status_code == 404


async def test_when_the_waiting_is_over_the_job_goes_on(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        async with edge(found.log, found.writer, None) as made:
            answer = await found.http.post("/analyze", **form(timeout="0.1"))
            assert answer.status_code == 202
            assert answer.json()["state"] == "running"
            analysed(found.writer, made.specs[0].id)
            assert (await until(found, answer.json()["job"], "done"))["result"]["counts"] == {"middle": 2}


@pytest.mark.parametrize("why", ["Invalid data found when processing input", "moov atom not found"])
async def test_what_is_no_video_is_said_to_be_none(tmp_path: Path, why: str) -> None:
    def refuse(writer: Writer, camera: str) -> None:
        unreadable(writer, camera, f"{tmp_path}/uploads/{camera}.mp4 could not be opened: {why}")

    async with gateway(settings(tmp_path)) as found:
        async with edge(found.log, found.writer, refuse):
            answer = await found.http.post("/analyze", **form())
            assert answer.status_code == 422
            assert answer.json()["detail"] == f"file: clip.MP4 could not be opened: {why}"
            assert left_behind(tmp_path) == []


async def test_a_file_read_in_part_says_so(tmp_path: Path) -> None:
    def half(writer: Writer, camera: str) -> None:
        analysed(writer, camera, 20)
        writer.result(EndLedger(camera, "s", 20, "truncated"))

    async with gateway(settings(tmp_path)) as found, edge(found.log, found.writer, half):
        answer = await found.http.post("/analyze", **form())
        assert answer.status_code == 200
        assert answer.json()["frames"]["inferred"] == 20


@pytest.mark.parametrize(
    ("fields", "status", "word"),
    [
        ({"model": "unknown"}, 404, "other, square-finder"),
        ({"model": ""}, 422, "model: missing"),
        ({"model": "../../etc"}, 422, "model"),
        ({"analysis": "{"}, 422, "analysis"),
        ({"analysis": '{"rules":[{"kind":"line"}]}'}, 422, "analysis"),
        ({"analysis": '{"colour":"red"}'}, 422, "analysis"),
        ({"analysis": "[]"}, 422, "analysis"),
        ({"async": "perhaps"}, 422, "async"),
        ({"timeout": "-1"}, 422, "timeout"),
        ({"timeout": "soon"}, 422, "timeout"),
        ({"timeout": "nan"}, 422, "timeout"),
    ],
)
async def test_what_is_wrong_with_a_form(tmp_path: Path, fields: dict[str, str], status: int, word: str) -> None:
    async with gateway(settings(tmp_path)) as found, edge(found.log, found.writer) as made:
        answer = await found.http.post("/analyze", **form(**fields))
        assert answer.status_code == status
        assert word in answer.json()["detail"]
        assert left_behind(tmp_path) == []
        assert made.specs == []


async def test_forms_without_a_file(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:

        def complaint(answer: httpx.Response) -> str:
            assert answer.status_code in (413, 415, 422)
            return str(answer.json()["detail"])

        async def post(files: Any, **data: str) -> str:
            return complaint(await found.http.post("/analyze", files=files, data={"model": "square-finder", **data}))

        assert "file: missing" in await post({"other": ("a", b"x")})
        assert "file: empty" in await post({"file": ("a", b"")})
        assert "only one" in await post([("file", ("a", b"x")), ("file", ("b", b"y"))])
        assert "parts" in await post({"file": ("a", b"x")}, **{f"f{n}": "x" for n in range(40)})
        assert "model: longer" in await post({"file": ("a", b"x")}, model="x" * 300_000)
        assert "multipart" in complaint(await found.http.post("/analyze", json={"model": "x"}))
        cut = await found.http.post(
            "/analyze",
            content=b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nxyz',
            headers={"content-type": "multipart/form-data; boundary=b"},
        )
        assert cut.status_code == 422
        damaged = await found.http.post(
            "/analyze", content=b"hello", headers={"content-type": "multipart/form-data; boundary=b"}
        )
        assert damaged.status_code == 422
        assert left_behind(tmp_path) == []


async def test_an_upload_over_the_limit(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path, upload_max_bytes=len(VIDEO))) as found, edge(found.log, found.writer):
        assert (await found.http.post("/analyze", **form())).status_code == 200
    async with gateway(settings(tmp_path, upload_max_bytes=len(VIDEO) - 1)) as found:
        answer = await found.http.post("/analyze", **form())
        assert answer.status_code == 413
        assert str(len(VIDEO) - 1) in answer.json()["detail"]
        assert left_behind(tmp_path) == []


async def test_a_declared_length_over_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path, upload_max_bytes=1000)) as found:
        sent = 0

        async def body() -> AsyncIterator[bytes]:
            nonlocal sent
            for _ in range(2000):
                sent += 65536
                yield b"x" * 65536

        headers = {"content-type": "multipart/form-data; boundary=b", "content-length": str(2000 * 65536)}
        answer = await found.http.post("/analyze", content=body(), headers=headers)
        assert answer.status_code == 413
        assert answer.headers["connection"] == "close"
        assert sent < 20_000_000


async def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "_SPARE_BYTES", 2**62)
    async with gateway(settings(tmp_path)) as found:
        assert (await found.http.post("/analyze", **form())).status_code == 507


async def test_an_upload_that_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "SILENCE_SECONDS", 0.1)
    async with gateway(settings(tmp_path)) as found:

        async def body() -> AsyncIterator[bytes]:
            yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nxyz'
            await asyncio.sleep(30)

        headers = {"content-type": "multipart/form-data; boundary=b"}
        answer = await found.http.post("/analyze", content=body(), headers=headers)
        assert answer.status_code == 408
        assert left_behind(tmp_path) == []


async def test_a_model_server_that_is_away(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        found.models.away = True
        answer = await found.http.post("/analyze", **form())
        assert answer.status_code == 503
        assert "model server" in answer.json()["detail"]
        assert left_behind(tmp_path) == []


async def test_cancelling(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found, edge(found.log, found.writer, None) as made:
        job = (await found.http.post("/analyze?async=1", **form())).json()["job"]
        await until(found, job, "running")
        await asyncio.sleep(0.05)
        assert left_behind(tmp_path) != []
        answer = await found.http.delete(f"/jobs/{job}")
        assert answer.json()["state"] == "cancelled"
        await asyncio.sleep(0.05)
        assert made.withdrawn == [job]
        assert left_behind(tmp_path) == []


async def test_jobs_wait_their_turn_and_too_many_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_module, "WAITING", 2)
    async with gateway(settings(tmp_path)) as found, edge(found.log, found.writer, None) as made:
        posted = [await found.http.post("/analyze?async=1", **form()) for _ in range(5)]
        assert [answer.status_code for answer in posted] == [202] * 4 + [503]
        assert posted[-1].headers["retry-after"]
        await asyncio.sleep(0.1)
        assert len(made.specs) == jobs_module.RUNNING
        states = [(await found.http.get(f"/jobs/{answer.json()['job']}")).json()["state"] for answer in posted[:4]]
        assert states == ["running", "running", "queued", "queued"]
        analysed(found.writer, made.specs[0].id)
        await until(found, posted[2].json()["job"], "running")


async def test_a_stopped_gateway_leaves_nothing_behind(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        job = (await found.http.post("/analyze?async=1", **form())).json()["job"]
        await until(found, job, "running")
        await found.settle()
        assert await found.log.ends("cameras") == {0: 1}
    # the camera was withdrawn
    assert await found.log.ends("cameras") == {0: 2}
    assert left_behind(tmp_path) == []


async def test_silence_is_not_waited_for_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Jobs.__init__, "__defaults__", (0.3,))
    async with gateway(settings(tmp_path)) as found, edge(found.log, found.writer, None):
        answer = await found.http.post("/analyze", **form())
        assert answer.status_code == 503
        assert "no ingest process is running" in answer.json()["detail"]
        assert left_behind(tmp_path) == []


async def test_slow_progress_is_no_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Jobs.__init__, "__defaults__", (3.0,))
    async with gateway(settings(tmp_path)) as found, edge(found.log, found.writer, None) as made:
        job = (await found.http.post("/analyze?async=1", **form())).json()["job"]
        await until(found, job, "running")
        for gop in range(20):
            await asyncio.sleep(0.2)
            found.writer.result(IngestLedger(job, "other", 100 + gop, 0, 0, 0, 0))
        analysed(found.writer, made.specs[0].id)
        assert (await until(found, job, "done", "failed"))["state"] == "done"


async def test_what_other_gateways_left_behind_is_swept(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        folder = tmp_path / "uploads"
        folder.mkdir()
        old = folder / "job-gone.mp4"
        old.write_bytes(b"x")
        os.utime(old, (time.time() - 10**6,) * 2)
        fresh = folder / "job-of-another.mp4"
        fresh.write_bytes(b"x")
        for name, deadline in (("job-gone", time.time() - 5), ("job-of-another", time.time() + 5)):
            source = Source(url=str(folder / f"{name}.mp4"))
            labels = {"deadline": str(int(deadline))}
            found.writer.spec(CameraSpec(id=name, source=source, batch=True, labels=labels))
        await found.settle()
        services = found.app.state.services
        await services.jobs.sweep_once()
        await found.settle()
        cameras = [one["id"] for one in (await found.http.get("/cameras")).json()["cameras"]]
        assert cameras == ["job-of-another"]
        assert left_behind(tmp_path) == ["job-of-another.mp4"]
