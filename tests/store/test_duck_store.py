"""The Parquet folder: merging, crashes, readers beside a writer, what DuckDB refuses."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import duckdb
import pytest

from processors import parquet_folder
from processors.duck import DuckStore, connect, create_views
from processors.errors import RetryError
from processors.parquet_folder import MERGE
from processors.store import TABLES, Query, Record
from schemas.results import identity
from tests.store.records import EVERY_KIND, HOUR_NS, T0, detections, event, example


def files(folder: Path, table: str = "detections") -> list[Path]:
    return sorted((folder / table).glob("hour=*/*.parquet"))


def test_files_lie_by_table_and_hour_of_capture_time(tmp_path: Path) -> None:
    store = DuckStore(tmp_path)
    store.write([detections(0), detections(0, captured_ns=T0 + HOUR_NS), *EVERY_KIND])
    assert [file.parent.name for file in files(tmp_path)] == ["hour=2025-11-21T06", "hour=2025-11-21T07"]
    assert all(len(files(tmp_path, table)) >= 1 for table in TABLES)
    assert not list(tmp_path.rglob("*.tmp"))
    store.close()


def test_small_files_become_one_and_superseded_rows_go(tmp_path: Path) -> None:
    store = DuckStore(tmp_path)
    for number in range(MERGE * 3 + 2):
        store.write([detections(0, gop=number), detections(number)])
    names = [file.name.partition("-")[0] for file in files(tmp_path)]
    assert names == ["0", "0", "1", "1", "1"]
    with duckdb.connect() as connection:
        merged = connection.execute("SELECT count(*) FROM read_parquet(?)", [list(map(str, files(tmp_path)[2:]))])
        rows = merged.fetchall()
    assert rows == [(MERGE * 3 + 2,)], "one row of number 0 a file, and every other number once"
    assert store.count(Query("detections")) == MERGE * 3 + 2
    assert store.read(Query("detections", limit=1)) == [detections(MERGE * 3 + 1)]
    store.close()


def test_levels_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_folder, "MERGE", 2)
    store = DuckStore(tmp_path)
    for number in range(16):
        store.write([detections(number)])
    assert len(files(tmp_path)) <= 5
    assert store.read(Query("detections")) == [detections(number) for number in range(16)]
    store.close()


def test_a_past_hour_ends_as_one_file_also_after_a_restart(tmp_path: Path) -> None:
    store = DuckStore(tmp_path)
    for number in range(3):
        store.write([detections(number)])
    store.close()
    store = DuckStore(tmp_path)
    store.write([detections(0, captured_ns=T0 + HOUR_NS)])
    assert [file.parent.name for file in files(tmp_path)] == ["hour=2025-11-21T06", "hour=2025-11-21T07"]
    assert store.count(Query("detections")) == 4
    store.close()


def test_one_of_two_writers_merges(tmp_path: Path) -> None:
    first, second = DuckStore(tmp_path), DuckStore(tmp_path)
    for number in range(MERGE):
        first.write([detections(number)])
    assert len(files(tmp_path)) == 1
    for number in range(MERGE):
        second.write([detections(100 + number)])
    assert len(files(tmp_path)) == 1 + MERGE, "the lock is the first one's"
    first.close()
    second.write([detections(200)])
    assert len(files(tmp_path)) == 2
    assert second.count(Query("detections")) == 2 * MERGE + 1
    second.close()


def test_rows_left_twice_by_a_crash_in_merging_count_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = DuckStore(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        for number in range(MERGE):
            store.write([detections(number, revision=number % 2)])
    assert len(files(tmp_path)) == MERGE + 1
    assert store.count(Query("detections")) == MERGE
    assert store.read(Query("detections")) == [detections(number, revision=number % 2) for number in range(MERGE)]
    store.write([detections(MERGE)])
    assert store.count(Query("detections")) == MERGE + 1
    store.close()


def test_a_file_that_cannot_be_merged_stops_nothing(tmp_path: Path) -> None:
    store = DuckStore(tmp_path)
    store.write([detections(0)])
    broken = files(tmp_path)[0].with_name("0-00000000000000000000-1-1.parquet")
    broken.write_bytes(b"not parquet")
    for number in range(MERGE):
        assert store.write([detections(number)]) == []
    broken.unlink()
    assert store.count(Query("detections")) == MERGE
    store.close()


def test_abandoned_files_are_removed_when_they_are_old(tmp_path: Path) -> None:
    DuckStore(tmp_path).close()
    hour = tmp_path / "events" / "hour=2025-11-21T06"
    hour.mkdir()
    old, young = hour / ".0-1-1-1.parquet.tmp", hour / ".0-2-1-1.parquet.tmp"
    for file in (old, young):
        file.write_bytes(b"PAR1 half")
    os.utime(old, (1, 1))
    store = DuckStore(tmp_path)
    assert not old.exists()
    assert young.exists()
    assert store.read(Query("events")) == []
    store.close()


def test_a_number_too_large_for_its_column_is_refused_alone(tmp_path: Path) -> None:
    store = DuckStore(tmp_path)
    bad: list[Record] = [detections(1, width=2**40), event("big", revision=2**40)]
    refused = store.write([detections(0), bad[0], detections(2), event("a"), bad[1]])
    assert {identity(each.record) for each in refused} == {identity(each) for each in bad}
    assert all(each.why for each in refused)
    assert store.read(Query("detections")) == [detections(0), detections(2)]
    assert store.read(Query("events")) == [event("a")]
    store.close()


def test_a_folder_that_cannot_be_written_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RetryError, match="duckdb"):
        DuckStore(tmp_path / "file")
    store = DuckStore(tmp_path / "store")
    (tmp_path / "store" / "events").rmdir()
    (tmp_path / "store" / "events").write_text("in the way")
    with pytest.raises(RetryError, match="duckdb"):
        store.write([event("a")])
    (tmp_path / "store" / "events").unlink()
    (tmp_path / "store" / "events").mkdir()
    assert store.write([event("a")]) == []
    assert store.read(Query("events")) == [event("a")]
    store.close()


def test_reading_beside_writing_and_merging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files vanish under a reader when they are merged; it must neither fail nor see less than was there."""
    monkeypatch.setattr(parquet_folder, "MERGE", 3)
    writer, reader = DuckStore(tmp_path), DuckStore(tmp_path)
    acknowledged = 0
    stop = threading.Event()

    def write() -> None:
        nonlocal acknowledged
        while not stop.is_set() and acknowledged < 60:
            writer.write([detections(acknowledged)])
            acknowledged += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        while thread.is_alive():
            before = acknowledged
            assert reader.count(Query("detections")) >= before
            assert len(reader.read(Query("detections"))) >= before
    finally:
        stop.set()
        thread.join()
    writer.close()
    reader.close()


_WRITER = """
import sys
from pathlib import Path
from processors import parquet_folder
from processors.duck import DuckStore
from tests.store.records import detections, event
parquet_folder.MERGE = 3
store = DuckStore(Path(sys.argv[1]))
for number in range(int(sys.argv[2]), 100_000):
    store.write([detections(number), event(f"e{number:06d}")])
    print(number, flush=True)
"""


@pytest.mark.integration
@pytest.mark.timeout(120)
def test_kill_9_at_any_moment_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    start = 0
    for run in range(5):
        writer = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path), str(start)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        last = int(writer.stdout.readline())
        time.sleep(0.15 + 0.137 * run)
        writer.send_signal(signal.SIGKILL)
        rest = [line for line in writer.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
        writer.wait()
        writer.stdout.close()
        last = int(rest[-1]) if rest else last
        store = DuckStore(tmp_path)
        seen = store.read(Query("detections"))
        assert seen[: last + 1] == [detections(number) for number in range(last + 1)]
        assert len(seen) <= last + 2
        assert store.count(Query("events")) in (last + 1, last + 2)
        store.close()
        start = last + 1


def test_views_show_what_counts(tmp_path: Path) -> None:
    with connect() as connection:
        create_views(connection, tmp_path / "nothing")
        for table in TABLES:
            assert connection.execute(f"SELECT * FROM {table}").fetchall() == []
    store = DuckStore(tmp_path)
    store.write(EVERY_KIND)
    store.write([event("a"), event("a", revision=1, details={"lane": 3})])
    store.close()
    with connect() as connection:
        create_views(connection, tmp_path)
        rows = connection.execute("SELECT revision, details->>'lane' FROM events WHERE id = 'a'").fetchall()
        assert rows == [(1, "3")]
        boxes = connection.execute("SELECT box.label FROM (SELECT unnest(boxes) AS box FROM detections)").fetchall()
        assert boxes == [("car",), ("person",)]
        stages = connection.execute("SELECT stage FROM ledger ORDER BY 1").fetchall()
        assert stages == [("analysis",), ("end",), ("ingest",)]
        columns = [row[0] for row in connection.execute("DESCRIBE flow").fetchall()]
        assert "written" not in columns
        assert columns[0] == "identity"


def test_a_file_older_than_a_field_is_read_with_its_default(tmp_path: Path) -> None:
    store = DuckStore(tmp_path)
    store.write([example("end-ledger", error="gone")])
    (file,) = files(tmp_path, "ledger")
    with connect() as connection:
        connection.execute(f"COPY (SELECT * EXCLUDE (error) FROM '{file}') TO '{tmp_path / 'old'}' (FORMAT parquet)")
    (tmp_path / "old").rename(file)
    assert store.read(Query("ledger")) == [example("end-ledger")]
    store.write([event("a")])
    store.close()
