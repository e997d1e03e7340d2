"""The scene's fixed geometry as the camera sees it: normalised coordinates and ground calibration."""

import numpy as np

from simulator.camera import Camera
from simulator.junction import Junction
from simulator.look import Variant
from simulator.truth import Geometry, GroundPoint, Line, Point

#: Ground line of each counting line, metres: (a, b, forward direction, its name, the other's name).
GroundLine = tuple[Point, Point, Point, str, str]


def ground_lines(junction: Junction) -> dict[str, GroundLine]:
    """Where vehicles are counted, on the ground."""
    hm, hc, yc = junction.half_main, junction.half_cross, junction.cross_y
    out, home = junction.stop_y + 0.9, junction.stop_y - 1.5
    return {
        "outbound": ((0.05, out), (hm + 0.5, out), (0.0, 1.0), "away", "towards"),
        "inbound": ((-hm - 0.5, home), (-0.05, home), (0.0, -1.0), "towards", "away"),
        "cross": ((0.0, yc - hc - 0.4), (0.0, yc + hc + 0.4), (1.0, 0.0), "right", "left"),
    }


def stop_line(junction: Junction) -> tuple[Point, Point]:
    """Our approach's stop line on the ground."""
    return (0.05, junction.stop_y), (junction.half_main + 0.3, junction.stop_y)


def survey(
    seed: int,
    variant: Variant,
    fps: float,
    junction: Junction,
    camera: Camera,
    region: tuple[float, float, float, float],
) -> Geometry:
    """Geometry of one scene; `region` is the signal head's rectangle in pixels."""
    width, height = camera.picture_width, camera.picture_height

    def seen(x: float, y: float) -> Point:
        pixel = camera.project(np.array([[x, y, 0.0]]))[0][0]
        return round(float(pixel[0]) / width, 5), round(float(pixel[1]) / height, 5)

    hm, hc, yc, w = junction.half_main, junction.half_cross, junction.cross_y, junction.lane_width
    far = 2 * yc - junction.stop_y
    near = junction.stop_y - 5.0
    a, b = stop_line(junction)
    lanes = {}
    for i in range(junction.main_lanes):
        lanes[f"out{i + 1}"] = tuple(seen(x, y) for x, y in ((i * w, near), ((i + 1) * w, near),
                                     ((i + 1) * w, junction.stop_y), (i * w, junction.stop_y)))  # fmt: skip
        lanes[f"in{i + 1}"] = tuple(seen(-x, y) for x, y in (((i + 1) * w, near), (i * w, near),
                                    (i * w, junction.stop_y), ((i + 1) * w, junction.stop_y)))  # fmt: skip
    crossing = junction.near_crossing
    zones = {
        "junction": tuple(seen(x, y) for x, y in ((-hm, yc - hc), (hm, yc - hc), (hm, yc + hc), (-hm, yc + hc))),
        "crossing": tuple(
            seen(x, y) for x, y in ((-hm, crossing[0]), (hm, crossing[0]), (hm, crossing[1]), (-hm, crossing[1]))
        ),
    }
    lines = tuple(
        Line(name=name, a=seen(*p), b=seen(*q), forward=way, label_forward=there, label_backward=back)
        for name, (p, q, way, there, back) in ground_lines(junction).items()
    )
    corners = ((-hm, junction.stop_y - 3.0), (hm, junction.stop_y - 3.0), (hm, far), (-hm, far))
    return Geometry(
        seed=seed,
        variant=variant,
        width=width,
        height=height,
        fps=fps,
        stop_line=(seen(*a), seen(*b)),
        approach=tuple(seen(x, y) for x, y in ((0.0, near), (hm, near), (hm, junction.stop_y), (0.0, junction.stop_y))),
        lanes=lanes,
        lines=lines,
        zones=zones,
        signal_region=(
            round(region[0] / width, 5),
            round(region[1] / height, 5),
            round(region[2] / width, 5),
            round(region[3] / height, 5),
        ),
        ground=tuple(GroundPoint(picture=seen(x, y), metres=(round(x, 3), round(y, 3))) for x, y in corners),
        horizon=round(camera.horizon_row() / height, 5),
    )
