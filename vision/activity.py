"""What a camera's scene is doing, over time: carries a recurrent network's state and says when the answer changes.

The network is served (`training/fusion/contract.py`); it remembers nothing itself. Whoever asks it keeps this `State`
per camera, which survives `msgspec.json` bit for bit, so that a camera resumed from a saved state goes on as if nothing
had happened.
"""

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from vision.memory import FLOAT, FORGOTTEN_NS, Floats, forgotten


class State(Struct, frozen=True):
    """`h` and `c` are little-endian float32, empty before the first picture. `activity` is what was said last and since
    when, `candidate` what has been answered of late and since when; empty: nothing yet."""

    h: bytes = b""
    c: bytes = b""
    seen_ns: int = 0
    activity: str = ""
    since_ns: int = 0
    candidate: str = ""
    candidate_ns: int = 0


class Answer(Struct, frozen=True):
    """The network's, of one picture: `probabilities` [classes], `h` and `c` [size] to be carried on."""

    captured_ns: int
    probabilities: Floats
    h: Floats
    c: Floats


class Change(Struct, frozen=True):
    """Another activity, told once it has held; `before` is empty for the first. Times are of pictures."""

    activity: str
    since_ns: int
    told_ns: int
    before: str
    before_ns: int


def initial() -> State:
    return State()


def due(state: State, captured_ns: int, fps: float) -> bool:
    """Whether the network is to see this picture: the first of each of `fps` parts of a second. Which ones that are
    depends on times alone, not on where a reading began."""
    return state.seen_ns == 0 or _part(captured_ns, fps) != _part(state.seen_ns, fps)


def memory(state: State, captured_ns: int, size: int) -> tuple[Floats, Floats]:
    """h and c [size] for the picture of that time: what the network answered last, or zeros where there is nothing,
    nothing recent, or what another network said."""
    if forgotten(state.seen_ns, captured_ns) or {len(state.h), len(state.c)} != {size * FLOAT.itemsize}:
        return np.zeros(size, np.float32), np.zeros(size, np.float32)
    h, c = (np.frombuffer(kept, FLOAT).astype(np.float32) for kept in (state.h, state.c))
    return h, c


def step(
    state: State, answer: Answer, labels: tuple[str, ...], hold_seconds: float = 0.75
) -> tuple[State, Change | None]:
    """An activity is told once all pictures of `hold_seconds` have agreed on it. Answers come in the order of capture.

    Raises ValueError where there are not as many probabilities as labels, or one is no number.
    """
    if answer.probabilities.shape != (len(labels),) or not np.isfinite(answer.probabilities).all():
        raise ValueError(f"{answer.probabilities} for the activities {', '.join(labels)}")
    said, now = labels[int(answer.probabilities.argmax())], answer.captured_ns
    resumed = state.seen_ns > 0 and now - state.seen_ns <= FORGOTTEN_NS
    candidate_ns = state.candidate_ns if resumed and said == state.candidate else now
    after = replace(
        state,
        h=answer.h.astype(FLOAT).tobytes(),
        c=answer.c.astype(FLOAT).tobytes(),
        seen_ns=now,
        candidate=said,
        candidate_ns=candidate_ns,
    )
    if said == state.activity or now - candidate_ns < hold_seconds * 1e9:
        return after, None
    change = Change(said, candidate_ns, now, state.activity, state.since_ns)
    return replace(after, activity=said, since_ns=candidate_ns), change


def _part(captured_ns: int, fps: float) -> int:
    return int(captured_ns * fps // 1_000_000_000)
