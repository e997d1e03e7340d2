"""Paints placed objects onto a picture: faces, limbs, shadows, glows."""

import cv2
import numpy as np
import numpy.typing as npt

from simulator.arrays import Floats, Mask, Picture
from simulator.look import Look, haze_share, lit
from simulator.placement import Placed

_SHIFT = 4
_ONE = 1 << _SHIFT
#: Light maps are stored in 1/64: 64 leaves the ground as it is.
NEUTRAL = 64
_LAMP_TINT = np.array([1.0, 0.82, 0.58])
_SHINE: dict[str, tuple[float, float, float]] = {
    "head": (255.0, 248.0, 226.0),
    "tail": (250.0, 40.0, 34.0),
    "left": (255.0, 164.0, 30.0),
    "right": (255.0, 164.0, 30.0),
    "sign": (255.0, 190.0, 60.0),
}


def paint_body(picture: Picture, thing: Placed, look: Look, lamp_light: float) -> None:
    """Paint a solid body; `lamp_light` is the street lamps' light where it stands."""
    mesh = thing.mesh
    assert mesh is not None
    shown = thing.facing & (mesh.sides * thing.eye_left >= 0)
    if thing.box[3] - thing.box[1] < 26:
        shown &= ~mesh.detail
    index = np.nonzero(shown)[0]
    base = mesh.colours[index]
    normals = mesh.normals[index]
    colours = lit(look, base, normals @ thing.rotation().T)
    if lamp_light > 0:
        colours += base * (lamp_light * _LAMP_TINT) * (0.75 + 0.25 * normals[:, 2:3])
    haze = haze_share(look, thing.depth)
    colours = np.minimum(colours * (1 - haze) + np.array(look.haze) * haze, 255)
    # The outline first: it closes hairline seams between neighbouring faces.
    cv2.fillConvexPoly(picture, _fixed(thing.outline), (colours.mean(axis=0) * 0.5).tolist(), cv2.LINE_AA, _SHIFT)
    corners = _fixed(thing.pixels)[mesh.faces[index]]
    counts = mesh.counts[index].tolist()
    for k, (i, colour) in enumerate(zip(index.tolist(), colours.tolist(), strict=True)):
        lamp = mesh.lit_by[i]
        if lamp and lamp in thing.lamps_on:
            colour = _SHINE[lamp]
        cv2.fillConvexPoly(picture, corners[k, : counts[k]], colour, cv2.LINE_AA, _SHIFT)


def _fixed(points: Floats) -> npt.NDArray[np.int32]:
    """Pixels as OpenCV's fixed-point integers, kept within what it can draw."""
    return np.asarray(np.rint(np.minimum(np.maximum(points, -4000), 12000) * _ONE), dtype=np.int32)


def paint_limbs(picture: Picture, thing: Placed, look: Look, lamp_light: float) -> None:
    """Paint a figure of round limbs."""
    light = np.array(look.ambient) * 0.86 + np.array(look.direct) * 0.45
    light = light + lamp_light * _LAMP_TINT
    haze = haze_share(look, thing.depth)
    colours = np.clip(thing.colours * light * (1 - haze) + np.array(look.haze) * haze, 0, 255)
    fixed = _fixed(thing.pixels).tolist()
    widths = np.maximum(1, np.round(2 * thing.radii)).astype(int).tolist()
    for (a, b), width, radius, colour in zip(fixed, widths, thing.radii.tolist(), colours.tolist(), strict=True):
        if a == b or abs(a[0] - b[0]) + abs(a[1] - b[1]) < _ONE // 2:
            cv2.circle(picture, a, max(1, int(radius * _ONE)), colour, -1, cv2.LINE_AA, _SHIFT)
        else:
            cv2.line(picture, a, b, colour, width, cv2.LINE_AA, _SHIFT)


def stamp(ids: Mask, thing: Placed, value: int, scale: float) -> int:
    """Write an object's outline into the visibility map; returns how many cells it covers there."""
    if thing.mesh is not None:
        cv2.fillConvexPoly(ids, _fixed(thing.outline * scale), value, cv2.LINE_8, _SHIFT)
    else:
        points = _fixed(thing.pixels * scale).tolist()
        for (a, b), radius in zip(points, (thing.radii * scale).tolist(), strict=True):
            cv2.line(ids, a, b, value, max(1, round(2 * radius)), cv2.LINE_8, _SHIFT)
    h, w = ids.shape
    x1, y1 = max(0, int(thing.box[0] * scale) - 2), max(0, int(thing.box[1] * scale) - 2)
    x2, y2 = min(w, int(thing.box[2] * scale) + 3), min(h, int(thing.box[3] * scale) + 3)
    if x2 <= x1 or y2 <= y1:
        return 0
    return int(np.count_nonzero(ids[y1:y2, x1:x2] == value))


def shade_ground(light: Picture, outline: Floats, scale: float, level: tuple[float, float, float]) -> None:
    """Paint one shadow (or light) outline, given in picture pixels, into the small light map."""
    if len(outline) < 3:
        return
    cv2.fillConvexPoly(light, _fixed(outline * scale), level, cv2.LINE_AA, _SHIFT)


class Glow:
    """Adds soft lights; kernels are kept by size."""

    def __init__(self) -> None:
        self._kernels: dict[tuple[int, int], npt.NDArray[np.float32]] = {}

    def add(
        self, picture: Picture, centre: tuple[float, float], radius: float, colour: tuple[float, float, float],
        strength: float, stretch: float = 1.0,
    ) -> None:  # fmt: skip
        """Add a round (or downward stretched) light around a pixel."""
        rx = max(2, int(radius))
        ry = max(2, int(radius * stretch))
        h, w = picture.shape[:2]
        cx, cy = int(centre[0]), int(centre[1] + (ry - rx if stretch > 1 else 0))
        x1, x2, y1, y2 = max(0, cx - rx), min(w, cx + rx + 1), max(0, cy - ry), min(h, cy + ry + 1)
        if x2 <= x1 or y2 <= y1:
            return
        kernel = self._kernel(rx, ry)[y1 - cy + ry : y2 - cy + ry, x1 - cx + rx : x2 - cx + rx]
        light = (kernel[..., None] * (np.array(colour, np.float32) * np.float32(strength))).astype(np.uint8)
        region = picture[y1:y2, x1:x2]
        cv2.add(region, light, dst=region)

    def _kernel(self, rx: int, ry: int) -> npt.NDArray[np.float32]:
        key = (rx, ry)
        if key not in self._kernels:
            y, x = np.mgrid[-ry : ry + 1, -rx : rx + 1]
            square = (x / rx) ** 2 + (y / ry) ** 2
            kernel = np.exp(-square * 3.2) * np.clip(1.3 * (1 - square), 0, 1)
            self._kernels[key] = kernel.astype(np.float32)
        return self._kernels[key]
