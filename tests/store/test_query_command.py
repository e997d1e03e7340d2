"""`rewatch query` on an embedded store."""

import csv
import io
import json
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner, Result

from cli.query import app
from processors.duck import DuckStore
from schemas.results import rfc3339, to_json
from tests.store.records import EVERY_KIND, detections, event, example


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REWATCH_STORE", "duckdb")
    monkeypatch.setenv("REWATCH_STORE_DIR", str(tmp_path / "store"))
    store = DuckStore(tmp_path / "store")
    store.write([*EVERY_KIND, *(detections(number, camera="other") for number in range(5))])
    store.close()
    return tmp_path / "store"


def ask(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})


def test_json_lines_are_the_messages(folder: Path) -> None:
    shown = ask("events", "--json").stdout.encode().splitlines()
    assert set(shown) == {to_json(example("event")), to_json(example("event-without-track"))}
    assert ask("flow", "--json").stdout.encode() == to_json(example("flow")) + b"\n"
    assert len(ask("ledger", "--json").stdout.splitlines()) == 3


def test_camera_time_and_limit(folder: Path) -> None:
    lines = ask("detections", "--camera", "other", "--limit", "2", "--json").stdout.splitlines()
    assert [json.loads(line)["captured_ns"] for line in lines] == [detections(n).captured_ns for n in (3, 4)]
    window = ("--from", "2025-11-21T06:00:00.13", "--to", "2025-11-21T07:00:00.24+01:00")
    assert len(ask("detections", "--json", "--camera", "other", *window).stdout.splitlines()) == 2
    assert ask("count", "detections").stdout == "6\n"
    assert ask("count", "detections", "--from", str(detections(1).captured_ns)).stdout == "4\n"


def test_what_a_replay_has_taken_back_is_shown_on_demand(folder: Path) -> None:
    taken = msgspec.structs.replace(example("event"), details={"retracted": 1}, revision=1)
    none = msgspec.structs.replace(example("flow"), count=0, mean_speed=None, revision=1)
    store = DuckStore(folder)
    store.write([taken, none])
    store.close()
    assert ask("events", "--json").stdout.encode().splitlines() == [to_json(example("event-without-track"))]
    assert ask("flow", "--json").stdout == ""
    later = msgspec.structs.replace(taken, id="later", captured_ns=taken.captured_ns + 10**9)
    store = DuckStore(folder)
    store.write([later])
    store.close()
    assert ask("events", "--json", "--limit", "1").stdout.encode() == to_json(example("event-without-track")) + b"\n"
    assert to_json(taken) in ask("events", "--json", "--retracted").stdout.encode().splitlines()
    assert ask("flow", "--json", "--retracted").stdout.encode().splitlines() == [to_json(none)]


def test_a_table_for_people(folder: Path) -> None:
    for what, expected in [
        ("events", "red_light"),
        ("detections", "car 0.87"),
        ("flow", "stop-line forward car: 14 11.4 m/s"),
        ("ledger", "consumed=25 decoded=24"),
    ]:
        shown = ask(what).stdout
        assert expected in shown
        assert "2025-11-21T06:00:00" in shown


def test_events_for_people(folder: Path) -> None:
    crossed_ns = example("event").captured_ns + 250_000_000
    crossing = msgspec.structs.replace(event("3b6f"), details={"direction": "forward", "crossed_ns": crossed_ns})
    store = DuckStore(folder)
    store.write([crossing])
    store.close()
    shown = ask("events").stdout
    assert "3b6f" in shown, "for `rewatch verify`"
    assert f"direction=forward crossed={rfc3339(crossed_ns)[11:23]}" in shown
    narrow = CliRunner().invoke(app, ["events"], env={"COLUMNS": "72"}).stdout
    assert "…" not in narrow, "a part of a time or of an id helps nobody"


def test_sql_and_export(folder: Path) -> None:
    rows = list(csv.reader(io.StringIO(ask("sql", "SELECT camera, count(*) AS n FROM detections GROUP BY 1").stdout)))
    assert rows[0] == ["camera", "n"]
    assert sorted(rows[1:]) == [["junction-north", "1"], ["other", "5"]]
    target = folder / "out.parquet"
    assert ask("sql", f"COPY (FROM events) TO '{target}' (FORMAT parquet)").exit_code == 0
    assert target.read_bytes()[:4] == b"PAR1"
    wrong = ask("sql", "SELECT nonsense FROM events")
    assert wrong.exit_code == 1
    assert "nonsense" in wrong.stderr


def test_what_is_wrong_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = ask("events", "--from", "yesterday")
    assert wrong.exit_code == 2
    assert "yesterday" in wrong.stderr
    monkeypatch.setenv("REWATCH_STORE_DIR", "/nonexistent/store")
    missing = ask("events")
    assert missing.exit_code == 2
    assert "REWATCH_STORE_DIR" in missing.stderr
    monkeypatch.setenv("REWATCH_STORE", "influxdb")
    monkeypatch.setenv("REWATCH_INFLUXDB", "http://127.0.0.1:1")
    for command in (("events",), ("count", "flow")):
        away = ask(*command)
        assert away.exit_code == 1
        assert "influxdb" in away.stderr
    assert "REWATCH_STORE=duckdb" in ask("sql", "FROM events").stderr


def test_an_event_shown_is_the_newest_revision(folder: Path) -> None:
    store = DuckStore(folder)
    store.write([event("late", revision=3), event("late", revision=1)])
    store.close()
    assert '"revision":3' in ask("events", "--json").stdout
    assert '"id":"late"' in ask("events", "--json").stdout
