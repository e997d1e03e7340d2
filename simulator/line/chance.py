"""Random numbers of the line: one independent generator for each purpose of each part."""

import numpy as np

#: The order is part of every picture: add at the end.
_PURPOSES = ("design", "pose", "grain", "dust", "glare", "defect", "belt", "light", "noise", "draw", "defective")


def chance(seed: int, purpose: str, number: int = 0) -> np.random.Generator:
    """The generator of one purpose for part, frame or try `number`; others draw nothing from it.

    Whether a part is defective therefore changes nothing else about it.
    """
    words = [seed & 0xFFFFFFFF, seed >> 32, number, _PURPOSES.index(purpose)]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))
