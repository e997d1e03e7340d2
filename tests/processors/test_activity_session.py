"""A camera whose analysis asks what its scene is doing: the session carries the network's state and resumes with it."""

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from processors.chain import Chain
from processors.ports import FakeDetector, Observation, SceneContract
from schemas.analysis import ActivityWatch, Analysis
from schemas.messages import Checkpoint, Detections, End, Event, FailedWindow
from tests.processors.walk import ANALYSIS, CONTRACT, Walk, clip, find_square, numbered

SCENE = SceneContract("watcher", "7", 48, 32, ("left", "right"), 3, 12.5)
"""every second picture"""
WATCHED = msgspec.structs.replace(ANALYSIS, activity=ActivityWatch("watcher", 0.16))
END = End("cam", "s1", 40)


def look(image: NDArray[np.uint8], h: NDArray[np.float32], c: NDArray[np.float32]) -> Observation:
    """Where the square is: by this picture and by half of what was before. `c` counts the pictures."""
    assert image.shape == (32, 48, 3)
    _, xs = np.nonzero((image[..., 0] > 140) & (image[..., 1] < 120))
    place = np.float32(xs.mean() / 48 if len(xs) else 0.5)
    h = (h + np.array([place, 0, 1 - place], np.float32)) / np.float32(2)
    return Observation(np.array([h[2], h[0]], np.float32), h, c + np.float32(1), "7")


def detector() -> FakeDetector:
    made = FakeDetector(CONTRACT, find_square)
    made.watching = (SCENE, look)
    return made


def told(walk: Walk) -> list[Event]:
    return [event for event in walk.of(Event) if isinstance(event, Event) and event.kind == "activity"]


async def test_a_change_becomes_an_event_of_the_model_that_said_it() -> None:
    walk = await Walk(detector=detector()).run([*numbered(clip(analysis=WATCHED)), (900, END)])
    events = told(walk)
    assert [event.details["activity"] for event in events] == ["left", "right", "left"]
    assert [event.details["before"] for event in events] == ["", "left", "right"]
    assert {(event.provenance.model, event.provenance.model_version) for event in events} == {("watcher", "7")}
    assert {m.provenance.model for m in walk.of(Detections) if isinstance(m, Detections)} == {"square"}
    for event in events:
        assert event.captured_ns - int(event.details["since_ns"]) >= 160_000_000


async def test_resumed_at_any_keyframe_it_tells_the_same() -> None:
    records = [*numbered(clip(analysis=WATCHED)), (900, END)]
    whole = await Walk(detector=detector()).run(records)
    for keyframe in (10, 20, 30):
        upto, offset = records[: keyframe + 1], records[keyframe][0]
        first = await Walk(detector=detector()).run(upto)
        saved = first.publisher.checkpoints["cam"]
        assert saved.offset == offset
        rest = await Walk(detector=detector()).run([r for r in records if r[0] >= offset], saved)
        assert first.table() | rest.table() == whole.table()
        assert len(told(first)) + len(told(rest)) == len(told(whole))


async def test_the_network_sees_its_own_rate_and_its_own_state() -> None:
    units = clip(analysis=WATCHED)
    walk = await Walk(detector=detector()).run(numbered(units)[:31])
    state = msgspec.json.decode(walk.publisher.checkpoints["cam"].state)["chain"]["activity"]
    counted = np.frombuffer(msgspec.json.decode(msgspec.json.encode(state["c"]), type=bytes), "<f4")
    parts = {int(unit.captured_ns * SCENE.fps // 1_000_000_000) for unit in units[:30]}
    assert counted.tolist() == [float(len(parts))] * 3
    assert len(parts) < 20


async def test_a_network_that_nobody_serves_fails_the_windows_and_says_so() -> None:
    walk = await Walk().run([*numbered(clip(20, analysis=WATCHED)), (900, END)])
    failed = [message for message in walk.of(FailedWindow) if isinstance(message, FailedWindow)]
    assert [window.reason for window in failed] == ["model watcher is not served"] * 2
    assert not walk.of(Detections)


async def test_where_nobody_asks_not_a_byte_is_different() -> None:
    assert b"activity" not in msgspec.json.encode(Analysis())
    walk = await Walk(detector=detector()).run(numbered(clip())[:11])
    saved = walk.publisher.checkpoints["cam"]
    assert isinstance(saved, Checkpoint)
    assert saved.state
    assert "activity" not in saved.state


def test_a_state_with_and_one_without_it_come_back() -> None:
    plain, watching = (Chain("cam", msgspec.json.encode(analysis)) for analysis in (ANALYSIS, WATCHED))
    for chain in (plain, watching):
        assert chain.load(chain.save(chain.initial())) == chain.initial()


@pytest.mark.parametrize("hold", [-1, 61])
def test_a_hold_out_of_range_is_refused(hold: float) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"\$\.activity\.hold_seconds"):
        msgspec.json.decode(b'{"activity": {"hold_seconds": %d}}' % hold, type=Analysis)
