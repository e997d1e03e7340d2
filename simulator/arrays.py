"""Names for the array types that the simulator passes around."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

#: uint8 [H, W, 3], channels in the order red, green, blue.
Picture: TypeAlias = npt.NDArray[np.uint8]
#: uint8 [H, W]
Mask: TypeAlias = npt.NDArray[np.uint8]
#: float64 of any shape; each user states it.
Floats: TypeAlias = npt.NDArray[np.float64]
#: int of any shape.
Ints: TypeAlias = npt.NDArray[np.int64]
#: red, green, blue, each 0..255.
Colour: TypeAlias = tuple[int, int, int]


def stream(seed: int, *names: str) -> np.random.Generator:
    """An independent random generator for one purpose of one seed.

    Separate purposes draw from separate generators, so that a change in one (say, one more tree)
    does not shift what another draws (say, the traffic).
    """
    words = [seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF]
    words += [int.from_bytes(name.encode()[:8].ljust(8, b"\0"), "little") & 0xFFFFFFFF for name in names]
    words += [len(name) * 7919 + sum(name.encode()) for name in names]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))
