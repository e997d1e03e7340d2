"""What a worker measures of itself, and what it makes of that."""

from processors.arrivals import Arrivals
from processors.pace import WINDOW_NS, MeasuredPace
from processors.ports import FullPace

HERE = ("frames", 3)
MS = 1_000_000


class Worker:
    """Takes a frame every 40 ms, each so and so long after it was there; the clock moves with it."""

    def __init__(self, budget_ms: int) -> None:
        self.now_ns = 10**18
        self.offset = 0
        self.pace = MeasuredPace(budget_ms, lambda: self.now_ns)

    def run(self, seconds: float, late_ms: int, waiting: int = 0) -> None:
        for _ in range(round(seconds * 25)):
            self.now_ns += 40 * MS
            self.offset += 1
            self.pace.done("gate", (*HERE, self.offset), self.now_ns - late_ms * MS, 0, 2)
            self.look(waiting)

    def look(self, waiting: int) -> None:
        ends = {HERE: (self.offset + 1 + waiting, self.offset + 1, self.offset)}
        self.pace.look(ends, {"gate"}, self.now_ns / 1e9)


def test_frames_that_come_out_late_raise_the_level_and_quick_ones_lower_it() -> None:
    worker = Worker(500)
    worker.run(5, 100)
    assert worker.pace.level("gate") == 0
    worker.run(5, 900)
    assert worker.pace.level("gate") > 0
    assert worker.pace.details()["shed_level"] == worker.pace.level("gate")
    assert worker.pace.details()["latency_p95_ms"] == 900
    worker.run(120, 100)
    assert worker.pace.level("gate") == 0


def test_records_that_wait_in_the_log_count_from_their_arrival() -> None:
    worker = Worker(500)
    worker.run(5, 20)
    worker.pace.look({HERE: (10_000, worker.offset + 1, worker.offset)}, {"gate"}, worker.now_ns / 1e9)
    worker.run(2, 20, waiting=1000)
    assert worker.pace.level("gate") > 0, "each was taken at once, and had been there for long"


def test_where_nothing_comes_out_the_record_that_waits_speaks() -> None:
    worker = Worker(500)
    worker.run(1, 20)
    for _ in range(20):
        worker.now_ns += WINDOW_NS // 10
        worker.look(5)
    assert worker.pace.level("gate") > 0


def test_without_a_budget_it_only_measures() -> None:
    worker = Worker(0)
    worker.run(20, 60_000)
    assert worker.pace.level("gate") == 0
    assert worker.pace.details() == {"latency_p95_ms": 60_000, "latency_budget_ms": 0, "shed_level": 0}
    assert FullPace().level("gate") == 0


def test_a_camera_that_is_gone_is_forgotten() -> None:
    worker = Worker(500)
    worker.run(5, 900)
    assert worker.pace.level("gate") > 0
    worker.pace.look({}, (), worker.now_ns / 1e9)
    assert worker.pace.level("gate") == 0
    assert worker.pace.details()["latency_p95_ms"] == 0


def test_arrivals_are_by_partition() -> None:
    arrivals = Arrivals()
    arrivals.seen(HERE, 5, 0, 1)
    arrivals.seen(("frames", 4), 5, 0, 2)
    assert (arrivals.at(HERE, 0), arrivals.at(("frames", 4), 0)) == (1, 2)
