"""A stretch of the log looked at again, on real Kafka and real Triton: what is the same, what differs, what proves."""

import io
import json
import os
import random
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import av
import msgspec
import numpy as np
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from cli.collect import read_all
from cli.pictures import of_log
from cli.system import Processes
from devstack.stack import Stack
from replay.compare import content
from replay.log import LogGoneError, PartitionLog
from replay.past import Key, Outcome, checkpoints, published
from replay.span import locate
from runtime.kafka import consumer, create_topics, producer
from schemas.messages import Event
from schemas.partition import partition_of
from schemas.results import headers_of, to_json
from schemas.topics import CHECKPOINTS, DAY_MS, DETECTIONS, EVENTS, FRAMES, LEDGER, MAX_RESULT_BYTES, PARTITIONS, Topic
from tests.replay.camera_log import FPS, MODEL, SECOND_NS, gops, publish, records, wait_for_ledger
from tests.replay.past import CAMERA, ROOT, SECOND, SECONDS, Past
from training.datasets.manifest import read_manifest
from training.datasets.reading import read_dataset
from training.model_repository import load

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

FRAME_MS = 1000 / FPS


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    repository = tmp_path_factory.mktemp("repository")
    shutil.copytree(ROOT / "triton_models" / MODEL, repository / MODEL)
    # a minute of flow ends within the stretches that are looked at, and has begun before them
    minute_ns = 60 * SECOND_NS
    begin_ns = (time.time_ns() - 600 * SECOND_NS) // minute_ns * minute_ns - 7 * SECOND_NS + SECOND_NS // 5
    log = records(CAMERA, SECONDS, begin_ns, gap_after=5)
    beside = [msgspec.structs.replace(record, camera=SECOND) for record in log[: 12 * FPS]]
    with Stack(services=("kafka", "triton"), model_repository=repository, models=(MODEL,)) as stack:
        Processes(stack, ("worker",)).start()
        publish(stack, log)
        # the last GOP stays open: nothing has come after it
        wait_for_ledger(stack, CAMERA, gops(log) - 1)
        publish(stack, beside)
        wait_for_ledger(stack, SECOND, gops(beside) - 1)
        time.sleep(1)
        yield Past(stack, begin_ns)


def table(past: Past) -> dict[Key, bytes]:
    return {key: content(message) for key, message in past.newest().items()}


def test_nothing_has_changed_so_every_byte_is_the_same(past: Past) -> None:
    seed = int(os.environ.get("REWATCH_TEST_SEED") or random.randrange(10**6))
    print(f"seed {seed}; repeat with REWATCH_TEST_SEED={seed}")
    dice = random.Random(seed)
    spans = [(0.0, 12.0), *((begin := dice.uniform(0, 20), begin + dice.uniform(0.2, 8)) for _ in range(4))]
    for start, end in spans:
        again = past.again(start, end)
        assert again.comparison.differences == (), (start, end)
        assert again.consistent
        assert not again.cold
        assert again.frames >= (end - start) * FPS - 1
        assert again.comparison.same["Detections"] == again.frames
    assert {message.revision for message in past.newest().values()} == {0}


def test_without_a_checkpoint_it_starts_at_the_beginning_of_what_is_there(past: Past) -> None:
    span = locate(past.bootstrap, CAMERA, past.begin_ns + 5 * SECOND_NS, past.begin_ns + 6 * SECOND_NS)
    assert checkpoints(past.bootstrap, span)[0].state == "", "that the first GOP was begun, and no more"
    first = past.again(0.0, 1.0)
    assert first.start_offset == 0
    assert first.comparison.differences == ()


def test_a_backtest_says_what_would_have_been_and_publishes_nothing(past: Past, tmp_path: Path) -> None:
    before = len(read_all(past.bootstrap, [EVENTS.name, DETECTIONS.name, LEDGER.name]))
    rules = tmp_path / "rules.yml"
    rules.write_text("rules:\n- {kind: line, name: middle, start: [0.0, 0.6], end: [1.0, 0.6]}\n")
    code, answer = past.rewatch(
        "backtest", "--camera", CAMERA, "--from", past.at(0), "--to", past.at(20), "--rules", str(rules)
    )
    assert code == 0
    (report,) = answer["cameras"]
    gained = [one["after"] for one in report["events"] if one["change"] == "gained"]
    assert gained
    assert {event["rule"] for event in gained} == {"middle"}
    assert report["counts"]["Event"]["lost"] > 0, "the first rules' events do not happen under these"
    assert len(read_all(past.bootstrap, [EVENTS.name, DETECTIONS.name, LEDGER.name])) == before


def test_a_backtest_of_many_names_the_one_that_failed_and_shows_the_others(past: Past, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text("rules:\n- {kind: line, name: middle, start: [0.0, 0.6], end: [1.0, 0.6]}\n")
    words = (
        "backtest", "--camera", CAMERA, "--camera", "nobody", "--camera", SECOND, "--from", past.at(0), "--to",
        past.at(8), "--rules", str(rules),
    )  # fmt: skip
    code, answer = past.rewatch(*words)
    assert code == 1
    assert [report["camera"] for report in answer["cameras"]] == [CAMERA, SECOND]
    assert answer["failed"] == [{"camera": "nobody", "error": "the log holds nothing of camera nobody"}]
    alone, second = answer["cameras"]
    assert alone["counts"]["Event"]["gained"] > 0
    assert second["counts"]["Event"] == alone["counts"]["Event"], "the same pictures, and nobody's company matters"
    code, said = past.said(*words)
    assert code == 1
    assert CAMERA in said
    assert SECOND in said
    lines = [line.split() for line in said.splitlines() if line.startswith(("gained", "lost", "changed"))]
    assert {line[2] for line in lines} == {CAMERA, SECOND}
    times = [line[1] for line in lines]
    assert times == sorted(times)


def test_a_replay_revises_and_the_next_one_takes_it_back(past: Past, tmp_path: Path) -> None:
    original = table(past)
    rules = tmp_path / "rules.yml"
    rules.write_text("labels: [bus]\n")
    span = ("--camera", CAMERA, "--from", past.at(4), "--to", past.at(10))
    code, answer = past.rewatch("replay", *span, "--rules", str(rules))
    assert code == 0
    assert answer["published"] > 0
    assert answer["counts"]["Detections"]["changed"] == answer["frames"]
    revised = table(past)
    assert revised != original
    assert {key for key in original if original[key] != revised[key]} <= set(original)

    code, answer = past.rewatch("replay", *span)
    assert code == 0
    assert answer["published"] > 0
    restored = table(past)
    assert {key: value for key, value in restored.items() if key in original} == original
    code, answer = past.rewatch("replay", *span)
    assert (code, answer["published"]) == (0, 0)


def test_people_get_tables(past: Past) -> None:
    span = ("--camera", CAMERA, "--from", past.at(0), "--to", past.at(3))
    code, said = past.said("replay", *span)
    assert code == 0
    assert "Detections" in said
    assert "published: 0" in said
    event = next(message for message in past.newest().values() if isinstance(message, Event))
    code, said = past.said("verify", event.id)
    assert (code, said.split()[0]) == (0, "same")
    code, said = past.said("ledger")
    assert code == 0
    assert CAMERA in said
    assert past.said("windows")[0] == 0


def test_into_a_topic_of_its_own(past: Past) -> None:
    before = len(read_all(past.bootstrap, [EVENTS.name, DETECTIONS.name]))
    code, answer = past.rewatch(
        "replay", "--camera", CAMERA, "--from", past.at(0), "--to", past.at(5), "--into", "last-night"
    )
    assert code == 0
    records = read_all(past.bootstrap, ["last-night"])
    kinds = [record.headers["ce_type"] for record in records]
    assert len(records) == answer["published"]
    assert kinds.count(b"rewatch.detections.v1") == answer["frames"]
    assert len(read_all(past.bootstrap, [EVENTS.name, DETECTIONS.name])) == before


def test_a_paced_replay_can_be_watched(past: Past) -> None:
    """Results come while it runs, in their order, none before its time."""
    seconds, speed = 8, 2
    create_topics(past.bootstrap, [Topic("live-again", PARTITIONS, "delete", DAY_MS, MAX_RESULT_BYTES, "")], 1)
    words = ("replay", "--camera", CAMERA, "--from", past.at(6), "--to", past.at(6 + seconds), "--into", "live-again")
    running = subprocess.Popen(
        [sys.executable, "-m", "cli.main", *words, "--speed", f"{speed}x", "--json"],
        stdout=subprocess.PIPE, text=True, cwd=ROOT, env=past.environment,
    )  # fmt: skip
    begun_ms = time.time() * 1000
    watcher = consumer(past.bootstrap, "watcher", **{"enable.partition.eof": False})
    watcher.assign([TopicPartition("live-again", partition_of(CAMERA.encode(), PARTITIONS), 0)])
    first = None
    while first is None or first.error() is not None:
        assert running.poll() is None, "it ended before a consumer saw anything"
        first = watcher.poll(0.1)
    assert running.poll() is None
    watcher.close()
    stdout, _ = running.communicate(timeout=120)
    answer = json.loads(stdout)
    records = read_all(past.bootstrap, ["live-again"])
    assert len(records) == answer["published"]
    boxes = [record for record in records if record.headers["ce_type"] == b"rewatch.detections.v1"]
    times = [record.json()["captured_ns"] for record in boxes]
    assert times == sorted(times)
    assert len(boxes) == answer["frames"] >= seconds * FPS - 1
    for record, captured_ns in zip(boxes, times, strict=True):
        due_ms = begun_ms + (captured_ns - past.begin_ns - 6 * SECOND_NS) / 1e6 / speed
        assert record.timestamp_ms >= due_ms - FRAME_MS, "later it may be"
    twice = table(past)
    again = past.again(6.0, 6.0 + seconds, follow=False)
    assert {key: content(message) for key, message in again.found.items()}.items() <= twice.items()
    published = {(record.headers["ce_id"], record.value) for record in records}
    assert any(record.headers["ce_type"] == b"rewatch.flow.v1" for record in records), "of the minute that ended"
    assert published == {(dict(headers_of(message))["ce_id"], to_json(message)) for message in again.found.values()}


@pytest.mark.parametrize("topic", [EVENTS.name, "a b", "__consumer_offsets"])
def test_into_no_topic_that_is_something_else(past: Past, topic: str) -> None:
    code, answer = past.rewatch("replay", "--camera", CAMERA, "--from", past.at(0), "--to", past.at(5), "--into", topic)
    assert code == 1
    assert "is no name for a topic of replayed results" in answer["error"]


def test_every_event_proves_itself_and_a_forged_one_does_not(past: Past) -> None:
    happened = {message.id: message for message in past.newest().values() if isinstance(message, Event)}
    found = {event_id: event for event_id, event in happened.items() if "retracted" not in event.details}
    assert found
    (gap,) = (event.id for event in found.values() if event.kind == "gap")
    for event_id in (gap, min(found.keys() - {gap})):
        code, answer = past.rewatch("verify", event_id)
        assert (code, answer["same"]) == (0, True), answer["why"]

    genuine = next(event for event in found.values() if event.kind == "line_crossed")
    elsewhere = msgspec.structs.replace(genuine.provenance, partition=genuine.provenance.partition + 1)
    for forged, why in (
        (msgspec.structs.replace(genuine, label="bus", revision=7), "label: bus was published"),
        (msgspec.structs.replace(genuine, provenance=elsewhere, revision=8), "provenance: "),
        (msgspec.structs.replace(genuine, id=str(uuid.uuid4())), "it does not happen"),
        (
            msgspec.structs.replace(genuine, captured_ns=genuine.captured_ns + 4 * SECOND_NS, revision=9),
            "it does not happen",
        ),
        (genuine, ""),
    ):
        restored = forged is genuine
        told = msgspec.structs.replace(genuine, revision=10) if restored else forged
        sender = producer(past.bootstrap, "forger")
        sender.produce(EVENTS.name, to_json(told), CAMERA.encode(), headers=[*headers_of(told)])
        assert sender.flush(10) == 0
        code, answer = past.rewatch("verify", told.id)
        assert (code, answer["same"]) == ((0, True) if restored else (1, False)), why
        assert restored or answer["why"].startswith(why)
    assert past.rewatch("verify", "00000000-0000-0000-0000-000000000000")[0] == 1


def test_evidence_needs_nothing_of_ours(past: Past, tmp_path: Path) -> None:
    event = next(
        message for message in past.newest().values() if isinstance(message, Event) and message.kind == "line_crossed"
    )
    folder = tmp_path / "evidence"
    assert past.rewatch("verify", event.id, "--export", str(folder))[0] == 0
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder, check=True, capture_output=True)
    assert sorted(file.name for file in folder.iterdir()) == [
        "SHA256SUMS", "analysis.json", "clip.mp4", "event.json", "model-card.json", "verdict.json",
    ]  # fmt: skip
    with av.open(str(folder / "clip.mp4"), "r") as container:
        frames = list(container.decode(video=0))
        times = [frame.time for frame in frames]
    assert times == sorted(set(times))
    assert len(frames) >= FPS
    records = [record for record in read_all(past.bootstrap, [FRAMES.name]) if record.key == CAMERA.encode()]
    (keyframe,) = (record for record in records if record.offset == event.provenance.keyframe_offset)
    first = keyframe.value or b""
    with av.open(io.BytesIO(first), "r", format="h264") as single:
        picture = next(single.decode(video=0)).to_ndarray(format="gray")
    assert any((frame.to_ndarray(format="gray") == picture).all() for frame in frames), "the camera's own picture"
    code, answer = past.rewatch("verify", event.id, "--export", str(folder))
    assert code == 1
    assert "File exists" in answer["error"]


def test_wrong_times_and_cameras_are_said_clearly(past: Past) -> None:
    code, answer = past.rewatch("replay", "--camera", "nobody", "--from", past.at(0), "--to", past.at(1))
    assert (code, answer) == (1, {"error": "the log holds nothing of camera nobody"})
    code, answer = past.rewatch("replay", "--camera", CAMERA, "--from", past.at(-100), "--to", past.at(-90))
    assert code == 1
    assert "frames begins at" in answer["error"]
    before = len(read_all(past.bootstrap, [EVENTS.name, DETECTIONS.name, LEDGER.name]))
    span = ("--camera", CAMERA, "--from", past.at(5), "--to", past.at(6))
    code, answer = past.rewatch("replay", *span, "--model", "typo")
    assert code == 1
    assert "model typo is not served" in answer["error"]
    assert len(read_all(past.bootstrap, [EVENTS.name, DETECTIONS.name, LEDGER.name])) == before
    code, answer = past.rewatch("replay", "--camera", CAMERA, "--from", past.at(5), "--to", past.at(4))
    assert (code, answer["error"]) == (1, "the end is not after the beginning")


def test_a_detector_is_calibrated_on_the_log(past: Past) -> None:
    detector = load(ROOT / "triton_models" / MODEL).detector
    keyframes = [
        record for record in read_all(past.bootstrap, [FRAMES.name])
        if record.key == CAMERA.encode() and record.headers.get("keyframe") == b"1"
    ]  # fmt: skip
    end_ns = past.begin_ns + 2 * SECONDS * SECOND_NS
    every = of_log(past.bootstrap, CAMERA, past.begin_ns, end_ns, detector, 100)
    assert every.shape == (len(keyframes), detector.height, detector.width, 3)
    few = of_log(past.bootstrap, CAMERA, past.begin_ns, end_ns, detector, 3)
    places = [next(n for n, picture in enumerate(every) if np.array_equal(picture, one)) for one in few]
    assert places[0] == 0
    assert places == sorted(places)
    assert places[-1] >= len(every) // 2, "spread over all of it"
    with pytest.raises(LogGoneError):
        of_log(past.bootstrap, "nobody", past.begin_ns, end_ns, detector, 3)


def test_a_training_set_is_a_query_on_the_log(past: Past, tmp_path: Path) -> None:
    wanted, folder = tmp_path / "set.jsonl", tmp_path / "set"
    query = ["--camera", CAMERA, "--from", past.at(0), "--to", past.at(SECONDS), "--apart", "3.4", "--score", "0.3"]
    code, said = past.said("dataset", "manifest", *query, "--out", str(wanted))
    assert (code, "pictures" in said) == (0, True)
    _, entries = read_manifest(wanted)
    assert 5 <= len(entries) <= 10
    assert any(entry.offset > entry.keyframe_offset for entry in entries), "pictures inside of GOPs, too"
    assert past.said("dataset", "fetch", str(wanted), "--out", str(folder))[0] == 0
    pictures = read_dataset(folder, "coco").pictures
    assert [len(picture.boxes) for picture in pictures] == [len(entry.boxes) for entry in entries]
    assert {picture.source for picture in pictures} == {CAMERA}
    assert [picture.time_s for picture in pictures] == [round(entry.captured_ns / 1e9, 3) for entry in entries]


def test_what_retention_has_deleted_is_named(past: Past) -> None:
    """Last: it takes the beginning of the log away."""
    partition = partition_of(CAMERA.encode(), PARTITIONS)
    opened = PartitionLog(past.bootstrap, FRAMES.name, partition)
    admin = AdminClient({"bootstrap.servers": past.bootstrap})
    (future,) = admin.delete_records([TopicPartition(FRAMES.name, partition, 100)]).values()
    future.result(10)
    with opened, pytest.raises(LogGoneError, match="offset 0 was deleted; left are 100 to"):
        next(opened.read(opened.low))
    with pytest.raises(LogGoneError, match="older records were deleted, what is left begins at"):
        past.again(1.0, 20.0)
    code, answer = past.rewatch("replay", "--camera", CAMERA, "--from", past.at(1), "--to", past.at(20))
    assert code == 1
    assert "what is left begins at" in answer["error"]
    whole = past.again(15.0, 20.0)
    assert whole.comparison.same["Detections"] >= 5 * FPS


def test_a_cold_start_publishes_only_when_it_is_told_to(past: Past) -> None:
    """After the one before: the log's beginning is gone, and now its checkpoints too."""
    admin = AdminClient({"bootstrap.servers": past.bootstrap})
    admin.delete_topics([CHECKPOINTS.name])[CHECKPOINTS.name].result(10)
    deadline = time.monotonic() + 20
    while CHECKPOINTS.name in admin.list_topics(timeout=10).topics:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    create_topics(past.bootstrap, [CHECKPOINTS], 1)

    def newest() -> dict[Key, Outcome]:
        begin_ns = past.begin_ns + 8 * SECOND_NS
        return published(past.bootstrap, locate(past.bootstrap, CAMERA, begin_ns, begin_ns + SECOND_NS), 2**63)

    before = newest()
    span = ("--camera", CAMERA, "--from", past.at(8), "--to", past.at(12))
    code, answer = past.rewatch("replay", *span)
    assert code == 0
    assert answer["cold"]
    assert answer["published"] == 0
    assert newest() == before
    changes = sum(number for kind in answer["counts"].values() for change, number in kind.items() if change != "same")
    assert changes > 0, "objects were there before that nobody can know of any more"
    code, answer = past.rewatch("replay", *span, "--even-cold")
    assert code == 0
    assert answer["published"] > 0
    assert newest() != before
