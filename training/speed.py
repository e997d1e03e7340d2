"""How much faster one graph is than another. Needs ONNX Runtime."""

import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct
from numpy.typing import NDArray
from onnx import ModelProto

from training.trial import session

Feed = Mapping[str, NDArray[Any]]
"""all of a model's inputs, of one picture"""
_WARM: Final = 50
_TIMED: Final = 500


class Speed(Struct, frozen=True):
    """Medians of one picture on one thread, CPU milliseconds; the two take turns."""

    float32_ms: float
    int8_ms: float
    times_faster: float


def speed(float32: ModelProto, int8: ModelProto, feeds: Sequence[Feed]) -> Speed:
    """CPU time, not the wall's: on a machine that does other things too, that is what the two can be compared by."""
    sessions = [session(model.SerializeToString()) for model in (float32, int8)]
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(_WARM + _TIMED):
        feed = dict(feeds[turn % len(feeds)])
        for running, taken in zip(sessions, times, strict=True):
            begun = time.process_time_ns()
            running.run(None, feed)
            if turn >= _WARM:
                taken.append((time.process_time_ns() - begun) / 1e6)
    slow, quick = (statistics.median(taken) for taken in times)
    return Speed(round(slow, 3), round(quick, 3), round(slow / quick, 2))
