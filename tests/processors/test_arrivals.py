"""When waiting records arrived, from nothing but the log's ends."""

from processors.arrivals import Arrivals

HERE = ("frames", 3)


def test_a_record_has_arrived_when_the_end_was_first_seen_behind_it() -> None:
    arrivals = Arrivals()
    arrivals.seen(HERE, 10, 0, 1_000)
    arrivals.seen(HERE, 10, 0, 2_000)
    arrivals.seen(HERE, 15, 4, 3_000)
    assert [arrivals.at(HERE, offset) for offset in (4, 9, 10, 14)] == [1_000, 1_000, 3_000, 3_000]
    assert arrivals.at(HERE, 15) is None, "it is not there yet"
    assert arrivals.at(("frames", 4), 0) is None


def test_what_is_done_and_what_is_assigned_no_more_is_forgotten() -> None:
    arrivals = Arrivals()
    arrivals.seen(HERE, 10, 0, 1_000)
    arrivals.seen(HERE, 20, 10, 2_000)
    assert arrivals.at(HERE, 12) == 2_000
    arrivals.keep(set())
    assert arrivals.at(HERE, 12) is None
