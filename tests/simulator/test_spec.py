"""The analysis of a scene, held against the truth with true boxes instead of a detector's."""

import av
import numpy as np
import pytest

from schemas.analysis import LineRule, RedLightRule
from schemas.messages import Box
from simulator.actors import LABELS
from simulator.look import Variant
from simulator.scene import Scene
from simulator.spec import VEHICLES, analysis_yaml, spec
from simulator.survey import RED_LIGHT
from simulator.truth import Truth
from vision import signal, trajectories
from vision.geometry import homography, to_ground
from vision.rules import line, red_light
from vision.scene import Fact
from vision.scene import Scene as Seen

pytestmark = pytest.mark.timeout(120)

FPS = 8.0


def test_plain_values_are_the_analysis() -> None:
    geometry = Scene(1, "day", 320, 180).geometry
    plain = analysis_yaml(geometry, zones=True, model="other", sample_fps=5.0)
    assert plain["model"] == "other"
    assert [rule["name"] for rule in plain["rules"]] == ["outbound", "inbound", "cross", RED_LIGHT, "crossing"]
    assert plain["signals"][0]["name"] == "main"
    assert len(plain["ground"]) == 4
    assert set(VEHICLES) < set(LABELS)


@pytest.mark.parametrize("seed", range(8))
def test_ground_calibration_gives_metres(seed: int) -> None:
    scene = Scene(seed, "day", 320, 180)
    analysis = spec(scene.geometry)
    mapping = homography(analysis.ground)
    assert mapping is not None
    for x, y in ((1.0, 20.0), (-2.0, 30.0), (3.0, 60.0)):
        pixel = scene.camera.project(np.array([[x, y, 0.0]]))[0][0]
        metres = to_ground(mapping, (float(pixel[0]) / 320, float(pixel[1]) / 180))
        assert metres == pytest.approx((x, y), abs=0.15)


def test_rules_on_true_boxes_find_what_the_truth_tells() -> None:
    violations = 0
    for seed in (1, 12):
        scene = Scene(seed, "day", 320, 180, fps=FPS)
        analysis = spec(scene.geometry)
        truths = [scene.observe() for _ in range(round(36 * FPS))]
        mapping = homography(analysis.ground)
        seen = [_seen(truth, mapping) for truth in truths]
        for rule in analysis.rules:
            expected = {
                (e.track, e.direction): e
                for truth in truths
                for e in truth.events
                if e.rule == rule.name and e.box_time_s is not None and 1.0 < e.box_time_s < 34.0
            }
            facts = _facts(rule, seen)
            within = {key: fact for key, fact in facts.items() if 1.0 < int(fact.details["crossed_ns"]) / 1e9 < 34.0}
            if isinstance(rule, RedLightRule):
                violations += len(expected)
            assert within.keys() == expected.keys(), (seed, rule.name)
            for key, event in expected.items():
                assert int(within[key].details["crossed_ns"]) / 1e9 == pytest.approx(event.box_time_s, abs=0.2)
                if isinstance(rule, LineRule) and rule.name != "cross" and event.speed > 4:
                    assert float(within[key].details["speed"]) == pytest.approx(event.speed, rel=0.35)
    assert violations >= 2


def _seen(truth: Truth, mapping: object) -> Seen:
    boxes = tuple(
        Box(o.label, 1.0, *o.full_box, track=str(o.track)) for o in truth.objects if o.label in VEHICLES and o.visible
    )
    at = round(truth.time_s * 1e9)
    return Seen("cam", at, 320, 180, boxes, {"main": truth.phases["main"]}, ground=mapping)  # type: ignore[arg-type]


def _facts(rule: object, frames: list[Seen]) -> dict[tuple[int, str], Fact]:
    found: list[Fact] = []
    ways, moved = trajectories.initial(), []
    for frame in frames:
        ways, frame = trajectories.step(ways, frame)
        moved.append(frame)
    if isinstance(rule, RedLightRule):
        light = red_light.initial()
        for frame in moved:
            light, facts = red_light.step(light, frame, rule)
            found += facts
    elif isinstance(rule, LineRule):
        count = line.initial()
        for frame in moved:
            count, facts = line.step(count, frame, rule)
            found += facts
    return {(int(fact.track), str(fact.details["direction"])): fact for fact in found}


@pytest.mark.parametrize("variant", ["day", "night", "rain", "dusk"])
def test_the_signal_is_read_from_the_picture(variant: Variant) -> None:
    phases = set()
    for seed in (1, 3):
        scene = Scene(seed, variant, 640, 360, fps=2.0)
        region = spec(scene.geometry).signals[0].region
        for _ in range(7):
            picture, truth = scene.frame()
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            assert signal.read(frame, region) == truth.phases["main"]
            phases.add(truth.phases["main"])
            scene.skip(2.2)
    assert phases == {"red", "amber", "green"}
