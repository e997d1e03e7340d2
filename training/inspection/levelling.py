"""How much may be asked of the locator where one threshold is asked of both networks: by a shift of its logits."""

from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

_SHIFTS: Final = np.arange(-8, 8.01, 0.25)
_ALIKE: Final = 0.005
"""of good parts: smaller gains are chance"""


class Level(Struct, frozen=True):
    """What the shift gave where it was chosen: shares of good parts, `missed` of the defective ones being missed."""

    shift: float
    passed: float
    alarms: float
    missed: float


def level(
    screen: NDArray[np.floating], locator: NDArray[np.floating], defective: NDArray[np.bool_], missed: float
) -> Level:
    """Of the worst logits [n] of parts: the shift by which most good parts pass at once where the share `missed` of
    the defective ones is missed by both; of those that let as many pass, the lowest: it clears most of the others."""
    levels = [_at(float(shift), screen, locator, defective, missed) for shift in _SHIFTS]
    most = max(each.passed for each in levels)
    return next(each for each in levels if each.passed >= most - _ALIKE)


def _at(
    shift: float,
    screen: NDArray[np.floating],
    locator: NDArray[np.floating],
    defective: NDArray[np.bool_],
    missed: float,
) -> Level:
    scores = np.minimum(screen, locator + shift)
    bad = np.sort(scores[defective])
    threshold = bad[int(missed * len(bad))]
    good = ~defective
    return Level(
        shift=shift,
        passed=round(float((screen[good] < threshold).mean()), 4),
        alarms=round(float((scores[good] >= threshold).mean()), 4),
        missed=round(float((bad < threshold).mean()), 5),
    )
