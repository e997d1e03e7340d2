"""A scene's geometry as a camera's analysis: what a person would have configured for this view."""

from typing import Any

import msgspec

from schemas.analysis import Analysis, GroundPoint, LineRule, Point, RedLightRule, Rule, Signal, ZoneRule
from simulator.truth import Geometry

SIGNAL = "main"
#: What is counted and can run a red light.
VEHICLES = ("car", "van", "bus", "two_wheeler")


def spec(geometry: Geometry, *, zones: bool = False, **settings: Any) -> Analysis:
    """Counting lines, red-light rule, signal and ground calibration of one scene.

    `zones` adds a rule for pedestrians on the crossing (the truth has no events for it). Other settings (model,
    sample_fps ...) go to the analysis as they are.
    """
    rules: list[Rule] = [
        LineRule(name=line.name, start=_inside(line.start), end=_inside(line.end), labels=VEHICLES)
        for line in geometry.lines
    ]
    stop = geometry.stop_line
    rules.append(
        RedLightRule(name=stop.name, signal=SIGNAL, start=_inside(stop.start), end=_inside(stop.end), labels=VEHICLES)
    )
    if zones:
        polygon = tuple(_inside(point) for point in geometry.zones["crossing"])
        rules.append(ZoneRule(name="crossing", polygon=polygon, labels=("pedestrian",)))
    left, top, right, bottom = geometry.signal_region
    return Analysis(
        signals=(Signal(name=SIGNAL, region=(left, top, right, bottom)),),
        rules=tuple(rules),
        ground=tuple(GroundPoint(image=_inside(point.picture), metres=point.metres) for point in geometry.ground),
        **settings,
    )


def analysis_yaml(geometry: Geometry, **settings: Any) -> dict[str, Any]:
    """The same as plain values, to be written as YAML or JSON."""
    plain: dict[str, Any] = msgspec.to_builtins(spec(geometry, **settings))
    return plain


def _inside(point: Point) -> Point:
    return min(max(point[0], 0.0), 1.0), min(max(point[1], 0.0), 1.0)
