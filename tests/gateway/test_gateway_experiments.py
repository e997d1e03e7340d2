"""Comparisons of two models by REST: begun, looked at, reported and ended; and what is refused."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from experiments import shares
from experiments.gathering import Gathering
from gateway.log import Record
from gateway.memory_log import MemoryLog
from gateway.routes import experiments as routes
from runtime.metrics import REGISTRY
from schemas.analysis import Analysis, CameraSpec, Experiment, Source
from schemas.experiment import arm_of
from schemas.messages import Detections, Event, Provenance
from schemas.results import Result, rfc3339
from schemas.topics import CAMERAS, DETECTIONS, EVENTS
from tests.gateway.asgi import Gateway, gateway, settings

A, B = "square-finder", "other"
CAMERAS_OF_A = [f"c{number}" for number in range(10)]
MINUTE = 60 * 10**9
NOON = 1_772_366_400 * 10**9
TRIAL = {"name": "trial", "a": A, "b": B}


def cameras(found: Gateway) -> None:
    for camera in CAMERAS_OF_A:
        found.writer.spec(CameraSpec(camera, Source("rtsp://10.0.0.1/one"), Analysis(model=A, min_score=0.3)))
    found.writer.spec(CameraSpec("else", Source("rtsp://10.0.0.1/two"), Analysis(model="third")))
    found.writer.withdraw("gone")


async def read(log: MemoryLog, topic: str) -> list[Record]:
    async with log.reader(topic, await log.starts(topic), await log.ends(topic)) as reader:
        return [record async for batch in reader for record in batch]


async def stored(log: MemoryLog) -> dict[str, CameraSpec]:
    records = await read(log, CAMERAS.name)
    return {r.key.decode(): msgspec.json.decode(r.value, type=CameraSpec) for r in records if r.value}


def shown(camera: str) -> list[str]:
    """Arms of a camera as Prometheus is told."""
    return [
        sample.labels["arm"]
        for metric in REGISTRY.collect()
        if metric.name == "rewatch_experiment_arm"
        for sample in metric.samples
        if sample.labels["camera"] == camera and sample.value == 1
    ]


def results(found: Gateway, minutes: int, counts: dict[str, int]) -> None:
    """Of each camera a frame and so many events a minute, by its arm's model."""
    for camera in CAMERAS_OF_A:
        arm = arm_of("trial", camera, 0.5)
        where = Provenance("frames", 0, 0, 0, 0, {"a": A, "b": B}[arm], "1", "c")
        for minute in range(minutes):
            at = NOON + minute * MINUTE
            events = [
                Event(f"{camera}-{minute}-{n}", camera, "line_crossed", "r", at + n, None, "car", None, {}, where)
                for n in range(counts[arm])
            ]
            messages: list[Result] = [Detections(camera, at, "s", minute, 0, 64, 64, (), {}, where), *events]
            for message in messages:
                found.writer.result(message, timestamp_ms=at // 1_000_000)


async def test_from_start_to_stop(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        cameras(found)
        assert (await found.http.get("/experiments")).json() == {"experiments": []}
        answer = await found.http.post("/experiments", json=TRIAL)
        assert answer.status_code == 201, answer.text
        assert answer.headers["location"] == "/experiments/trial"
        told = answer.json()
        assert (told["name"], told["a"], told["b"]) == ("trial", A, B)
        arms = {each["camera"]: each["arm"] for each in told["cameras"]}
        assert arms == {camera: arm_of("trial", camera, 0.5) for camera in CAMERAS_OF_A}
        assert {each["model"] for each in told["cameras"] if each["arm"] == "b"} == {B}
        assert told["since"] <= told["cameras"][0]["since"]
        specs = await stored(found.log)
        assert specs["c0"].experiment == Experiment("trial", arm_of("trial", "c0", 0.5), A, B)
        assert specs["c0"].analysis.min_score == 0.3
        assert specs["else"].analysis.model == "third"
        assert (await found.http.get("/experiments/trial")).json() == told
        assert (await found.http.get("/experiments")).json() == {"experiments": [told]}
        await found.settle()
        assert shown("c0") == [arms["c0"]]
        again = await found.http.post("/experiments", json=TRIAL)
        assert (again.status_code, again.json()["detail"]) == (409, "experiment trial runs already")
        ended = await found.http.delete("/experiments/trial?keep=b")
        assert ended.json() == {"name": "trial", "cameras": dict.fromkeys(CAMERAS_OF_A, B)}
        assert {spec.analysis.model for name, spec in (await stored(found.log)).items() if name != "else"} == {B}
        await found.settle()
        assert shown("c0") == []
        for call in (found.http.delete("/experiments/trial"), found.http.get("/experiments/trial")):
            answer = await call
            assert (answer.status_code, "no camera takes part" in answer.json()["detail"]) == (404, True)


async def test_stopped_without_a_word_all_is_as_before(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        cameras(found)
        before = await stored(found.log)
        await found.http.post("/experiments", json=TRIAL)
        assert (await found.http.delete("/experiments/trial?keep=c")).status_code == 422
        await found.http.delete("/experiments/trial")
        assert await stored(found.log) == before


@pytest.mark.parametrize(
    ("more", "status", "why"),
    [
        ({"b": "none"}, 404, "b: there is no 'none'; there are: other, square-finder"),
        ({"a": "none"}, 404, "a: there is no 'none'"),
        ({"b": A}, 422, "both arms would have the model square-finder"),
        ({"a": B, "b": A}, 422, "of 0 cameras with the model other and no experiment"),
        ({"share": 0}, 422, "share: "),
        ({"share": 1}, 422, "share: "),
        ({"share": 1e-9}, 422, "of 10 cameras with the model square-finder and no experiment 10 would stay"),
        ({"name": "a b"}, 422, "name: "),
        ({"b": "../x"}, 422, "b: "),
        ({"typo": 1}, 422, "typo: "),
    ],
    ids=str,
)
async def test_what_compares_nothing_is_refused(tmp_path: Path, more: dict[str, Any], status: int, why: str) -> None:
    async with gateway(settings(tmp_path)) as found:
        cameras(found)
        before = await stored(found.log)
        answer = await found.http.post("/experiments", json={**TRIAL, **more})
        assert (answer.status_code, answer.json()["detail"][: len(why)]) == (status, why)
        assert await stored(found.log) == before


async def test_no_camera_is_given_what_is_no_detector_or_does_not_load(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        cameras(found)
        found.models.others[B] = {"peaks", "links"}
        answer = await found.http.post("/experiments", json=TRIAL)
        assert (answer.status_code, answer.json()["detail"]) == (
            422, "b: other is no detector; it answers with links, peaks",
        )  # fmt: skip
        found.models.broken.add(B)
        answer = await found.http.post("/experiments", json=TRIAL)
        assert (answer.status_code, answer.json()["detail"]) == (422, "b: other is not served: failed to load 'other'")


async def test_while_a_part_is_away(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path)) as found:
        cameras(found)
        found.models.away = True
        assert (await found.http.post("/experiments", json=TRIAL)).status_code == 503
        found.models.away = False
        found.log.away = True
        for call in (
            found.http.get("/experiments"),
            found.http.post("/experiments", json=TRIAL),
            found.http.delete("/experiments/trial"),
            found.http.get("/experiments/trial/report?from=-1h"),
        ):
            answer = await call
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


class Failing(MemoryLog):
    """Its broker goes after so many records."""

    left = 1000

    async def publish(self, topic: str, key: bytes, value: bytes | None) -> None:
        self.away = self.left <= 0
        self.left -= 1
        await super().publish(topic, key, value)


async def test_a_start_that_breaks_off_says_how_far_it_came_and_is_taken_back(tmp_path: Path) -> None:
    log = Failing()
    async with gateway(settings(tmp_path), log) as found:
        cameras(found)
        before = await stored(log)
        log.left = 3
        answer = await found.http.post("/experiments", json=TRIAL)
        assert answer.status_code == 503
        assert answer.json()["detail"].startswith("3 of 10 cameras are changed")
        assert "DELETE /experiments/trial" in answer.json()["detail"]
        log.away, log.left = False, 1000
        assert len((await found.http.delete("/experiments/trial")).json()["cameras"]) == 3
        assert await stored(log) == before


async def test_the_report_has_the_figures_of_the_command(tmp_path: Path) -> None:
    async with gateway(settings(tmp_path), clock=lambda: NOON / 1e9 + 3600) as found:
        cameras(found)
        await found.http.post("/experiments", json=TRIAL)
        results(found, 10, {"a": 2, "b": 5})
        answer = await found.http.get(f"/experiments/trial/report?from={rfc3339(NOON)}&to=-50m&seed=3")
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert [(kind["kind"], kind["verdict"]) for kind in told["kinds"]] == [
            ("all", "more events"),
            ("line_crossed", "more events"),
        ]
        gathering = Gathering(NOON, NOON + 10 * MINUTE, 60.0)
        for record in await read(found.log, DETECTIONS.name):
            gathering.take_detections(record.key.decode(), record.value or b"")
        for record in await read(found.log, EVENTS.name):
            gathering.take_event(record.value or b"")
        arms = {camera: arm_of("trial", camera, 0.5) for camera in CAMERAS_OF_A}
        expected = shares.report(gathering.seen((A, B)), A, B, arms, NOON, 60.0, 3)
        assert told == msgspec.json.decode(msgspec.json.encode(expected))
        # of one that is over
        await found.http.delete("/experiments/trial")
        over = f"/experiments/trial/report?from={rfc3339(NOON)}&to=-50m&seed=3"
        answer = await found.http.get(over)
        assert (answer.status_code, "say with a and b" in answer.json()["detail"]) == (404, True)
        assert (await found.http.get(f"{over}&a={A}&b={B}")).json()["kinds"] == told["kinds"]


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("", "from"),
        ("from=yesterday", "from: 'yesterday' is no point in time"),
        ("from=-30s", "from its beginning to its end is less than one window of 60 s"),
        ("from=-1h&to=2999-01-01T00:00:00Z", "to: lies in the future"),
        ("from=-30d&window=1", "window: 2592000 windows are more than 100000"),
        ("from=-1h&window=0", "window"),
    ],
)
async def test_a_report_that_cannot_be(tmp_path: Path, query: str, why: str) -> None:
    async with gateway(settings(tmp_path)) as found:
        answer = await found.http.get(f"/experiments/trial/report?{query}")
        assert answer.status_code == 422
        assert why in answer.text


async def test_a_report_on_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "_MAX_EVENTS", 20)
    async with gateway(settings(tmp_path), clock=lambda: NOON / 1e9 + 3600) as found:
        results(found, 3, {"a": 1, "b": 1})
        answer = await found.http.get(f"/experiments/over/report?from=-1h&a={A}&b={B}")
        assert (answer.status_code, "more than 20 events" in answer.json()["detail"]) == (422, True)


def test_what_cannot_be_read_is_passed_over_and_the_newest_revision_counts() -> None:
    gathering = Gathering(0, 2 * MINUTE + 5, 60.0)
    where = Provenance("frames", 0, 0, 0, 0, A, "1", "c")
    first = Event("e", "cam", "line_crossed", "r", 5, None, "car", None, {}, where)
    later = msgspec.structs.replace(first, revision=1, details={"retracted": 1})
    for value in (b"", b"{", b"\xff", b'{"captured_ns":1}'):
        gathering.take_event(value)
        gathering.take_detections("cam", value)
    for event in (later, first, msgspec.structs.replace(first, id="other", captured_ns=2 * MINUTE)):
        gathering.take_event(msgspec.json.encode(event))
    assert gathering.windows == 2
    assert gathering.seen((A,)) == type(gathering.seen(()))({}, ())
