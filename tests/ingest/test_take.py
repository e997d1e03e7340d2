"""Sessions and capture times of one reading of a source."""

from fractions import Fraction

from ingest.framing import Framed
from ingest.gop_queue import GopQueue, Unit
from ingest.limits import Limits
from ingest.take import Outage, Take
from schemas.messages import AccessUnit, Gap

NS = 10**9
TB = Fraction(1, 90_000)
STEP = 3600
T0 = 1_700_000_000 * NS


class Watched:
    def __init__(self, start_ns: int | None = None, floor_ns: int = 0, outage: Outage | None = None) -> None:
        self.queue = GopQueue(Limits(in_flight_bytes=10**9), lambda queue: None, lambda reason, lost: None)
        self.take = Take("cam", "h264", TB, self.queue, lambda: b"{}", floor_ns, start_ns, outage)

    def feed(self, number: int, arrival_ns: int, pts: int | None = None, gop: int = 25) -> None:
        at = number * STEP if pts is None else pts
        framed = Framed(b"x", at, number // gop, number % gop, 64, 64, arrival_ns, {})
        assert self.take.add(framed)

    def out(self) -> list[AccessUnit | Gap]:
        out: list[AccessUnit | Gap] = []
        while (item := self.queue.take()) is not None:
            assert isinstance(item, Unit | Gap)
            out.append(item.record if isinstance(item, Unit) else item)
        return out


def units(records: list[AccessUnit | Gap]) -> list[AccessUnit]:
    return [record for record in records if isinstance(record, AccessUnit)]


def gaps(records: list[AccessUnit | Gap]) -> list[Gap]:
    return [record for record in records if isinstance(record, Gap)]


def test_a_live_take_starts_with_its_arrival() -> None:
    watched = Watched()
    watched.feed(0, T0)
    assert watched.out() == [], "one picture's time, until it is known whether it was buffered"
    for number in range(1, 50):
        watched.feed(number, T0 + number * NS // 25)
    records = units(watched.out())
    assert [unit.captured_ns for unit in records] == [T0 + number * NS // 25 for number in range(50)]
    assert len({unit.session for unit in records}) == 1
    assert [unit.analysis for unit in records if unit.keyframe] == [b"{}", b"{}"]
    assert len({unit.traceparent for unit in records}) == 2, "a trace for each group"


def test_what_was_buffered_was_taken_earlier() -> None:
    watched = Watched()
    for number in range(25):
        watched.feed(number, T0 + number)
    for number in range(25, 50):
        watched.feed(number, T0 + (number - 24) * NS // 25)
    records = units(watched.out())
    assert all(unit.captured_ns <= T0 + max(0, unit.gop * 25 + unit.index - 24) * NS // 25 + 25 for unit in records)
    assert records[-1].captured_ns >= T0 + NS - 100


def test_a_clock_that_parts_makes_a_new_session_at_the_next_keyframe() -> None:
    watched = Watched()
    for number in range(300):
        # from picture 60 on everything comes two seconds late, for ever
        watched.feed(number, T0 + number * NS // 25 + (2 * NS if number >= 60 else 0))
    records = watched.out()
    (gap,) = gaps(records)
    sessions = list(dict.fromkeys(unit.session for unit in units(records)))
    assert len(sessions) == 2
    first = next(unit for unit in units(records) if unit.session == sessions[1])
    assert first.keyframe
    assert records.index(gap) + 1 == records.index(first)
    assert (gap.reason, gap.lost, gap.session) == ("clock", 0, sessions[1])
    assert first.captured_ns == gap.to_ns == T0 + (first.gop * 25) * NS // 25 + 2 * NS
    assert len(units(records)) == 300, "nothing was lost"
    captured = [unit.captured_ns for unit in units(records)]
    assert captured == sorted(set(captured))


def test_a_source_that_runs_ahead_is_set_back_without_going_back() -> None:
    watched = Watched()
    for number in range(100):
        # twice as fast as it says
        watched.feed(number, T0 + number * NS // 50)
    records = units(watched.out())
    captured = [unit.captured_ns for unit in records]
    assert captured == sorted(set(captured))
    assert len({unit.session for unit in records}) > 1


def test_an_outage_is_closed_by_the_first_picture() -> None:
    watched = Watched(outage=Outage("stalled", T0 - 5 * NS), floor_ns=T0 - 5 * NS)
    for number in range(30):
        watched.feed(number, T0 + number * NS // 25)
    records = watched.out()
    gap = records[0]
    assert gap == Gap("cam", units(records)[0].session, "stalled", T0 - 5 * NS, T0, -1)
    assert len(gaps(records)) == 1


def test_never_before_what_the_log_has() -> None:
    watched = Watched(floor_ns=T0 + 60 * NS)
    for number in range(10):
        watched.feed(number, T0 + number * NS // 25)
    captured = [unit.captured_ns for unit in units(watched.out())]
    assert captured[0] == T0 + 60 * NS + 1
    assert captured[9] == T0 + 60 * NS + 1 + 9 * NS // 25


def test_a_file_with_a_given_start() -> None:
    watched = Watched(start_ns=5 * NS)
    for number in range(3):
        watched.feed(number, T0, pts=900_000 + number * STEP)
    assert [unit.captured_ns for unit in units(watched.out())] == [5 * NS + number * NS // 25 for number in range(3)]


def test_a_closed_queue_ends_the_take() -> None:
    watched = Watched(start_ns=0)
    watched.feed(0, T0)
    watched.queue.close()
    assert not watched.take.add(Framed(b"x", STEP, 0, 1, 64, 64, T0, {}))
