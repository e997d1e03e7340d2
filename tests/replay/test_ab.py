"""`rewatch ab` on real Kafka and real Triton: in the shadow, and on shares of the cameras."""

import asyncio
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from typer.testing import CliRunner

from cli.ab import app
from cli.demo.clips import View, clips
from cli.system import Processes
from devstack.stack import Stack
from gateway.app import build_app
from gateway.kafka_log import KafkaLog
from gateway.models import TritonModels
from ingest.camera_topic import read_cameras, write_cameras
from runtime.config import Settings
from runtime.kafka import producer
from schemas.analysis import Analysis, CameraSpec, Source
from schemas.experiment import arm_of
from schemas.messages import AccessUnit, Detections, Event, Provenance
from schemas.partition import partition_of
from schemas.results import Result, headers_of, key_of, rfc3339, to_json, topic_of
from schemas.topics import FRAMES, PARTITIONS
from tests.processors.models import write_detector
from tests.replay.camera_log import FPS, SECOND_NS, gops, publish, records, wait_for_ledger
from tests.replay.past import CAMERA, ROOT, Past

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]
MODEL, BLIND = "junction-yolo", "brightness"
SECONDS = 40
"""twenty windows of two seconds"""
LIVE = ("c0", "c2")
"""one in each arm of the experiment `trial`"""
HOUR_AGO = time.time_ns() - 3600 * SECOND_NS


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    repository = tmp_path_factory.mktemp("repository")
    for name in (MODEL, f"{MODEL}-int8"):
        shutil.copytree(ROOT / "triton_models" / name, repository / name)
    write_detector(repository, BLIND)
    begin_ns = time.time_ns() - 600 * SECOND_NS
    with Stack(services=("kafka", "triton"), model_repository=repository, models=(MODEL, BLIND)) as stack:
        Processes(stack, ("worker",)).start()
        publish(stack, records(CAMERA, SECONDS, begin_ns, MODEL))
        yield Past(stack, begin_ns)


@pytest.fixture(scope="module")
def clip() -> Path:
    (rendered,) = clips((View(CAMERA, 40, "day"),), SECONDS, (640, 360), float(FPS), lambda _: None)
    return rendered.path


def said_by(past: Past, *words: str) -> tuple[int, str]:
    """As a person types it after `rewatch ab`."""
    addresses = past.stack.addresses
    environment = {"REWATCH_KAFKA": addresses.kafka_bootstrap, "REWATCH_TRITON": addresses.triton_grpc}
    done = CliRunner(env={**environment, "COLUMNS": "200", "NO_COLOR": "1"}).invoke(app, words)
    return done.exit_code, done.stdout or done.stderr


def told(past: Past, *words: str) -> tuple[int, dict[str, Any]]:
    code, said = said_by(past, *words, "--json")
    return code, json.loads(said.splitlines()[-1])


def shadow(past: Past, a: str, b: str, *more: str) -> tuple[int, dict[str, Any]]:
    where = ("--camera", CAMERA, "--from", past.at(0), "--to", past.at(SECONDS), "--window", "2")
    return told(past, "shadow", *where, "--a", a, "--b", b, *more)


def test_a_model_that_sees_nothing_is_worse(past: Past, clip: Path) -> None:
    code, found = shadow(past, MODEL, BLIND, "--truth", f"{CAMERA}={clip}")
    assert code == 0
    assert found["verdict"] == "worse"
    assert found["judged_by"] == "errors per hour"
    assert (found["windows"], found["frames"]) == (20, (SECONDS - 1) * FPS), "the last GOP may still grow"
    a, b = found["a"], found["b"]
    assert a["recall"] > 0.7
    assert (b["recall"], b["events_per_hour"]) == (0.0, {})
    assert a["milliseconds"] > b["milliseconds"] > 0


def test_an_equal_model_is_no_difference(past: Past, clip: Path) -> None:
    code, found = shadow(past, f"{MODEL}:1", f"{MODEL}-int8", "--truth", f"{CAMERA}={clip}")
    assert (code, found["verdict"]) == (0, "no difference")
    assert found["box_agreement"] > 0.8


def test_in_tables_with_too_few_windows_and_a_camera_that_is_not_there(past: Past) -> None:
    words = ("--camera", CAMERA, "--camera", "nobody", "--from", past.at(0), "--to", past.at(10), "--window", "5")
    code, said = said_by(past, "shadow", *words, "--a", MODEL, "--b", BLIND)
    assert code == 1
    assert "nobody: the log holds nothing of camera nobody" in said
    assert "not enough data" in said
    assert "2 windows, 20 are wanted" in said
    assert "line_crossed per hour" in said


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--a", MODEL, "--b", MODEL), "both are version 1 of junction-yolo"),
        (("--a", MODEL, "--b", "nowhere"), "nowhere is not served"),
        (("--a", MODEL, "--b", f"{MODEL}:9"), "version 9"),
        (("--a", MODEL, "--b", "x:y"), "neither a model nor a version"),
        (("--a", MODEL, "--b", BLIND, "--window", "100"), "less than one window"),
        (("--a", MODEL, "--b", BLIND, "--truth", "x"), "CAMERA=CLIP"),
        (("--a", MODEL, "--b", BLIND, "--truth", f"{CAMERA}=none.mp4"), "No such file"),
    ],
)
def test_what_cannot_be_compared_is_one_clear_line(past: Past, words: tuple[str, ...], why: str) -> None:
    where = ("--camera", CAMERA, "--from", past.at(0), "--to", past.at(SECONDS), "--window", "2")
    code, said = said_by(past, "shadow", *where, *words)
    assert code == 1
    assert why in said.splitlines()[-1]


def test_shares_of_live_cameras_from_start_to_stop(past: Past) -> None:
    """What ingest does with the topic is done here: the spec's analysis travels with the keyframes."""
    assert [arm_of("trial", camera, 0.5) for camera in LIVE] == ["a", "b"]
    specs = [CameraSpec(camera, Source("rtsp://192.0.2.1/"), Analysis(model=MODEL)) for camera in LIVE]
    write_cameras(past.bootstrap, specs, [])
    code, said = said_by(past, "start", "trial", "--a", MODEL, "--b", "nowhere")
    assert (code, "nowhere is not served" in said) == (1, True)
    assert read_cameras(past.bootstrap)["c2"].analysis.model == MODEL
    code, dealt = told(past, "start", "trial", "--a", MODEL, "--b", BLIND)
    assert (code, dealt["cameras"]) == (0, {"c0": "a", "c2": "b"})
    live = read_cameras(past.bootstrap)
    for camera in LIVE:
        log = records(camera, SECONDS, past.begin_ns, model=live[camera].analysis.model)
        log = [
            unit for unit in log if isinstance(unit, AccessUnit) and unit.captured_ns < past.begin_ns + 8 * SECOND_NS
        ]
        publish(past.stack, log)
        wait_for_ledger(past.stack, camera, gops(log) - 1)
    time.sleep(1)
    where = ("--from", past.at(0), "--to", past.at(6), "--window", "2")
    code, found = told(past, "report", "trial", *where)
    assert code == 0
    by_camera = {each["camera"]: each for each in found["cameras"]}
    assert [(each["arm"], each["windows"]) for each in by_camera.values()] == [("a", 3), ("b", 3)]
    assert by_camera["c2"]["events_per_hour"] == {"all": 0.0}
    assert {kind["verdict"] for kind in found["kinds"]} == {"not enough data"}
    code, said = said_by(past, "stop", "trial", "--keep", "b")
    assert code == 0
    assert {spec.analysis.model for name, spec in read_cameras(past.bootstrap).items() if name in LIVE} == {BLIND}
    code, said = said_by(past, "report", "trial", *where)
    assert (code, "--a and --b" in said) == (1, True)
    code, said = said_by(past, "report", "trial", *where, "--a", MODEL, "--b", BLIND)
    assert code == 0
    assert "no split of so few could show a difference" in said


def test_a_difference_between_shares_is_found_in_the_log(past: Past) -> None:
    """Sixteen cameras whose results are written as workers would write them; b finds twice as much."""
    write_cameras(past.bootstrap, [CameraSpec(f"c{n}", Source("x"), Analysis(model="old")) for n in range(10, 26)], [])
    sender = producer(past.bootstrap, "results")
    minutes = 6
    for number in range(10, 26):
        camera = f"c{number}"
        arm = arm_of("wide", camera, 0.5)
        where = Provenance(
            FRAMES.name, partition_of(camera.encode(), PARTITIONS), 0, 0, 0, {"a": "old", "b": "new"}[arm], "1", "c"
        )
        for minute in range(minutes):
            at = HOUR_AGO + minute * 60 * SECOND_NS
            seen = Detections(camera, at, "s", minute, 0, 64, 64, (), {}, where)
            count = (4 + number % 3) * (2 if arm == "b" else 1)
            events = [
                Event(f"{camera}-{minute}-{n}", camera, "line_crossed", "r", at + n, None, "car", None, {}, where)
                for n in range(count)
            ]
            taken_back = msgspec.structs.replace(
                events[0], id=f"{events[0].id}-not", details={"retracted": 1}, revision=1
            )
            messages: list[Result] = [seen, *events, taken_back]
            for message in messages:
                sender.produce(
                    topic_of(message).name, to_json(message), key_of(message), headers=[*headers_of(message)],
                    partition=where.partition,
                )  # fmt: skip
    assert sender.flush(30) == 0
    code, _ = told(past, "start", "wide", "--a", "old", "--b", MODEL)
    assert code == 0, "b is a model that is served; the results name another"
    end = str(HOUR_AGO + minutes * 60 * SECOND_NS)
    words = ("--from", str(HOUR_AGO), "--to", end, "--a", "old", "--b", "new", "--seed", "3")
    code, found = told(past, "report", "wide", *words)
    assert code == 0
    assert {kind["kind"]: kind["verdict"] for kind in found["kinds"]} == {
        "all": "more events",
        "line_crossed": "more events",
    }
    rates = {each["camera"]: each["events_per_hour"]["all"] for each in found["cameras"]}
    assert rates["c12"] == 60 * (4 + 12 % 3) * (2 if arm_of("wide", "c12", 0.5) == "b" else 1)
    assert len(rates) == 16
    code, said = said_by(past, "report", "wide", *words)
    assert "more events" in said
    assert asyncio.run(over_rest(past, "wide", end)) == found


async def over_rest(past: Past, name: str, end: str) -> Any:
    """The gateway's word on the same log."""
    addresses = past.stack.addresses
    settings = Settings(_env_file=None, kafka=past.bootstrap, triton_http=addresses.triton_http, http_host="127.0.0.1")
    log, models = KafkaLog(past.bootstrap), TritonModels(addresses.triton_http)
    app = build_app(settings, log=log, models=models)
    await log.open()
    try:
        assert await models.outputs(BLIND) == {"detections"}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as http:
            told = (await http.get(f"/experiments/{name}")).json()
            assert {each["camera"]: each["arm"] for each in told["cameras"]} == {
                f"c{number}": arm_of(name, f"c{number}", 0.5) for number in range(10, 26)
            }
            moments = {"from": rfc3339(HOUR_AGO), "to": rfc3339(int(end))}
            answer = await http.get(
                f"/experiments/{name}/report", params={**moments, "a": "old", "b": "new", "seed": 3}
            )
            return answer.json()
    finally:
        await log.close()
        await models.close()
