"""What every store must do, the fake included."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devstack.stack import Stack
from processors.duck import DuckStore
from processors.store import (
    MAX_NS,
    TABLES,
    BadRecordError,
    FakeStore,
    Query,
    Record,
    Store,
    captured_ns,
    decode,
    newest,
    table_of,
)
from schemas.results import to_json, topic_of
from tests.store.conftest import empty_influx
from tests.store.records import EVERY_KIND, HOUR_NS, T0, any_record, detections, event, example

# the first test that needs InfluxDB also waits for its start
pytestmark = pytest.mark.timeout(90)


def contents(store: Store) -> dict[str, list[Record]]:
    return {table: store.read(Query(table)) for table in TABLES}


def test_every_kind_comes_back_as_it_was(store: Store) -> None:
    assert store.write(EVERY_KIND) == []
    for table in TABLES:
        wanted = sorted((r for r in EVERY_KIND if table_of(r) == table), key=to_json)
        assert sorted(store.read(Query(table)), key=to_json) == wanted
        assert store.count(Query(table)) == len(wanted)


def test_an_empty_store_is_empty(store: Store) -> None:
    assert contents(store) == {table: [] for table in TABLES}
    assert [store.count(Query(table)) for table in TABLES] == [0, 0, 0, 0]
    assert store.write([]) == []


def test_writing_again_changes_nothing(store: Store) -> None:
    store.write(EVERY_KIND)
    before = contents(store)
    store.write(EVERY_KIND[2:])
    store.write(tuple(reversed(EVERY_KIND)))
    assert contents(store) == before
    assert [store.count(Query(table)) for table in TABLES] == [len(rows) for rows in before.values()]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0, 1)])
def test_the_highest_revision_counts_whatever_comes_last(store: Store, order: tuple[int, ...]) -> None:
    for revision in order:
        store.write(
            [
                detections(0, revision=revision, gop=revision),
                event("one", revision=revision, label=f"label-{revision}"),
                example("flow", revision=revision, count=revision, mean_speed=None if revision == 2 else 3.5),
                example("analysis-ledger", revision=revision, inferred=revision),
            ]
        )
    (seen,) = store.read(Query("detections"))
    assert seen == detections(0, revision=2, gop=2)
    assert store.read(Query("events")) == [event("one", revision=2, label="label-2")]
    assert store.read(Query("flow")) == [example("flow", revision=2, count=2, mean_speed=None)]
    assert store.read(Query("ledger")) == [example("analysis-ledger", revision=2, inferred=2)]
    assert [store.count(Query(table)) for table in TABLES] == [1, 1, 1, 1]


def test_within_one_batch_too(store: Store) -> None:
    store.write([detections(0, revision=1), detections(0), detections(0, gop=3), detections(1), detections(1, gop=4)])
    assert store.read(Query("detections")) == [detections(0, revision=1), detections(1, gop=4)]


def test_of_equal_revisions_the_last_written_counts(store: Store) -> None:
    for gop in (1, 2, 3):
        store.write([detections(0, gop=gop), event("one", label=str(gop))])
    assert store.read(Query("detections")) == [detections(0, gop=3)]
    assert store.read(Query("events")) == [event("one", label="3")]


def test_events_of_one_moment_stay_apart(store: Store) -> None:
    """Two cars over one line in one frame: same camera, kind, rule and time."""
    many = [event(f"event-{number}") for number in range(7)]
    store.write(many[:3])
    store.write(many[2:5])
    store.write([event("event-1", revision=1), many[6], many[5]])
    store.write(many)
    wanted = [event(f"event-{number}", revision=int(number == 1)) for number in range(7)]
    assert store.read(Query("events")) == wanted
    assert store.count(Query("events")) == 7


def test_questions_by_time_camera_and_number(store: Store) -> None:
    rows = [detections(number, camera="even" if number % 2 == 0 else "odd") for number in range(10)]
    store.write(rows)
    start, end = captured_ns(rows[2]), captured_ns(rows[6])
    assert store.read(Query("detections", start, end)) == rows[2:6]
    assert store.read(Query("detections", start, end, "odd")) == [rows[3], rows[5]]
    assert store.read(Query("detections", limit=3)) == rows[7:]
    assert store.read(Query("detections", limit=0)) == []
    assert store.count(Query("detections", start, end)) == 4
    assert store.count(Query("detections", camera="even")) == 5
    assert store.read(Query("detections", camera='no"such${camera}\\')) == []
    assert store.count(Query("detections", end, start)) == 0


def test_hours_and_the_edges_of_time(store: Store) -> None:
    rows = [example("detections", captured_ns=ns) for ns in (0, 5, T0, T0 + HOUR_NS, T0 + 30 * HOUR_NS, MAX_NS - 1)]
    assert store.write(rows) == []
    assert store.read(Query("detections")) == rows
    assert store.read(Query("detections", T0, T0 + 2 * HOUR_NS)) == rows[2:4]
    assert store.count(Query("detections")) == 6


def test_odd_texts_survive(store: Store) -> None:
    texts = [
        "plain",
        "with space, comma=equals",
        'quote " and \\ backslash\\',
        "new\nline\ttab",
        "Straße 🚗",
        "${x}",
        "",
    ]
    rows = [
        example("event", id=f"odd-{number}", label=text, track=text, details={text or "empty": text})
        for number, text in enumerate(texts)
    ]
    flows = [example("flow", label=text) for text in ("traffic light", "a,b=c", "Straße 🚗")]
    assert store.write([*rows, *flows]) == []
    assert store.read(Query("events")) == rows
    assert sorted(store.read(Query("flow")), key=to_json) == sorted(flows, key=to_json)


def test_a_crowded_picture_fits(store: Store) -> None:
    crowd = detections(0, boxes=example("detections").boxes * 2000)
    assert len(to_json(crowd)) > 300_000
    assert store.write([crowd]) == []
    assert store.read(Query("detections")) == [crowd]


@given(st.lists(st.lists(any_record, min_size=1, max_size=6), min_size=1, max_size=5))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_duckdb_agrees_with_the_fake(tmp_path: Path, batches: list[list[Record]]) -> None:
    _agree(DuckStore(Path(tempfile.mkdtemp(dir=tmp_path))), batches)


@pytest.mark.integration
@given(st.lists(st.lists(any_record, min_size=1, max_size=6), min_size=1, max_size=5))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_influxdb_agrees_with_the_fake(influx_stack: Stack, batches: list[list[Record]]) -> None:
    _agree(empty_influx(influx_stack), batches)


def _agree(store: Store, batches: list[list[Record]]) -> None:
    fake = FakeStore()
    for batch in batches:
        assert store.write(batch) == []
        fake.write(batch)
    assert contents(store) == contents(fake)
    for table in TABLES:
        assert store.count(Query(table)) == fake.count(Query(table))
    store.close()


def test_newest_keeps_one_of_each_identity() -> None:
    assert newest([event("a"), event("b"), event("a", label="x"), event("b", revision=1), event("b")]) == [
        event("a", label="x"),
        event("b", revision=1),
    ]


def test_decoding() -> None:
    for record in EVERY_KIND:
        assert decode(topic_of(record).name, to_json(record)) == record
    good = to_json(event("one"))
    for topic, value in [
        ("events", None),
        ("events", b""),
        ("events", b"not json"),
        ("events", b"\xff\xfe"),
        ("events", b"[]"),
        ("events", b"[" * 100_000),
        ("events", good.replace(b'"camera":"', b'"camera":7,"x":"')),
        ("flow", good),
        ("ledger", b'{"stage":"new"}'),
        ("detections", to_json(detections(0)).replace(str(T0).encode(), b"-1")),
        ("detections", to_json(detections(0)).replace(str(T0).encode(), b"9223372036854775807")),
        ("detections", to_json(detections(0)).replace(str(T0).encode(), b"1e30")),
    ]:
        with pytest.raises(BadRecordError):
            decode(topic, value)
