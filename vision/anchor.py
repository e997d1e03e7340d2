"""Where a box stands."""

import math
from typing import Final

from schemas.messages import Box
from vision.geometry import Vec
from vision.scene import Earlier, Scene

_JITTER: Final = 0.06
"""sizes: how far a standing object's box wanders; a twentieth is usual, small detectors on large pictures do worse"""
_LEAST: Final = 0.003
"""picture heights"""


def anchor(box: Box | Earlier) -> Vec:
    """The middle of the lower edge, where the object touches the ground; pixels."""
    return (box.x1 + box.x2) / 2, box.y2


def margin(box: Box | Earlier, scene: Scene) -> float:
    """How far beyond a border an anchor must be, in pixels, to be taken for over it."""
    size = math.sqrt(max(0.0, (box.x2 - box.x1) * (box.y2 - box.y1)))
    return max(_JITTER * size, _LEAST * scene.height)
