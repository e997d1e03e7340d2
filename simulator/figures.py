"""People and two-wheelers: bodies of round limbs, posed for one moment."""

import itertools
import math

import numpy as np

from simulator.arrays import Colour, Floats

#: One limb: from, to (metres, own frame: x forward, y left, z up), radius in metres, colour.
Limb = tuple[tuple[float, float, float], tuple[float, float, float], float, Colour]

_CLOTH: tuple[Colour, ...] = (
    (38, 42, 52), (28, 30, 34), (64, 74, 96), (120, 36, 40), (52, 90, 132), (178, 170, 156), (206, 206, 204),
    (214, 176, 60), (62, 104, 72), (140, 100, 72), (196, 92, 52), (112, 72, 118), (40, 66, 110), (230, 110, 130),
)  # fmt: skip
_SKIN: tuple[Colour, ...] = ((236, 196, 168), (214, 164, 132), (176, 122, 92), (120, 80, 58), (84, 56, 42))
_HAIR: tuple[Colour, ...] = ((32, 26, 24), (72, 50, 36), (150, 112, 66), (128, 126, 124), (50, 36, 30))


def walker(stature: float, style: int, stride: float, moving: bool, rain: bool) -> list[Limb]:
    """A pedestrian; `stride` is the distance walked so far, which drives the legs and arms."""
    rng = np.random.Generator(np.random.PCG64(style))
    h = stature
    coat, trousers = _pick(rng, _CLOTH), _pick(rng, _CLOTH[:7])
    skin, hair = _pick(rng, _SKIN), _pick(rng, _HAIR)
    shoes: Colour = (34, 32, 32) if rng.random() < 0.7 else (210, 208, 204)
    stout = float(rng.uniform(0.9, 1.15))
    phase = stride / (0.82 * h) * math.pi * 1.1
    swing = 0.5 * math.sin(phase) if moving else 0.04
    limbs: list[Limb] = []
    hip, knee = 0.52 * h, 0.26 * h
    for side, s in ((1.0, swing), (-1.0, -swing)):
        y = side * 0.055 * h
        lift = max(0.0, -math.cos(phase) * side) * 0.06 * h if moving else 0.0
        kx = math.sin(s) * knee + 0.02
        fx = math.sin(s) * hip - (0.06 if s < 0 and moving else 0.0)
        limbs.append(((0, y, hip), (kx, y, knee + lift * 0.5), 0.047 * h * stout, trousers))
        limbs.append(((kx, y, knee + lift * 0.5), (fx, y, 0.05 * h + lift), 0.034 * h, trousers))
        limbs.append(((fx - 0.02, y, 0.03 * h + lift), (fx + 0.09 * h, y, 0.025 * h + lift), 0.026 * h, shoes))
    shoulder, hand = 0.81 * h, 0.46 * h
    umbrella = rain and bool(rng.random() < 0.5)
    for side, s in ((1.0, -swing), (-1.0, swing)):
        y = side * 0.125 * h * stout
        if umbrella and side > 0:
            limbs.append(((0, y, shoulder), (0.16, y * 0.8, 0.66 * h), 0.03 * h, coat))
            limbs.append(((0.16, y * 0.8, 0.66 * h), (0.12, y * 0.4, 0.86 * h), 0.027 * h, coat))
            continue
        elbow = (math.sin(s) * 0.16 * h - 0.02, y * 1.12, 0.64 * h)
        end = (math.sin(s) * 0.34 * h + 0.04, y * 1.1, hand)
        limbs.append(((0, y, shoulder - 0.02), elbow, 0.032 * h, coat))
        limbs.append((elbow, end, 0.026 * h, coat))
        limbs.append((end, end, 0.026 * h, skin))
    y = 0.06 * h * stout
    skirt = rng.random() < 0.2
    waist = 0.40 * h if skirt else 0.53 * h
    for side in (-1.0, 1.0):
        limbs.append(((0, side * y, shoulder - 0.02 * h), (0, side * y * 0.8, waist), 0.068 * h * stout, coat))
    if rng.random() < 0.3:
        limbs.append(((-0.1 * h, 0, 0.76 * h), (-0.1 * h, 0, 0.6 * h), 0.075 * h, _pick(rng, _CLOTH)))
    limbs.append(((0, 0, shoulder), (0.01, 0, 0.87 * h), 0.032 * h, skin))
    limbs.append(((0.015, 0, 0.925 * h), (0.015, 0, 0.935 * h), 0.062 * h, skin))
    limbs.append(((-0.012, 0, 0.945 * h), (-0.008, 0, 0.955 * h), 0.061 * h, hair))
    if umbrella:
        cloth = _pick(rng, _CLOTH)
        limbs.append(((0.12, y * 0.4, 0.86 * h), (0.1, 0.03, 1.16 * h), 0.012, (60, 60, 62)))
        for k, r in enumerate((0.30, 0.27, 0.2, 0.1)):
            z = 1.10 * h + 0.05 * k
            shade = 0.75 + 0.1 * k
            tone = (int(cloth[0] * shade), int(cloth[1] * shade), int(cloth[2] * shade))
            limbs.append(((0.1, -r, z), (0.1, r, z), 0.09, tone))
            limbs.append(((0.1 - r, 0, z), (0.1 + r, 0, z), 0.09, tone))
    return limbs


def rider(length: float, style: int, roll: float, rain: bool) -> tuple[list[Limb], bool]:
    """A two-wheeler with its rider, and whether it has a motor (and so lamps); `roll` is the distance ridden."""
    rng = np.random.Generator(np.random.PCG64(style))
    motor = bool(rng.random() < 0.5)
    paint = ((190, 40, 40), (40, 80, 160), (230, 180, 40), (36, 36, 40), (220, 220, 218), (50, 130, 80))
    frame: Colour = paint[int(rng.integers(len(paint)))]
    coat, trousers, skin = _pick(rng, _CLOTH), _pick(rng, _CLOTH[:5]), _pick(rng, _SKIN)
    radius, tyre = (0.30, 0.065) if motor else (0.33, 0.024)
    back, front = -length / 2 + radius + 0.02, length / 2 - radius - 0.02
    limbs: list[Limb] = []
    for x in (back, front):
        ring = [
            (x + radius * math.cos(a), 0.0, radius + 0.02 + radius * math.sin(a))
            for a in np.linspace(0, 2 * math.pi, 13)
        ]
        for p, q in itertools.pairwise(ring):
            limbs.append((p, q, tyre, (26, 26, 28)))
        if motor:
            limbs.append(((x, 0, radius), (x, 0, radius + 0.02), 0.15, (96, 98, 102)))
    crank = (0.0 if motor else -0.05, 0.0, 0.32)
    seat = (-0.22, 0.0, 0.80 if motor else 0.92)
    bar = (front - 0.28, 0.0, 1.0)
    if motor:
        limbs.append(((back, 0, 0.42), (crank[0], 0, 0.42), 0.13, (60, 60, 64)))
        limbs.append(((back - 0.12, 0, 0.74), (0.1, 0, 0.74), 0.13, frame))
        limbs.append(((0.05, 0, 0.76), (0.3, 0, 0.84), 0.15, frame))
        limbs.append(((front, 0, radius), (bar[0], 0, 0.95), 0.05, (70, 70, 74)))
        limbs.append(((bar[0] + 0.1, 0, 0.86), (bar[0] + 0.12, 0, 0.9), 0.11, (214, 218, 222)))
    else:
        for p, q in (
            ((back, 0, 0.35), crank),
            (crank, seat),
            (crank, (bar[0] - 0.05, 0, 0.85)),
            (seat, (bar[0], 0, 0.9)),
        ):
            limbs.append((p, q, 0.025, frame))
        limbs.append(((back, 0, 0.35), seat, 0.02, frame))
        limbs.append(((front, 0, 0.35), bar, 0.022, frame))
    limbs.append(((bar[0], -0.28, 1.02), (bar[0], 0.28, 1.02), 0.022, (40, 40, 42)))
    hip = (seat[0], 0.0, seat[2] + 0.1)
    shoulder = (seat[0] + (0.28 if motor else 0.34), 0.0, seat[2] + 0.62)
    turn = roll / 0.9
    for side in (1.0, -1.0):
        y = side * 0.11
        if motor:
            foot, knee = (0.12, y * 1.3, 0.3), (0.22, y * 1.7, 0.74)
        else:
            a = turn + (math.pi if side < 0 else 0.0)
            foot = (crank[0] + 0.17 * math.cos(a), y, crank[2] + 0.17 * math.sin(a))
            knee = (0.24 + 0.08 * math.cos(a), y * 1.2, 0.72 + 0.1 * math.sin(a))
        limbs.append(((hip[0], y, hip[2]), knee, 0.08, trousers))
        limbs.append((knee, foot, 0.058, trousers))
        limbs.append((foot, (foot[0] + 0.14, foot[1], foot[2] - 0.01), 0.045, (34, 32, 32)))
        arm = (shoulder[0], side * 0.19, shoulder[2] - 0.03)
        elbow = ((shoulder[0] + bar[0]) / 2, side * 0.28, (shoulder[2] + 1.02) / 2 - 0.04)
        limbs.append((arm, elbow, 0.052, coat))
        limbs.append((elbow, (bar[0] - 0.02, side * 0.26, 1.04), 0.044, coat))
    for side in (-0.09, 0.09):
        limbs.append(((shoulder[0], side, shoulder[2]), (hip[0], side * 0.9, hip[2]), 0.115, coat))
    if rng.random() < 0.3:
        limbs.append(
            ((seat[0] - 0.05, 0, seat[2] + 0.55), (seat[0] - 0.18, 0, seat[2] + 0.3), 0.14, _pick(rng, _CLOTH))
        )
    head = (shoulder[0] + 0.08, 0.0, shoulder[2] + 0.24)
    limbs.append((shoulder, head, 0.05, skin))
    limbs.append((head, head, 0.11, skin))
    if motor or rng.random() < 0.6:
        limbs.append(((head[0] - 0.02, 0, head[2] + 0.04), (head[0], 0, head[2] + 0.05), 0.135, _pick(rng, _CLOTH)))
    else:
        limbs.append(((head[0] - 0.02, 0, head[2] + 0.04), (head[0], 0, head[2] + 0.05), 0.11, _pick(rng, _HAIR)))
    return limbs, motor


def arrays(limbs: list[Limb]) -> tuple[Floats, Floats, Floats]:
    """Limbs as (end points [N, 2, 3], radii [N], colours [N, 3])."""
    ends = np.array([(a, b) for a, b, _, _ in limbs], dtype=float)
    radii = np.array([r for _, _, r, _ in limbs], dtype=float)
    colours = np.array([c for _, _, _, c in limbs], dtype=float)
    return ends, radii, colours


def _pick(rng: np.random.Generator, choices: tuple[Colour, ...]) -> Colour:
    return choices[int(rng.integers(len(choices)))]
