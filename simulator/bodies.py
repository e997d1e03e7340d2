"""Cars, vans and buses as meshes, each a little different."""

import numpy as np

from simulator.actors import Label
from simulator.arrays import Colour, Floats
from simulator.mesh import Mesh, inset

_PAINTS: tuple[Colour, ...] = (
    (228, 229, 230), (208, 210, 212), (165, 168, 172), (118, 122, 128), (62, 65, 70), (32, 33, 36), (28, 30, 34),
    (146, 28, 32), (178, 44, 38), (34, 62, 122), (46, 92, 150), (28, 44, 76), (44, 84, 62), (196, 176, 140),
    (122, 86, 58), (214, 170, 46), (86, 132, 148), (110, 28, 48), (224, 120, 44), (70, 100, 60),
)  # fmt: skip
_LIVERIES: tuple[tuple[Colour, Colour], ...] = (
    ((196, 38, 40), (236, 236, 234)), ((232, 232, 228), (40, 96, 170)), ((240, 190, 40), (60, 60, 66)),
    ((52, 128, 84), (236, 236, 230)), ((40, 84, 158), (230, 232, 236)), ((206, 208, 210), (200, 60, 40)),
)  # fmt: skip
_GLASS: Colour = (42, 52, 62)
_DARK: Colour = (30, 31, 34)
_HEAD: Colour = (214, 218, 222)
_TAIL: Colour = (122, 20, 22)
_AMBER: Colour = (196, 112, 24)


def body(label: Label, length: float, width: float, style: int) -> Mesh:
    """The mesh of one motor vehicle; `style` seeds its shape and paint."""
    rng = np.random.Generator(np.random.PCG64(style))
    if label == "bus":
        return _bus(length, width, rng)
    if label == "van":
        return _van(length, width, rng)
    return _car(length, width, rng)


def _extrude(mesh: Mesh, profile: list[tuple[float, float]], half: float, shades: list[Colour], side: Colour) -> None:
    """Sweep a convex side profile (x, z; clockwise seen from the left, from rear bottom) over the width."""
    left = np.array([[x, half, z] for x, z in profile])
    right = left * [1, -1, 1]
    mesh.add(right[::-1], side)
    mesh.add(left, side)
    for i, shade in enumerate(shades):
        mesh.add(np.array([left[i], left[i + 1], right[i + 1], right[i]])[::-1], shade)


def _lamps(mesh: Mesh, front: Floats, rear: Floats, size: float, plate: bool = True) -> None:
    """Lights, plates and grille on the front and rear quads (seen from outside)."""
    w = 0.2
    for u, which in (((0.02, w), "left"), ((1 - w, 0.98), "right")):
        mesh.add(inset(front, u, (0.52, 0.9)), _HEAD, lamp="head")
        mirrored = "right" if which == "left" else "left"
        mesh.add(inset(rear, u, (0.45, 0.9)), _TAIL, lamp="tail")
        point = inset(front, u, (0.52, 0.9)).mean(axis=0)
        mesh.glow("head", (float(point[0]) + 0.04, float(point[1]), float(point[2])), size)
        point = inset(rear, u, (0.45, 0.9)).mean(axis=0)
        mesh.glow("tail", (float(point[0]) - 0.04, float(point[1]), float(point[2])), size * 0.6)
        # Seen from the front, the driver's right is on the left.
        corner = inset(front, (u[0], u[1]), (0.38, 0.5))
        mesh.add(corner, _AMBER, detail=True, lamp=mirrored)
        mesh.add(inset(rear, u, (0.28, 0.43)), (150, 78, 30), detail=True, lamp=which)
    mesh.add(inset(front, (0.26, 0.74), (0.45, 0.85)), (38, 40, 43), detail=True)
    mesh.add(inset(front, (0.0, 1.0), (0.0, 0.24)), _DARK, detail=True)
    mesh.add(inset(rear, (0.0, 1.0), (0.0, 0.22)), _DARK, detail=True)
    if plate:
        mesh.add(inset(front, (0.36, 0.64), (0.16, 0.36)), (225, 225, 215), detail=True)
        mesh.add(inset(rear, (0.35, 0.65), (0.42, 0.64)), (225, 225, 215), detail=True)


def _scale(colour: Colour, factor: float) -> Colour:
    return (min(255, int(colour[0] * factor)), min(255, int(colour[1] * factor)), min(255, int(colour[2] * factor)))


def _car(length: float, width: float, rng: np.random.Generator) -> Mesh:
    paint = _PAINTS[int(rng.integers(len(_PAINTS)))]
    kind = str(rng.choice(["hatch", "saloon", "estate", "suv"], p=[0.34, 0.28, 0.16, 0.22]))
    tall = float(rng.uniform(1.42, 1.52)) + (0.16 if kind == "suv" else 0.0)
    belt = 0.64 * tall
    lift = 0.30 if kind == "suv" else 0.24
    h, half = length / 2, width / 2
    boot = {"hatch": 0.06, "saloon": 0.19, "estate": 0.04, "suv": 0.05}[kind] * length
    bonnet = float(rng.uniform(0.23, 0.28)) * length
    rake = float(rng.uniform(0.55, 0.8))
    back_rake = {"hatch": 0.35, "saloon": 0.62, "estate": 0.25, "suv": 0.28}[kind]
    xr0, xf0 = -h + boot, h - bonnet
    nose = belt - float(rng.uniform(0.16, 0.24))
    mesh = Mesh()
    profile = [(-h + 0.04, lift), (-h, 0.5), (-h + 0.06, belt - 0.03), (xr0, belt), (xf0, belt)]
    profile += [(h - 0.16, nose), (h, nose - 0.16), (h - 0.03, lift)]
    lower = _scale(paint, 0.94)
    _extrude(mesh, profile, half, [lower, paint, paint, paint, paint, paint, lower], paint)
    for side in (-half, half):  # sill, door line
        quad = np.array([[-0.3 * length, side, lift], [0.3 * length, side, lift], [0.3 * length, side, 0.5]])
        quad = np.vstack([quad, [[-0.3 * length, side, 0.5]]])
        facing = quad if side < 0 else quad[[1, 0, 3, 2]]
        mesh.add(inset(facing, (0.0, 1.0), (0.0, 0.45)), _scale(paint, 0.55), detail=True)
    for x in (-0.30 * length, 0.31 * length):
        for side in (-half, half):
            mesh.wheel(x, side, 0.31 if kind != "suv" else 0.35)
    bottom, top = half - 0.05, half - 0.23
    xr1, xf1 = xr0 + back_rake, xf0 - rake
    low = np.array([[xr0, -bottom, belt], [xf0, -bottom, belt], [xf0, bottom, belt], [xr0, bottom, belt]])
    high = np.array([[xr1, -top, tall], [xf1, -top, tall], [xf1, top, tall], [xr1, top, tall]])
    sides = {
        "right": np.array([low[0], low[1], high[1], high[0]]),
        "front": np.array([low[1], low[2], high[2], high[1]]),
        "left": np.array([low[2], low[3], high[3], high[2]]),
        "rear": np.array([low[3], low[0], high[0], high[3]]),
    }
    for name, quad in sides.items():
        mesh.add(quad, _scale(paint, 0.92))
        if name in ("left", "right"):
            panes = [(0.07, 0.48), (0.53, 0.92)]
            for u in panes:
                mesh.add(inset(quad, u, (0.08, 0.86)), _GLASS, detail=False)
        else:
            mesh.add(inset(quad, (0.06, 0.94), (0.06, 0.9)), _scale(_GLASS, 1.15))
            mesh.add(inset(quad, (0.1, 0.55), (0.55, 0.86), 0.012), _scale(_GLASS, 1.7), detail=True)
    mesh.add(high, paint)
    mesh.add(inset(high, (0.12, 0.88), (0.15, 0.85)), _scale(paint, 1.06), detail=True)
    if rng.random() < 0.25:
        mesh.add(inset(high, (0.3, 0.75), (0.2, 0.8), 0.012), _scale(_GLASS, 0.8), detail=True)
    mesh.mirrors(xf0 - 0.42, half, belt - 0.02, 0.14, lower)
    front = np.array([[h, -half, lift], [h, half, lift], [h - 0.06, half, nose - 0.05], [h - 0.06, -half, nose - 0.05]])
    rear = np.array(
        [[-h, half, lift], [-h, -half, lift], [-h + 0.04, -half, belt - 0.05], [-h + 0.04, half, belt - 0.05]]
    )
    _lamps(mesh, front, rear, 0.16)
    return mesh.freeze()


def _van(length: float, width: float, rng: np.random.Generator) -> Mesh:
    white = bool(rng.random() < 0.55)
    paint = (226, 227, 228) if white else _PAINTS[int(rng.integers(len(_PAINTS)))]
    tall = float(rng.uniform(2.0, 2.6))
    h, half = length / 2, width / 2
    belt = 1.15
    xf0, xf1 = h - 0.9, h - 1.65
    mesh = Mesh()
    profile = [(-h, 0.3), (-h, tall - 0.12), (-h + 0.14, tall), (xf1, tall), (xf0 + 0.15, belt)]
    profile += [(h - 0.08, 0.92), (h, 0.7), (h - 0.02, 0.3)]
    lower = _scale(paint, 0.93)
    _extrude(mesh, profile, half, [paint, paint, paint, paint, paint, lower, lower], paint)
    windows = bool(rng.random() < 0.4)
    logo = _PAINTS[int(rng.integers(7, len(_PAINTS)))]
    for side in (-half, half):
        for u0, u1, show in ((xf1 - 0.75, xf1 + 0.1, True), (-h + 0.3, xf1 - 1.0, windows)):
            quad = np.array(
                [[u0, side, belt], [u1 + 0.3 * (u1 > xf1), side, belt], [u1, side, tall - 0.3], [u0, side, tall - 0.3]]
            )
            quad = quad if side < 0 else quad[[1, 0, 3, 2]]
            if show:
                mesh.add(inset(quad, (0.03, 0.97), (0.05, 0.95)), _GLASS)
            elif rng.random() < 0.6:
                mesh.add(inset(quad, (0.12, 0.85), (0.1, 0.75)), logo)
        sill = np.array(
            [
                [-0.3 * length, side, 0.3],
                [0.3 * length, side, 0.3],
                [0.3 * length, side, 0.6],
                [-0.3 * length, side, 0.6],
            ]
        )
        mesh.add(inset(sill if side < 0 else sill[[1, 0, 3, 2]], (0, 1), (0, 0.5)), _scale(paint, 0.5), detail=True)
        for x in (-0.32 * length, 0.33 * length):
            mesh.wheel(x, side, 0.35)
    mesh.mirrors(xf0 - 0.5, half, belt, 0.3, _DARK)
    shield = np.array([[xf0 + 0.15, -half, belt], [xf0 + 0.15, half, belt], [xf1, half, tall], [xf1, -half, tall]])
    mesh.add(inset(shield, (0.05, 0.95), (0.08, 0.82)), _scale(_GLASS, 1.1))
    mesh.add(inset(shield, (0.1, 0.5), (0.5, 0.8), 0.012), _scale(_GLASS, 1.6), detail=True)
    rear = np.array([[-h, half, 0.3], [-h, -half, 0.3], [-h, -half, tall - 0.12], [-h, half, tall - 0.12]])
    for u in ((0.06, 0.47), (0.53, 0.94)):
        if rng.random() < 0.8:
            mesh.add(inset(rear, u, (0.52, 0.86)), _scale(_GLASS, 1.1))
    mesh.add(inset(rear, (0.49, 0.51), (0.1, 0.95)), _scale(paint, 0.55), detail=True)
    front = np.array([[h, -half, 0.3], [h, half, 0.3], [h - 0.06, half, 0.95], [h - 0.06, -half, 0.95]])
    low_rear = np.array([[-h, half, 0.3], [-h, -half, 0.3], [-h, -half, 1.05], [-h, half, 1.05]])
    _lamps(mesh, front, low_rear, 0.17)
    return mesh.freeze()


def _bus(length: float, width: float, rng: np.random.Generator) -> Mesh:
    paint, second = _LIVERIES[int(rng.integers(len(_LIVERIES)))]
    tall = float(rng.uniform(2.95, 3.2))
    h, half = length / 2, width / 2
    mesh = Mesh()
    profile = [(-h, 0.32), (-h, tall - 0.15), (-h + 0.15, tall), (h - 0.2, tall), (h, tall - 0.4), (h, 0.32)]
    _extrude(mesh, profile, half, [paint, paint, second, paint, paint], paint)
    panes = int(rng.integers(6, 9))
    for side in (-half, half):
        quad = np.array([[-h, side, 0.32], [h, side, 0.32], [h, side, tall - 0.1], [-h, side, tall - 0.1]])
        quad = quad if side < 0 else quad[[1, 0, 3, 2]]
        mesh.add(inset(quad, (0.0, 1.0), (0.0, 0.16)), _scale(paint, 0.6), detail=True)
        mesh.add(inset(quad, (0.0, 1.0), (0.24, 0.36)), second)
        mesh.add(inset(quad, (0.02, 0.98), (0.44, 0.84)), _scale(_GLASS, 0.8))
        for i in range(panes):
            u = (0.03 + 0.94 * i / panes, 0.03 + 0.94 * (i + 0.88) / panes)
            mesh.add(inset(quad, u, (0.46, 0.82), 0.014), _scale(_GLASS, 1.0 + 0.25 * float(rng.random())))
        if side < 0:  # doors are on the kerb's side
            for u in ((0.84, 0.94), (0.42, 0.53)):
                mesh.add(inset(quad, u, (0.03, 0.82), 0.018), _scale(_GLASS, 0.9))
        for x in (-0.28 * length, 0.30 * length):
            mesh.wheel(x, side, 0.48)
    mesh.mirrors(h - 0.16, half, 1.7, 0.4, _DARK)
    mesh.box((-0.3 * length, -0.08 * length), (-0.7, 0.7), (tall, tall + 0.22), _scale(second, 0.9))
    mesh.box((0.12 * length, 0.26 * length), (-0.6, 0.6), (tall, tall + 0.18), _scale(second, 0.85))
    face = np.array([[h, -half, 0.32], [h, half, 0.32], [h, half, tall - 0.4], [h, -half, tall - 0.4]])
    mesh.add(inset(face, (0.04, 0.96), (0.34, 0.88)), _scale(_GLASS, 1.1))
    mesh.add(inset(face, (0.18, 0.82), (0.89, 0.99)), (24, 22, 20), detail=True)
    mesh.add(inset(face, (0.3, 0.7), (0.91, 0.97), 0.014), (250, 180, 60), detail=True, lamp="sign")
    back = np.array([[-h, half, 0.32], [-h, -half, 0.32], [-h, -half, tall - 0.15], [-h, half, tall - 0.15]])
    mesh.add(inset(back, (0.1, 0.9), (0.58, 0.86)), _scale(_GLASS, 1.1))
    mesh.add(inset(back, (0.3, 0.7), (0.2, 0.42)), _scale(paint, 0.7), detail=True)
    front = np.array([[h, -half, 0.32], [h, half, 0.32], [h, half, 1.15], [h, -half, 1.15]])
    rear = np.array([[-h, half, 0.5], [-h, -half, 0.5], [-h, -half, 1.3], [-h, half, 1.3]])
    _lamps(mesh, front, rear, 0.2, plate=False)
    return mesh.freeze()
