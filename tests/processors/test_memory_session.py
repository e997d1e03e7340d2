"""A camera whose detector has a memory: the session gives back what it answered last, and resumes with it."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from processors.chain import Chain
from processors.errors import WindowFailedError
from processors.ports import FakeDetector, FakePace
from processors.shedding import KEYFRAMES_ONLY
from schemas.messages import AnalysisLedger, Detections, End, FailedWindow
from tests.processors.walk import ANALYSIS, CONTRACT, Walk, clip, find_square, numbered
from vision.memory import Memory, recalled

SHAPE = (2, 3)
REMEMBERING = msgspec.structs.replace(CONTRACT, memory=SHAPE, fps=12.5)
END = End("cam", "s1", 40)
EVERY = msgspec.structs.replace(ANALYSIS, sample_fps=240.0)


def find(image: NDArray[np.uint8], memory: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The square, surer with each picture that is remembered: an answer out of order would be seen."""
    rows = find_square(image)
    counted = memory + np.float32(1)
    rows[0, 4] = np.float32(0.5) + np.float32(0.01) * counted[0, 0]
    return rows, counted


def detector(*failures: Exception) -> FakeDetector:
    made = FakeDetector(REMEMBERING, find_square, list(failures))
    made.with_beside = find
    return made


def scores(walk: Walk) -> list[float]:
    found = [message for message in walk.of(Detections) if isinstance(message, Detections)]
    return [round(message.boxes[0].score, 2) for message in sorted(found, key=lambda each: each.captured_ns)]


async def test_each_answer_is_given_back_with_the_next_picture() -> None:
    walk = await Walk(detector=detector()).run([*numbered(clip(30, analysis=EVERY)), (900, END)])
    assert scores(walk) == [round(0.5 + 0.01 * count, 2) for count in range(1, 31)]


async def test_it_sees_as_many_pictures_a_second_as_it_has_learnt_from() -> None:
    walk = await Walk(detector=detector()).run([*numbered(clip(40)), (900, END)])
    units = clip(40)
    assert len(scores(walk)) == len({int(unit.captured_ns * 12.5 // 1_000_000_000) for unit in units}) < 25


async def test_resumed_at_any_keyframe_it_says_the_same() -> None:
    records = [*numbered(clip(analysis=EVERY)), (900, END)]
    whole = await Walk(detector=detector()).run(records)
    for keyframe in (10, 20, 30):
        offset = records[keyframe][0]
        first = await Walk(detector=detector()).run(records[: keyframe + 1])
        saved = first.publisher.checkpoints["cam"]
        assert saved.offset == offset
        memory = msgspec.json.decode(
            msgspec.json.encode(msgspec.json.decode(saved.state)["chain"]["memory"]), type=Memory
        )
        assert recalled(memory, memory.seen_ns, SHAPE).tolist() == [[float(keyframe)] * 3] * 2
        rest = await Walk(detector=detector()).run([each for each in records if each[0] >= offset], saved)
        assert first.table() | rest.table() == whole.table()
        assert scores(rest)[0] == round(0.51 + 0.01 * keyframe, 2)


async def test_a_picture_that_is_refused_fails_its_window_and_nothing_more_is_asked_of_it() -> None:
    refusing = detector(WindowFailedError("no such picture"))
    walk = await Walk(detector=refusing).run([*numbered(clip(20, analysis=EVERY)), (900, END)])
    failed = [message for message in walk.of(FailedWindow) if isinstance(message, FailedWindow)]
    assert [window.reason for window in failed] == ["no such picture"]
    assert refusing.calls == 1 + 10
    assert scores(walk) == [round(0.5 + 0.01 * count, 2) for count in range(1, 11)]
    ledgers = [message for message in walk.of(AnalysisLedger) if isinstance(message, AnalysisLedger)]
    assert [(ledger.inferred, ledger.failed) for ledger in ledgers] == [(0, 10), (10, 0)]


async def test_what_is_shed_is_not_remembered() -> None:
    walk = await Walk(detector=detector(), pace=FakePace(KEYFRAMES_ONLY)).run(
        [*numbered(clip(20, analysis=EVERY)), (900, END)]
    )
    assert scores(walk) == [round(0.5 + 0.01 * count, 2) for count in range(1, 12)]


async def test_with_another_configuration_it_begins_with_nothing() -> None:
    other = msgspec.structs.replace(EVERY, min_score=0.2)
    header = msgspec.json.encode(other, order="deterministic")
    units = clip(20, analysis=EVERY)
    units[10] = msgspec.structs.replace(units[10], analysis=header)
    walk = await Walk(detector=detector()).run([*numbered(units), (900, END)])
    assert scores(walk) == 2 * [round(0.5 + 0.01 * count, 2) for count in range(1, 11)]


async def test_a_detector_without_memory_leaves_no_trace_of_one() -> None:
    walk = await Walk().run(numbered(clip())[:11])
    saved = walk.publisher.checkpoints["cam"]
    assert saved.state
    assert "memory" not in saved.state


def test_a_state_with_a_memory_comes_back() -> None:
    chain = Chain("cam", msgspec.json.encode(ANALYSIS))
    state = msgspec.structs.replace(chain.initial(), memory=Memory(b"\x00\x01", 5))
    assert chain.load(chain.save(state)) == state
