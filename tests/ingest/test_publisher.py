"""What becomes of an access unit that Kafka does not take."""

import time
from pathlib import Path

import pytest
from confluent_kafka import KafkaError

from ingest.limits import Limits
from ingest.publisher import record_timestamp
from schemas.topics import DAY_MS
from tests.ingest.clips import check_log, write_clip
from tests.ingest.memory_producer import Kept
from tests.ingest.rig import Rig, wait_until


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mp4", pictures=60, gop=10)


def header(kept: Kept, name: str) -> bytes:
    return dict(kept.headers).get(name, b"")


def test_a_refused_access_unit_takes_the_rest_of_its_group(clip: Path) -> None:
    rig = Rig(Limits(in_flight_bytes=1))
    too_large = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
    rig.producer.refuse = lambda kept: (
        too_large if (header(kept, "gop"), header(kept, "index")) == (b"2", b"4") else None
    )
    try:
        units = rig.read_all(str(clip))
        assert [(unit.gop, unit.index) for unit in units if unit.gop == 2] == [(2, index) for index in range(4)]
        assert len(units) == 54
        check_log(units)
        (gap,) = rig.gaps()
        assert (gap.reason, gap.lost) == ("too_large", 6)
        wait_until(lambda: len(rig.ledger()) == 6)
        assert [(e.received, e.published, e.lost) for e in rig.ledger() if e.gop == 2] == [(10, 4, 6)]
        assert rig.ends()[0].published == 54
        assert rig.publisher.alive
    finally:
        rig.close()


def test_a_producer_that_is_full_is_waited_for(clip: Path) -> None:
    rig = Rig()
    rig.producer.most = 3
    rig.producer.online = False
    try:
        rig.camera(str(clip), pace="max")
        wait_until(lambda: len(rig.producer) == 3)
        rig.producer.online = True
        wait_until(lambda: bool(rig.ends()), 30)
        assert len(rig.units()) == 60
    finally:
        rig.close()


def test_all_cameras_access_units_leave_together(clip: Path, tmp_path: Path) -> None:
    """Long before their time: because much has come of one, or because it is the end."""
    short = write_clip(tmp_path / "short.mp4", pictures=10, gop=10)
    rig = Rig(together_ms=10**9)

    def sent(camera: str) -> int:
        return sum(unit.camera == camera for unit in rig.units())

    try:
        few = rig.camera(str(short), "few", pace="max")
        wait_until(lambda: few.waiting == 10)
        time.sleep(0.1)
        assert rig.units() == []
        rig.camera(str(clip), "much", pace="max")
        wait_until(lambda: sent("few") == 10 and sent("much") > 0)
        late = rig.camera(str(short), "late", pace="max")
        wait_until(lambda: late.waiting == 10 or sent("late") == 10)
        assert rig.publisher.stop() == 0
        assert (sent("late"), sent("much")) == (10, 60)
    finally:
        rig.close()


def test_what_cannot_be_sent_at_the_end_is_counted(clip: Path) -> None:
    rig = Rig(Limits(flush_seconds=0.3))
    rig.producer.online = False
    camera = rig.camera(str(clip), pace="max")
    wait_until(lambda: camera.ended)
    camera.stop()
    assert rig.publisher.stop() == 60
    assert rig.units() == []


def test_a_fatal_error_stops_the_publisher(clip: Path) -> None:
    rig = Rig()
    rig.producer.refuse = lambda kept: KafkaError(KafkaError._FATAL, "fenced", fatal=True)
    try:
        rig.camera(str(clip), pace="max")
        wait_until(lambda: bool(rig.publisher.failure))
        assert "fenced" in rig.publisher.failure
        assert not rig.publisher.alive
    finally:
        rig.close()


@pytest.mark.parametrize(
    ("captured_ms", "kept"),
    [(10 * DAY_MS, True), (10 * DAY_MS - 1000, True), (0, False), (9 * DAY_MS, False), (11 * DAY_MS, False)],
)
def test_a_record_is_not_older_than_retention_allows(captured_ms: int, kept: bool) -> None:
    now = 10 * DAY_MS
    assert record_timestamp(captured_ms, now) == (captured_ms if kept else now)
