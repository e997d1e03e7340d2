from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from ingest.clock import Anchor, ArrivalClock, CaptureClock, not_before

TB = Fraction(1, 90_000)
NS = 10**9


@given(
    st.integers(-(2**40), 2**40),
    st.integers(1, 2**40),
    st.sampled_from([TB, Fraction(1, 1000), Fraction(1001, 30_000)]),
)
def test_later_pictures_have_later_times(pts: int, ahead: int, time_base: Fraction) -> None:
    clock = CaptureClock(time_base, 0, 10**18)
    assert clock.at(pts + ahead) > clock.at(pts)


def test_time_is_exact() -> None:
    clock = CaptureClock(Fraction(1001, 30_000), 10, NS)
    assert clock.at(10) == NS
    assert clock.at(30_010) == NS + 1001 * NS


def test_jitter_and_one_late_burst_are_no_parting() -> None:
    clock = CaptureClock(TB, 0, 0)
    for picture in range(300):
        late = 3 * NS if picture in range(150, 160) else (picture % 7) * 10_000_000
        clock.observe(picture * 3600, picture * NS // 25 + late)
        assert not clock.parted


def test_a_source_that_stays_late_has_parted() -> None:
    clock = CaptureClock(TB, 0, 0)
    parted = []
    for picture in range(300):
        late = 2 * NS if picture >= 100 else 0
        clock.observe(picture * 3600, picture * NS // 25 + late)
        parted.append(clock.parted)
    assert parted.index(True) in range(200, 230), "five seconds after it became late"
    assert parted[-1]


def test_pictures_from_the_future_have_parted_at_once() -> None:
    clock = CaptureClock(TB, 0, 0)
    clock.observe(0, 0)
    clock.observe(3 * 90_000, NS)
    assert clock.parted


def test_a_burst_at_the_start_was_taken_before() -> None:
    anchor = Anchor(TB)
    arrivals = [10 * NS + 1000 * number for number in range(5)] + [10 * NS + 40_000_000]
    for number, arrival in enumerate(arrivals):
        assert not anchor.settled
        anchor.add(number * 3600, arrival)
    assert anchor.settled
    clock = anchor.clock()
    # the picture that came last in the burst came at once; the others were older by their distance
    assert clock.at(4 * 3600) <= arrivals[4]
    assert clock.at(0) <= arrivals[4] - 4 * NS // 25


def test_a_steady_start_settles_with_the_second_picture() -> None:
    anchor = Anchor(TB)
    anchor.add(0, 0)
    anchor.add(3600, 40_000_000)
    assert anchor.settled


def test_never_before_the_log() -> None:
    clock = CaptureClock(TB, 0, 1000)
    assert not_before(clock, TB, 0, 999) is clock
    later = not_before(clock, TB, 0, 5000)
    assert later.at(0) == 5001


def test_arrival_never_goes_back() -> None:
    clock = ArrivalClock()
    times = []
    for _ in range(50):
        clock.follow()
        times.append(clock.now_ns())
    assert times == sorted(times)
