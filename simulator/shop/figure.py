"""Somebody's build and clothes, and the rounded pieces that a picture of him is painted of."""

import colorsys
from typing import Final

import msgspec
import numpy as np

from simulator.arrays import Colour, Floats, Ints
from simulator.shop import skeleton as at
from simulator.shop.skeleton import Joints

_SKIN: Final[tuple[Colour, ...]] = (
    (240, 204, 178), (228, 182, 150), (206, 156, 122), (170, 118, 88), (126, 84, 62), (92, 62, 48),
)  # fmt: skip
_HAIR: Final[tuple[Colour, ...]] = (
    (30, 25, 23), (52, 38, 30), (92, 64, 42), (158, 122, 76), (206, 176, 122), (140, 138, 136), (214, 212, 208),
    (124, 56, 34),
)  # fmt: skip
_LEGS: Final[tuple[Colour, ...]] = (
    (38, 44, 62), (54, 70, 104), (86, 106, 142), (34, 34, 36), (92, 86, 78), (150, 136, 112), (196, 188, 172),
    (66, 74, 58),
)  # fmt: skip

#: Which piece a pixel shows; keypoints are seen where the pieces that meet in them are.
BONES: Final = (
    "torso", "right_arm", "right_forearm", "left_arm", "left_forearm", "right_thigh", "right_shin", "left_thigh",
    "left_shin", "right_foot", "left_foot", "neck", "head", "hair", "thing", "skirt", "right_hand", "left_hand",
)  # fmt: skip
_BONE: Final = {name: place for place, name in enumerate(BONES)}
_MEETING: Final[dict[int, tuple[str, ...]]] = {
    at.NECK: ("torso", "neck"),
    at.R_SHOULDER: ("torso", "right_arm"), at.L_SHOULDER: ("torso", "left_arm"),
    at.R_ELBOW: ("right_arm", "right_forearm"), at.L_ELBOW: ("left_arm", "left_forearm"),
    at.R_WRIST: ("right_forearm", "right_hand"), at.L_WRIST: ("left_forearm", "left_hand"),
    at.R_HIP: ("torso", "right_thigh", "skirt"), at.L_HIP: ("torso", "left_thigh", "skirt"),
    at.R_KNEE: ("right_thigh", "right_shin", "skirt"), at.L_KNEE: ("left_thigh", "left_shin", "skirt"),
    at.R_ANKLE: ("right_shin", "right_foot"), at.L_ANKLE: ("left_shin", "left_foot"),
    **dict.fromkeys((at.NOSE, at.R_EYE, at.L_EYE), ("head",)),
    **dict.fromkeys((at.R_EAR, at.L_EAR), ("head", "hair")),
}  # fmt: skip
#: bool [18, bones]
SHOWS: Final = np.array([[bone in _MEETING[k] for bone in BONES] for k in range(18)])


class Build(msgspec.Struct, frozen=True):
    """What does not change. `stout` scales the girth; `shoulders` half their distance in statures."""

    stature: float
    stout: float
    shoulders: float
    skin: Colour
    hair: Colour
    shirt: Colour
    trim: Colour
    legs: Colour
    shoes: Colour
    thing: Colour
    sleeves: bool
    shorts: bool
    skirt: float
    """how far it reaches below the hip, in statures; 0: none"""
    coat: float
    long_hair: bool
    bald: bool
    striped: bool
    backpack: bool


class Figure(msgspec.Struct, frozen=True):
    """Pieces, each the hull of some balls. `balls` [S, 3] metres in the body's frame, `radii` [S]; piece i is of the
    balls starts[i] to starts[i + 1], of `bones[i]`, in `colours[i]`; `flat` pieces get no light and dark side."""

    balls: Floats
    radii: Floats
    starts: Ints
    bones: Ints
    colours: Floats
    flat: tuple[bool, ...]


def random_build(rng: np.random.Generator) -> Build:
    child = rng.random() < 0.07
    stature = float(rng.uniform(1.15, 1.45) if child else np.clip(rng.normal(1.7, 0.09), 1.5, 1.95))
    kind = rng.random()
    return Build(
        stature=stature,
        stout=float(rng.uniform(0.88, 1.25)),
        shoulders=float(rng.uniform(0.1, 0.118)),
        skin=_SKIN[int(rng.integers(len(_SKIN)))],
        hair=_HAIR[int(rng.integers(len(_HAIR)))],
        shirt=cloth(rng),
        trim=cloth(rng),
        legs=_LEGS[int(rng.integers(len(_LEGS)))] if rng.random() < 0.75 else cloth(rng),
        shoes=(36, 34, 34) if rng.random() < 0.6 else cloth(rng),
        thing=cloth(rng),
        sleeves=bool(rng.random() < 0.6),
        shorts=bool(kind < 0.15),
        skirt=float(rng.uniform(0.12, 0.34)) if kind > 0.8 else 0.0,
        coat=float(rng.uniform(0.04, 0.2)) if rng.random() < 0.25 else 0.0,
        long_hair=bool(rng.random() < 0.4),
        bald=bool(rng.random() < 0.08),
        striped=bool(rng.random() < 0.25),
        backpack=bool(rng.random() < 0.18),
    )


def cloth(rng: np.random.Generator) -> Colour:
    """A colour that something is dyed in: any hue, seldom shrill; often grey, black or white."""
    if rng.random() < 0.35:
        level = int(rng.choice([28, 52, 96, 150, 200, 232]) + rng.integers(-12, 13))
        return level, level, min(255, level + int(rng.integers(0, 10)))
    r, g, b = colorsys.hsv_to_rgb(float(rng.random()), float(rng.uniform(0.2, 0.85)), float(rng.uniform(0.25, 0.95)))
    return int(255 * r), int(255 * g), int(255 * b)


class _Pieces:
    def __init__(self, stature: float) -> None:
        self._h = stature
        self.balls: list[Floats] = []
        self.radii: list[float] = []
        self.starts: list[int] = [0]
        self.bones: list[int] = []
        self.colours: list[Colour] = []
        self.flat: list[bool] = []

    def add(self, bone: str, colour: Colour, *balls: tuple[Floats, float], flat: bool = False) -> None:
        """Radii in statures."""
        for point, radius in balls:
            self.balls.append(point)
            self.radii.append(radius * self._h)
        self.starts.append(len(self.balls))
        self.bones.append(_BONE[bone])
        self.colours.append(colour)
        self.flat.append(flat)


def figure(build: Build, joints: Joints, holds: float, bag: bool, carries: bool) -> Figure:
    """The pieces of one moment. `holds`: 0 to 1, a garment is held up before the body; `bag`: one hangs in the right
    hand; `carries`: something lies over the left forearm."""
    h, stout, p = build.stature, build.stout, joints.points
    pieces = _Pieces(h)
    wide = 0.058 * stout
    spine = p[at.NECK] - (p[at.R_HIP] + p[at.L_HIP]) / 2
    for side, (shoulder, elbow, wrist), (hip, knee, ankle) in (
        ("right", p[at.R_SHOULDER : at.R_SHOULDER + 3], p[at.R_HIP : at.R_HIP + 3]),
        ("left", p[at.L_SHOULDER : at.L_SHOULDER + 3], p[at.L_HIP : at.L_HIP + 3]),
    ):
        k = 0 if side == "right" else 1
        pieces.add(f"{side}_thigh", build.legs, (hip, 0.056 * stout), (knee, 0.036))
        below = build.skin if build.shorts or build.skirt else build.legs
        pieces.add(f"{side}_shin", below, (knee, 0.033), (knee * 0.6 + ankle * 0.4, 0.032), (ankle, 0.022))
        pieces.add(
            f"{side}_foot", build.shoes, (ankle - np.array([0.01 * h, 0, 0.018 * h]), 0.024), (joints.toes[k], 0.019)
        )
        pieces.add(f"{side}_arm", build.shirt, (shoulder - spine * 0.03, 0.034 * stout), (elbow, 0.026 * stout))
        arm = build.shirt if build.sleeves or build.coat else build.skin
        pieces.add(f"{side}_forearm", arm, (elbow, 0.0245 * stout), (wrist, 0.0175))
        pieces.add(
            f"{side}_hand", build.skin, (wrist * 0.7 + joints.knuckles[k] * 0.3, 0.017), (joints.knuckles[k], 0.015)
        )
    _trunk(pieces, build, joints, spine, wide)
    _head(pieces, build, joints, spine)
    if holds > 0:
        _garment(pieces, build, joints, holds)
    if bag:
        hand = joints.knuckles[0]
        low = np.array([0.0, 0.0, -0.17 * h])
        width = np.array([0.065 * h, 0.0, 0.0])
        pieces.add("thing", build.trim, (hand + low * 0.35 - width, 0.018), (hand + low * 0.35 + width, 0.018),
                   (hand + low - width, 0.02), (hand + low + width, 0.02))  # fmt: skip
        pieces.add("thing", build.trim, (hand, 0.006), (hand + low * 0.3, 0.006), flat=True)
    if carries:
        middle = (p[at.L_ELBOW] + p[at.L_WRIST]) / 2
        across = (p[at.L_WRIST] - p[at.L_ELBOW]) * 0.32
        down = np.array([0.0, 0.0, -0.17 * h])
        pieces.add("thing", build.thing, (middle - across, 0.03), (middle + across, 0.03),
                   (middle - across * 0.9 + down, 0.022), (middle + across * 0.9 + down, 0.022))  # fmt: skip
    return Figure(
        np.array(pieces.balls), np.array(pieces.radii), np.array(pieces.starts), np.array(pieces.bones),
        np.array(pieces.colours, float), tuple(pieces.flat),
    )  # fmt: skip


def _trunk(pieces: _Pieces, build: Build, joints: Joints, spine: Floats, wide: float) -> None:
    h, p = build.stature, joints.points
    shoulders = [p[k] * 0.86 + p[at.NECK] * 0.14 - spine * 0.1 for k in (at.R_SHOULDER, at.L_SHOULDER)]
    hips = [p[k] for k in (at.R_HIP, at.L_HIP)]
    waist = [s * 0.42 + w * 0.58 for s, w in zip(shoulders, hips, strict=True)]
    low = np.array([0.0, 0.0, -build.coat * h])
    balls = [(s, wide) for s in shoulders] + [(w, wide * 0.98) for w in waist] + [(b + low, wide) for b in hips]
    pieces.add("torso", build.shirt, *balls)
    if build.striped:
        for share in (0.2, 0.42, 0.64):
            band = [s * (1 - share) + b * share for s, b in zip(shoulders, hips, strict=True)]
            # a hair nearer to whoever looks from any side than the torso's own middle
            pieces.add("torso", build.trim, *((b, wide * 1.02) for b in band), flat=True)
    if build.skirt:
        hem = np.array([0.0, 0.0, -build.skirt * h])
        knees = [p[k] for k in (at.R_KNEE, at.L_KNEE)]
        ends = [b * 0.6 + (b * [0, 1, 1] + k * [1, 0, 0]) * 0.4 + hem for b, k in zip(hips, knees, strict=True)]
        pieces.add("skirt", build.legs, *((b, 0.056 * build.stout) for b in hips), *((e, 0.07) for e in ends))
    if build.backpack:
        back = np.array([-0.075 * h, 0.0, 0.0])
        top, bottom = p[at.NECK] - spine * 0.12 + back, p[at.NECK] - spine * 0.62 + back
        pieces.add("thing", build.trim, (top, 0.05), (bottom, 0.062))


def _head(pieces: _Pieces, build: Build, joints: Joints, spine: Floats) -> None:
    h, p, face, crown, head = build.stature, joints.points, joints.facing, joints.crown, joints.head
    collar = p[at.NECK] - spine * 0.03
    pieces.add("neck", build.skin, (collar, 0.03), (head - crown * 0.045 * h, 0.028))
    pieces.add(
        "head", build.skin, (head + crown * 0.016 * h, 0.052), (head - crown * 0.026 * h + face * 0.01 * h, 0.04)
    )
    if not build.bald:
        pieces.add(
            "hair", build.hair, (head + crown * 0.028 * h - face * 0.014 * h, 0.054), (head - face * 0.02 * h, 0.05)
        )
        pieces.add("hair", build.hair, (head + crown * 0.062 * h + face * 0.012 * h, 0.026),
                   (head + crown * 0.058 * h - face * 0.03 * h, 0.03))  # fmt: skip
    if build.long_hair:
        pieces.add("hair", build.hair, (head - face * 0.026 * h, 0.048),
                   (p[at.NECK] * 0.7 + head * 0.3 - face * 0.042 * h, 0.042))  # fmt: skip
    darker = (int(build.skin[0] * 0.78), int(build.skin[1] * 0.7), int(build.skin[2] * 0.68))
    pieces.add("head", darker, (p[at.NOSE], 0.0085), (p[at.NOSE] + crown * 0.014 * h, 0.005), flat=True)
    for eye in (at.R_EYE, at.L_EYE):
        pieces.add("head", (52, 42, 38), (p[eye] - face * 0.003 * h, 0.0055), flat=True)
    lips = head + face * 0.055 * h - crown * 0.03 * h
    pieces.add("head", (150, 70, 66), (lips, 0.007), flat=True)


def _garment(pieces: _Pieces, build: Build, joints: Joints, holds: float) -> None:
    """Held by its shoulders in both hands, hanging before the body."""
    h = build.stature
    right, left = joints.knuckles
    down = np.array([0.004, 0.0, -(0.12 + 0.2 * holds) * h])
    ahead = np.array([0.012 * h, 0.0, 0.0])
    out = (left - right) * 0.28
    pieces.add("thing", build.thing, (right + ahead, 0.012), (left + ahead, 0.012),
               (right + ahead + down - out * 0.1, 0.014), (left + ahead + down + out * 0.1, 0.014))  # fmt: skip
    for hand, way in ((right, -out), (left, out)):
        pieces.add("thing", build.thing, (hand + ahead + down * 0.06, 0.018), (hand + ahead + way + down * 0.5, 0.014))
