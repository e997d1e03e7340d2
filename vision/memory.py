"""What a network that remembers nothing itself is given back with a camera's next picture, and when that is forgotten.

It survives `msgspec.json` bit for bit, so that a camera resumed from a saved state goes on as if nothing had happened.
"""

import math
from typing import Final, TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]

FORGOTTEN_NS: Final = 2_000_000_000
"""without a picture for so long it is another scene, and memories of the old one mislead"""
_LESSON_NS: Final = 30_000_000_000
"""A memory is empty again at each such time of capture. It fades but never quite ends: without this a state could not
be found again from another beginning, as replays must."""
FLOAT: Final = np.dtype("<f4")


class Memory(Struct, frozen=True):
    """`kept`: little-endian float32 of the picture that was captured at `seen_ns`."""

    kept: bytes
    seen_ns: int


def forgotten(seen_ns: int, captured_ns: int) -> bool:
    """Whether what was kept of a picture is gone by the time of another."""
    return captured_ns - seen_ns > FORGOTTEN_NS or captured_ns // _LESSON_NS != seen_ns // _LESSON_NS


def remembered(values: Floats, captured_ns: int) -> Memory:
    return Memory(values.astype(FLOAT).tobytes(), captured_ns)


def recalled(memory: Memory | None, captured_ns: int, shape: tuple[int, ...]) -> Floats:
    """For the picture of that time: zeros where there is nothing, nothing recent, or what another network kept."""
    size = math.prod(shape) * FLOAT.itemsize
    if memory is None or len(memory.kept) != size or forgotten(memory.seen_ns, captured_ns):
        return np.zeros(shape, np.float32)
    return np.frombuffer(memory.kept, FLOAT).astype(np.float32).reshape(shape)
