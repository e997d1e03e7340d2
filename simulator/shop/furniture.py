"""Racks full of clothes, tables with piles, shelves, the counter: painted once, laid over whoever is behind them."""

from typing import Final

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

from simulator.arrays import Colour, Mask, Picture
from simulator.camera import Camera
from simulator.look import Look
from simulator.mesh import Mesh
from simulator.painter import paint_body, stamp
from simulator.placement import Placed
from simulator.shop.figure import cloth
from simulator.shop.floor import Fixture

#: Lamps everywhere above: even light, hardly a direction.
_LIGHT: Final = Look(
    variant="day", sun=(0.28, -0.25, 0.927), ambient=(0.66, 0.66, 0.66), direct=(0.4, 0.4, 0.4), shadow=0.7,
    shadow_blur=1.0, sky_top=(0, 0, 0), sky_low=(0, 0, 0), haze=(0, 0, 0), haze_length=1e9, lamps=False, wet=0.0,
    noise=0.0, streaks=0.0, gain=1.0, drift=0.0, drift_period=1.0,
)  # fmt: skip
_WOOD: Final[tuple[Colour, ...]] = ((196, 160, 116), (140, 98, 64), (226, 224, 220), (70, 66, 64), (120, 122, 126))

Span = tuple[float, float]


class Block(msgspec.Struct, frozen=True):
    """A box in the fixture's frame; `tier`: what is painted later."""

    x: Span
    y: Span
    z: Span
    colour: Colour
    tier: int


class Cover(msgspec.Struct, frozen=True):
    """What a fixture covers: `left` and `top` pixel, its `pixels` there, `alpha` uint8 [h, w, 1] and where it is solid;
    `placed` has depth, box and footprint for the painting order."""

    left: int
    top: int
    pixels: Picture
    alpha: Mask
    solid: npt.NDArray[np.bool_]
    placed: Placed


def furnish(picture: Picture, camera: Camera, scale: int, fixtures: tuple[Fixture, ...]) -> list[Cover]:
    """Paints fixtures into the picture, farthest first, and returns what each covers, `scale` times smaller."""
    eye = camera.position
    ordered = sorted(fixtures, key=lambda f: -((f.x - eye[0]) ** 2 + (f.y - eye[1]) ** 2))
    covers = []
    for fixture in ordered:
        hidden = np.zeros(picture.shape[:2], np.uint8)
        alone = picture.copy()  # what stands before it must not be part of its cover
        for thing in _placed(fixture, camera):
            paint_body(alone, thing, _LIGHT, 0.0)
            stamp(hidden, thing, 255, 1.0)
        cover = _cover(alone, hidden, scale, _whole(fixture, camera, scale))
        if cover:
            covers.append(cover)
        picture[:] = alone
    return covers


def blocks(fixture: Fixture) -> list[Block]:
    """The boxes that a fixture is made of."""
    rng = np.random.Generator(np.random.PCG64(fixture.style))
    wood = _WOOD[int(rng.integers(len(_WOOD)))]
    a, b, h = fixture.length / 2, fixture.width / 2, fixture.height
    if fixture.kind == "counter":
        till = Block((-0.5, -0.15), (-0.16, 0.16), (h, h + 0.28), (52, 54, 58), 2)
        goods = [
            Block((x, x + 0.22), (-0.15, 0.12), (h, h + 0.1), cloth(rng), 2) for x in (0.1, 0.45) if rng.random() < 0.7
        ]
        body = Block((-a, a), (-b, b), (0, h - 0.05), cloth(rng), 0)
        return [body, Block((-a - 0.04, a + 0.04), (-b - 0.04, b + 0.04), (h - 0.05, h), wood, 1), till, *goods]
    if fixture.kind == "rack":
        return _rack(a, b, h, rng)
    if fixture.kind == "table":
        return [
            *(Block((x - 0.03, x + 0.03), (y - 0.03, y + 0.03), (0, h - 0.04), wood, 0)
              for x in (-a + 0.06, a - 0.06) for y in (-b + 0.06, b - 0.06)),
            Block((-a, a), (-b, b), (h - 0.05, h), wood, 1),
            *_piles(a, b, h, 2, rng),
        ]  # fmt: skip
    found = [Block((x - 0.025, x + 0.025), (-b, b), (0, h), wood, 0) for x in (-a, a)]
    for k, z in enumerate(np.linspace(0.15, h - 0.03, 4).tolist()):
        found.append(Block((-a, a), (-b, b), (z, z + 0.03), wood, 1 + 2 * k))
        found += _piles(a, b, z + 0.03, 2 + 2 * k, rng)
    return found


def _rack(a: float, b: float, h: float, rng: np.random.Generator) -> list[Block]:
    metal: Colour = (168, 170, 174) if rng.random() < 0.6 else (44, 44, 46)
    found = [Block((x - 0.02, x + 0.02), (-0.02, 0.02), (0, h), metal, 0) for x in (-a, a)]
    found += [Block((x - 0.02, x + 0.02), (-b, b), (0, 0.04), metal, 0) for x in (-a, a)]
    found.append(Block((-a, a), (-0.015, 0.015), (h - 0.03, h), metal, 1))
    x, colour, drop = -a + 0.05, cloth(rng), float(rng.uniform(0.55, 1.0))
    while x < a - 0.08:
        if rng.random() < 0.3:
            colour, drop = cloth(rng), float(rng.uniform(0.55, 1.0))
        thick = float(rng.uniform(0.035, 0.07))
        half = b * float(rng.uniform(0.78, 0.98))
        tone = float(rng.uniform(0.85, 1.1))
        shade = (min(255, int(colour[0] * tone)), min(255, int(colour[1] * tone)), min(255, int(colour[2] * tone)))
        top = h - 0.05 - float(rng.uniform(0, 0.03))
        found.append(Block((x, x + thick), (-half, half), (max(0.08, top - drop), top), shade, 2))
        x += thick + float(rng.uniform(0.005, 0.05))
    return found


def _piles(a: float, b: float, z: float, tier: int, rng: np.random.Generator) -> list[Block]:
    """Folded clothes in rows."""
    found = []
    x = -a + 0.06
    while x < a - 0.3:
        wide = float(rng.uniform(0.22, 0.3))
        for low, high in ((-b + 0.04, -0.03), (0.03, b - 0.04)):
            level = z
            for _ in range(int(rng.integers(0, 4))):
                thick = float(rng.uniform(0.025, 0.06))
                found.append(Block((x, x + wide), (low, high), (level, level + thick), cloth(rng), tier))
                level += thick
        x += wide + float(rng.uniform(0.02, 0.08))
    return found


def _placed(fixture: Fixture, camera: Camera) -> list[Placed]:
    found = []
    for block in blocks(fixture):
        mesh = Mesh()
        mesh.box(block.x, block.y, block.z, block.colour)
        thing = Placed(0, "post", fixture.x, fixture.y, fixture.heading)
        thing.place_mesh(camera.matrix(), camera.position, mesh.freeze(), fixture.length, fixture.width)
        if thing.depths.min() > 0.5:
            found.append((block.tier, round(block.z[0], 3) if block.tier >= 2 else 0.0, -thing.depth, thing))
    return [each[-1] for each in sorted(found, key=lambda each: each[:3])]


def _whole(fixture: Fixture, camera: Camera, scale: int) -> Placed:
    mesh = Mesh()
    mesh.box(
        (-fixture.length / 2, fixture.length / 2),
        (-fixture.width / 2, fixture.width / 2),
        (0, fixture.height),
        (0, 0, 0),
    )
    thing = Placed(0, "post", fixture.x, fixture.y, fixture.heading)
    thing.place_mesh(camera.matrix(), camera.position, mesh.freeze(), fixture.length, fixture.width)
    thing.box = tuple(v / scale for v in thing.box)  # type: ignore[assignment]
    return thing


def _cover(picture: Picture, hidden: Mask, scale: int, placed: Placed) -> Cover | None:
    h, w = hidden.shape[0] // scale, hidden.shape[1] // scale
    pixels: Picture = np.asarray(cv2.resize(picture, (w, h), interpolation=cv2.INTER_AREA), np.uint8)
    alpha: Mask = np.asarray(cv2.resize(hidden, (w, h), interpolation=cv2.INTER_AREA), np.uint8)
    rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
    if not len(rows):
        return None
    left, top, right, bottom = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    place = slice(top, bottom), slice(left, right)
    return Cover(int(left), int(top), pixels[place].copy(), alpha[place][..., None].copy(), alpha[place] > 127, placed)


def lay(picture: Picture, ids: npt.NDArray[np.uint16], cover: Cover) -> None:
    """The fixture over whoever was painted there before."""
    h, w = cover.solid.shape
    place = slice(cover.top, cover.top + h), slice(cover.left, cover.left + w)
    below = picture[place].astype(np.uint16)
    alpha = cover.alpha.astype(np.uint16)
    picture[place] = ((below * (255 - alpha) + cover.pixels * alpha + 127) // 255).astype(np.uint8)
    ids[place][cover.solid] = 0
