"""A body's joints at one moment: walking legs and reaching arms by two-bone inverse kinematics.

Own frame: x forward, y left, z up, metres, the origin on the floor below the pelvis.
"""

import math
from typing import Final

import msgspec
import numpy as np

from simulator.arrays import Floats

#: The 18 keypoints in OpenPose's order: COCO's 17 and the neck, halfway between the shoulders.
KEYPOINTS: Final = (
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "right_eye", "left_eye",
    "right_ear", "left_ear",
)  # fmt: skip
NOSE, NECK, R_SHOULDER, R_ELBOW, R_WRIST, L_SHOULDER, L_ELBOW, L_WRIST = range(8)
R_HIP, R_KNEE, R_ANKLE, L_HIP, L_KNEE, L_ANKLE, R_EYE, L_EYE, R_EAR, L_EAR = range(8, 18)
FACE: Final = (NOSE, R_EYE, L_EYE, R_EAR, L_EAR)

Vector = tuple[float, float, float]

#: Measures in shares of the stature (Drillis and Contini's segment lengths, rounded).
_HIP, _THIGH, _SHIN, _ANKLE = 0.531, 0.245, 0.246, 0.042
_SHOULDER, _UPPER, _FORE = 0.815, 0.172, 0.152
_HIP_HALF = 0.055
HEAD: Final = 0.925
#: A cycle of two steps takes this distance; a foot rests on the floor for this share of it.
CYCLE: Final = 0.82
_REST: Final = 0.6


class Stance(msgspec.Struct, frozen=True):
    """How somebody holds himself.

    `stride`: distance walked so far (metres), which drives legs and arms; `pace`: 0 standing to 1 walking. `hands`:
    right and left wrist in statures, own frame; `swing`: how much of the walk's swing each arm takes. `lean` bends
    forward, `gaze` turns the head left and down (radians); `sway` shifts the weight to a side (-1 to 1).
    """

    stride: float = 0.0
    pace: float = 0.0
    hands: tuple[Vector, Vector] = ((0.03, -0.15, 0.48), (0.03, 0.15, 0.48))
    swing: tuple[float, float] = (1.0, 1.0)
    lean: float = 0.02
    gaze: tuple[float, float] = (0.0, 0.1)
    sway: float = 0.0


class Joints(msgspec.Struct, frozen=True):
    """`points` [18, 3] in the order of KEYPOINTS; `toes` and `knuckles` [2, 3], right and left; `head` [3], its
    centre; `facing` [3], where the face looks (unit); `crown` [3], up out of the head (unit)."""

    points: Floats
    toes: Floats
    knuckles: Floats
    head: Floats
    facing: Floats
    crown: Floats


def joints(stature: float, shoulders: float, stance: Stance) -> Joints:
    """The joints of a body of this stature (metres); `shoulders`: half their distance, in statures."""
    phase = stance.stride / (CYCLE * stature)
    bob = -0.012 * stance.pace * math.cos(4 * math.pi * phase) - 0.012 * stance.pace
    shift = 0.018 * stance.sway * (1 - stance.pace)
    pelvis = np.array([0.0, shift, _HIP + bob])
    points = np.zeros((18, 3))
    toes = np.zeros((2, 3))
    knuckles = np.zeros((2, 3))
    lean = stance.lean + 0.05 * stance.pace
    forward = np.array([math.sin(lean), 0.0, math.cos(lean)])  # up along the spine
    chest = pelvis + forward * (_SHOULDER - _HIP)
    twist = -0.12 * stance.pace * math.cos(2 * math.pi * phase)
    for k, side in enumerate((-1.0, 1.0)):
        hip = pelvis + np.array([0.0, side * _HIP_HALF, 0.0])
        ankle, pitch = _foot(phase + (0.5 if side > 0 else 0.0), stance.pace)
        ankle[1] = side * (_HIP_HALF * 0.9) + 0.3 * shift
        knee, ankle = _bent(hip, ankle, _THIGH, _SHIN, np.array([1.0, side * 0.12, 0.0]))
        toes[k] = ankle + np.array([math.cos(pitch) * 0.095, side * 0.018, -0.022 - math.sin(pitch) * 0.06])
        shoulder = chest + np.array([side * -twist * shoulders, side * shoulders, 0.0])
        swing = 0.15 * stance.pace * stance.swing[k] * math.cos(2 * math.pi * phase) * side
        wrist = np.array(stance.hands[k]) + np.array([swing, 0.0, abs(swing) * 0.25 + max(swing, 0.0) * 0.3])
        wrist = wrist + np.array([0.0, shift, 0.0])
        elbow, wrist = _bent(shoulder, wrist, _UPPER, _FORE, np.array([-0.8, side * 0.45, -0.5]))
        knuckles[k] = wrist + (wrist - elbow) * (0.055 / _FORE)
        base = R_SHOULDER if side < 0 else L_SHOULDER
        points[base : base + 3] = shoulder, elbow, wrist
        base = R_HIP if side < 0 else L_HIP
        points[base : base + 3] = hip, knee, ankle
    points[NECK] = (points[R_SHOULDER] + points[L_SHOULDER]) / 2
    turn, nod = stance.gaze
    facing = np.array([math.cos(turn) * math.cos(nod), math.sin(turn) * math.cos(nod), -math.sin(nod)])
    left = np.array([-math.sin(turn), math.cos(turn), 0.0])
    crown = np.cross(facing, left)
    head = chest + np.array([0.012 + 0.04 * math.sin(lean), 0.0, HEAD - _SHOULDER])
    for place, ahead, aside, up in (
        (NOSE, 0.064, 0.0, -0.008),
        (R_EYE, 0.053, -0.021, 0.014),
        (L_EYE, 0.053, 0.021, 0.014),
        (R_EAR, -0.004, -0.05, 0.0),
        (L_EAR, -0.004, 0.05, 0.0),
    ):
        points[place] = head + facing * ahead + left * aside + crown * up
    return Joints(points * stature, toes * stature, knuckles * stature, head * stature, facing, crown)


def _foot(phase: float, pace: float) -> tuple[Floats, float]:
    """Ankle (statures) and the foot's pitch: it rests on the floor while the body passes over it, then swings."""
    step = CYCLE * _REST * min(1.0, pace)
    part = phase % 1.0
    if part < _REST:
        return np.array([step * (0.5 - part / _REST), 0.0, _ANKLE]), 0.0
    ahead = (part - _REST) / (1 - _REST)
    eased = ahead * ahead * (3 - 2 * ahead)
    lift = 0.06 * pace * math.sin(math.pi * ahead)
    pitch = pace * (0.8 * (1 - ahead) - 0.25 * ahead) * math.sin(math.pi * min(1.0, ahead + 0.25))
    return np.array([step * (eased - 0.5), 0.0, _ANKLE + lift]), pitch


def _bent(root: Floats, wanted: Floats, upper: float, lower: float, pole: Floats) -> tuple[Floats, Floats]:
    """Middle joint and end of two bones from `root` towards `wanted`, bent towards `pole`; law of cosines."""
    away = wanted - root
    reach = float(np.sqrt(away @ away))
    unit = away / max(reach, 1e-9)
    reach = min(max(reach, abs(upper - lower) + 1e-3), (upper + lower) * 0.998)
    along = (upper**2 - lower**2 + reach**2) / (2 * reach)
    height = math.sqrt(max(upper**2 - along**2, 0.0))
    across = pole - unit * float(pole @ unit)
    across = across / max(float(np.sqrt(across @ across)), 1e-9)
    return root + unit * along + across * height, root + unit * reach
