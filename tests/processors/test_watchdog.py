import threading
import time
from typing import cast

from faust.types import TP

from processors.app import build_app
from processors.commit_points import CommitPoints
from processors.watchdog import LoopWatch, StuckDetector
from runtime.config import Settings

HERE = ("frames", 3)


def test_a_position_that_stands_while_records_wait_is_stuck() -> None:
    detector = StuckDetector(60)
    assert not detector.observe(HERE, 100, 110, 0.0, waiting=False)
    assert not detector.observe(HERE, 100, 200, 59.0, waiting=False)
    assert detector.observe(HERE, 100, 200, 60.0, waiting=False)
    assert detector.observe(HERE, 100, 200, 61.0, waiting=False)


def test_progress_waiting_and_a_silent_camera_are_not() -> None:
    detector = StuckDetector(60)
    assert not any(detector.observe(HERE, 100 + i, 1000 + i, 30.0 * i, waiting=False) for i in range(10))
    assert not any(detector.observe(HERE, 200, 1000 + i, 400 + 30.0 * i, waiting=True) for i in range(10))
    assert not any(detector.observe(HERE, 300, 300, 900 + 30.0 * i, waiting=False) for i in range(10))


def test_what_was_assigned_before_counts_from_anew() -> None:
    detector = StuckDetector(60)
    detector.observe(HERE, 100, 110, 0.0, waiting=False)
    detector.keep(set())
    assert not detector.observe(HERE, 100, 200, 100.0, waiting=False)


def test_a_loop_that_stands_is_given_up_and_one_that_ticks_is_not() -> None:
    given_up = threading.Event()
    watch = LoopWatch(given_up.set, pause_seconds=0.02)
    watch.start()
    for _ in range(20):
        watch.tick()
        time.sleep(0.02)
    assert not given_up.is_set()
    assert given_up.wait(5)


def test_a_watch_that_is_stopped_gives_nothing_up() -> None:
    given_up = threading.Event()
    watch = LoopWatch(given_up.set, pause_seconds=0.01)
    watch.start()
    watch.stop()
    assert not given_up.wait(0.3)


async def test_before_the_thread_that_fetches_has_begun_nothing_is_assigned() -> None:
    """On a slow machine the first looks come before it. They used to end the looking, and with it the worker."""

    async def nothing(*_: object) -> None:
        return None

    app = build_app("early", Settings(kafka="127.0.0.1:1"), cast(CommitPoints, None), nothing)
    assert app.consumer.assignment() == set()
    assert app.consumer.highwater(TP("frames", 0)) is None
    app.consumer._thread.thread_loop.close()  # type: ignore[attr-defined]
