"""The scene's fixed geometry as the camera sees it: normalised coordinates and ground calibration."""

import numpy as np

from simulator.camera import Camera
from simulator.junction import Junction
from simulator.look import Variant
from simulator.truth import Geometry, GroundPoint, Line, Point

#: A line on the ground, metres: one end, the other, unit vector of the forward crossing.
GroundLine = tuple[Point, Point, Point]
#: Names of the rules that the truth speaks of.
RED_LIGHT, OUTBOUND, INBOUND, CROSS = "red-light", "outbound", "inbound", "cross"


def ground_lines(junction: Junction) -> dict[str, GroundLine]:
    """The stop line of the red-light rule and the lines where vehicles are counted, on the ground."""
    hm, hc, yc = junction.half_main, junction.half_cross, junction.cross_y
    out, home = junction.stop_y + 0.9, junction.stop_y - 1.5
    return {
        RED_LIGHT: ((0.05, junction.stop_y), (hm + 0.3, junction.stop_y), (0.0, 1.0)),
        OUTBOUND: ((0.05, out), (hm + 0.5, out), (0.0, 1.0)),
        INBOUND: ((-hm - 0.5, home), (-0.05, home), (0.0, -1.0)),
        CROSS: ((0.0, yc - hc - 0.4), (0.0, yc + hc + 0.4), (1.0, 0.0)),
    }


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

    def drawn(name: str, a: Point, b: Point, way: Point) -> Line:
        (x1, y1), (x2, y2), (x3, y3) = seen(*a), seen(*b), seen(a[0] + way[0], a[1] + way[1])
        # Forward must lead to the right of start -> end (y points down in the picture).
        rightward = (x2 - x1) * (y3 - y1) * height - (y2 - y1) * height * (x3 - x1) > 0
        start, end = ((x1, y1), (x2, y2)) if rightward else ((x2, y2), (x1, y1))
        return Line(name=name, start=start, end=end, way=way)

    lines = {name: drawn(name, *ends) for name, ends in ground_lines(junction).items()}
    corners = ((-hm, junction.stop_y - 3.0), (hm, junction.stop_y - 3.0), (hm, far), (-hm, far))
    return Geometry(
        seed=seed,
        variant=variant,
        width=width,
        height=height,
        fps=fps,
        stop_line=lines.pop(RED_LIGHT),
        approach=tuple(seen(x, y) for x, y in ((0.0, near), (hm, near), (hm, junction.stop_y), (0.0, junction.stop_y))),
        lanes=lanes,
        lines=tuple(lines.values()),
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
