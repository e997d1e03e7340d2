"""A camera whose detector wants optical flow: the session computes it, and resumes with what is known of the camera."""

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from processors.decoding import GopReader, Reading
from processors.ports import FakeDetector
from schemas.messages import Detections, End
from tests.processors.walk import ANALYSIS, CONTRACT, Walk, clip, find_square, numbered
from vision.optical_flow import GRID, STEPS, Kept, seen

SHAPE = (CONTRACT.height // GRID, CONTRACT.width // GRID, 2 * STEPS)
MOVING = msgspec.structs.replace(CONTRACT, flow=SHAPE, fps=25.0)
END = End("cam", "s1", 40)


class Asked:
    """A detector that keeps what it was shown, and is the surer of the square the more has moved."""

    def __init__(self) -> None:
        self.shown: list[tuple[NDArray[np.uint8], NDArray[np.int8]]] = []
        self.port = FakeDetector(MOVING, find_square)
        self.port.with_beside = self.answer

    def answer(self, image: NDArray[np.uint8], flow: NDArray[np.int8]) -> tuple[NDArray[np.float32], None]:
        assert flow.dtype == np.int8
        self.shown.append((image, flow))
        rows = find_square(image)
        rows[0, 4] = 0.5 + 0.4 * np.float32(np.abs(flow.astype(np.int64)).sum() % 997) / 997
        return rows, None


async def test_every_picture_comes_with_how_things_have_moved_until_then() -> None:
    asked = Asked()
    walk = await Walk(detector=asked.port).run([*numbered(clip(30)), (900, END)])
    assert len(asked.shown) == len(walk.of(Detections)) == 30
    known = None
    for image, flow in asked.shown:
        known = seen(known, image)
        np.testing.assert_array_equal(flow, known.flows)
    assert asked.shown[-1][1].any(), "the square has moved"


async def test_resumed_at_any_keyframe_it_says_the_same() -> None:
    records = [*numbered(clip()), (900, END)]
    whole = await Walk(detector=Asked().port).run(records)
    for keyframe in (10, 20, 30):
        offset = records[keyframe][0]
        first = await Walk(detector=Asked().port).run(records[: keyframe + 1])
        saved = first.publisher.checkpoints["cam"]
        assert saved.offset == offset
        rest = await Walk(detector=Asked().port).run([each for each in records if each[0] >= offset], saved)
        assert first.table() | rest.table() == whole.table()


async def test_a_checkpoint_whose_pictures_cannot_be_read_is_a_cold_start_and_says_so() -> None:
    records = numbered(clip())
    first = await Walk(detector=Asked().port).run(records[:11])
    saved = first.publisher.checkpoints["cam"]
    state = msgspec.json.decode(saved.state)
    state["moving"]["packed"] = "bm9uc2Vuc2U="
    broken = msgspec.structs.replace(saved, state=msgspec.json.encode(state).decode())
    walk = await Walk(detector=Asked().port).run([*records[10:], (900, END)], broken)
    assert walk.session is not None
    assert "what was kept of a camera's pictures cannot be read" in walk.session.cold_start
    assert len(walk.of(Detections)) == 30


async def test_a_detector_that_wants_no_flow_leaves_no_trace_of_it() -> None:
    walk = await Walk().run(numbered(clip())[:11])
    assert "moving" not in walk.publisher.checkpoints["cam"].state


@pytest.mark.parametrize("wants_flow", [True, False])
def test_what_another_detector_left_is_dropped_or_kept_until_the_first_picture(wants_flow: bool) -> None:
    left = Reading(5, Kept(b"", CONTRACT.height, CONTRACT.width, 1, 0))
    contract = MOVING if wants_flow else CONTRACT
    assert GopReader(ANALYSIS, contract, left).reading == (left if wants_flow else Reading(5))
