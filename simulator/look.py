"""How light falls and what the camera adds: one frozen record per variant and seed."""

import math
from typing import Literal, TypeAlias, get_args

import msgspec
import numpy as np

from simulator.arrays import Colour, Floats, stream

Variant: TypeAlias = Literal["day", "night", "rain", "dusk"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)


class Look(msgspec.Struct, frozen=True):
    """Lighting, weather and camera of one scene.

    `sun` is a unit vector towards the light; `ambient` and `direct` are per-channel factors on a surface's
    colour; `shadow` is what is left of the light in a cast shadow (1 = no shadow); `haze_length` metres.
    """

    variant: Variant
    sun: tuple[float, float, float]
    ambient: tuple[float, float, float]
    direct: tuple[float, float, float]
    shadow: float
    shadow_blur: float
    sky_top: Colour
    sky_low: Colour
    haze: Colour
    haze_length: float
    lamps: bool
    wet: float
    noise: float
    streaks: float
    gain: float
    drift: float
    drift_period: float


def random_look(seed: int, variant: Variant) -> Look:
    """The look of one seed under one variant."""
    rng = stream(seed, "look", variant)
    u = rng.uniform
    azimuth = float(u(0, 2 * math.pi))
    elevation = math.radians({"day": u(32, 62), "dusk": u(9, 16), "rain": 75.0, "night": 80.0}[variant])
    sun = (
        math.cos(elevation) * math.cos(azimuth),
        math.cos(elevation) * math.sin(azimuth),
        math.sin(elevation),
    )
    warm = float(u(-0.03, 0.05))
    common = {"drift": float(u(0.01, 0.03)), "drift_period": float(u(9.0, 25.0))}
    if variant == "day":
        cloudy = bool(rng.random() < 0.3)
        strength = float(u(0.15, 0.3) if cloudy else u(0.4, 0.6))
        base = float(u(0.66, 0.78) if cloudy else u(0.5, 0.6))
        sky: Colour = (176, 188, 200) if cloudy else (96 + int(u(0, 30)), 150 + int(u(0, 20)), 214)
        return Look(
            variant=variant,
            sun=sun,
            ambient=(base * (1 - warm), base, base * (1.05 + warm)),
            direct=(strength * (1.05 + warm), strength, strength * (0.92 - warm)),
            shadow=0.8 if cloudy else float(u(0.42, 0.58)),
            shadow_blur=2.2 if cloudy else 0.8,
            sky_top=sky,
            sky_low=(216, 224, 230),
            haze=(205, 214, 222),
            haze_length=float(u(350, 900)),
            lamps=False,
            wet=0.0,
            noise=float(u(1.2, 2.6)),
            streaks=0.0,
            gain=float(u(0.94, 1.06)),
            **common,
        )
    if variant == "dusk":
        base = float(u(0.34, 0.44))
        return Look(
            variant=variant,
            sun=sun,
            ambient=(base * 0.98, base * 0.92, base * 1.12),
            direct=(0.50, 0.33, 0.19),
            shadow=0.72,
            shadow_blur=1.6,
            sky_top=(74, 84, 128),
            sky_low=(236, 168, 112),
            haze=(168, 134, 122),
            haze_length=float(u(220, 420)),
            lamps=True,
            wet=0.0,
            noise=float(u(2.2, 3.6)),
            streaks=0.0,
            gain=float(u(0.95, 1.08)),
            **common,
        )
    if variant == "rain":
        base = float(u(0.56, 0.66))
        return Look(
            variant=variant,
            sun=sun,
            ambient=(base * 0.95, base, base * 1.05),
            direct=(0.08, 0.08, 0.08),
            shadow=0.78,
            shadow_blur=2.6,
            sky_top=(134, 142, 150),
            sky_low=(172, 178, 184),
            haze=(160, 167, 174),
            haze_length=float(u(200, 380)),
            lamps=True,
            wet=float(u(0.5, 0.9)),
            noise=float(u(2.0, 3.4)),
            streaks=float(u(0.5, 1.0)),
            gain=float(u(0.92, 1.04)),
            **common,
        )
    base = float(u(0.15, 0.21))
    return Look(
        variant=variant,
        sun=sun,
        ambient=(base * 0.98, base * 0.95, base * 1.15),
        direct=(0.03, 0.03, 0.03),
        shadow=0.75,
        shadow_blur=2.0,
        sky_top=(10, 13, 24),
        sky_low=(34, 34, 44),
        haze=(30, 30, 38),
        haze_length=float(u(200, 400)),
        lamps=True,
        wet=float(u(0.0, 0.3)),
        noise=float(u(3.0, 5.0)),
        streaks=0.0,
        gain=float(u(0.95, 1.15)),
        **common,
    )


def haze_share(look: Look, distance: float) -> float:
    """How much of the haze's colour covers something at a distance (metres)."""
    return 1.0 - math.exp(-distance / look.haze_length)


def lit(look: Look, colour: Floats, normals: Floats) -> Floats:
    """Colours [F, 3] of faces with unit normals [F, 3] under the look's light, before haze."""
    facing = np.clip(normals @ np.array(look.sun), 0.0, 1.0)[:, None]
    # The sky lights what looks up more than what looks down.
    dome = (0.72 + 0.28 * normals[:, 2:3]) * np.array(look.ambient)
    return np.asarray(colour * (dome + facing * np.array(look.direct)))
