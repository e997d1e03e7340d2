"""The truth holds: against geometry, against the signal, against the pixels."""

from functools import cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from simulator.actors import LABELS
from simulator.arrays import Picture
from simulator.look import VARIANTS, Variant
from simulator.scene import Scene
from simulator.survey import ground_lines
from simulator.truth import EventTruth, Truth

pytestmark = pytest.mark.timeout(120)

SIZE = (480, 270)
RATE = 6.0


@cache
def watched(seed: int, seconds: int = 33, fps: float = RATE) -> tuple[Scene, list[Truth]]:
    """More than one whole signal cycle."""
    scene = Scene(seed, "day", 320, 180, fps=fps)
    return scene, [scene.observe() for _ in range(round(seconds * fps))]


def violations(seed: int) -> list[EventTruth]:
    return [e for truth in watched(seed)[1] for e in truth.events if e.kind == "red_light"]


@pytest.mark.parametrize("seed", [1, 12])
def test_boxes_lie_in_the_picture_and_fractions_make_sense(seed: int) -> None:
    for truth in watched(seed)[1]:
        tracks = [o.track for o in truth.objects]
        assert len(tracks) == len(set(tracks))
        for o in truth.objects:
            x1, y1, x2, y2 = o.box
            assert 0 <= x1 < x2 <= 320
            assert 0 <= y1 < y2 <= 180
            assert o.full_box[0] <= x1 + 0.01
            assert o.full_box[3] >= y2 - 0.01
            assert 0 <= o.visible <= 1
            assert 0 <= o.occluded <= 1
            assert o.visible <= 1 - o.occluded + 1e-3
            assert o.label in LABELS
            assert 0 <= o.speed < 25
            if o.visible_box:
                assert o.visible_box[0] >= x1 - 0.01
                assert o.visible_box[2] <= x2 + 0.01
                assert o.visible_box[1] >= y1 - 0.01
                assert o.visible_box[3] <= y2 + 0.01
            else:
                assert o.visible < 0.05


def test_tracks_move_as_fast_as_their_speed_says() -> None:
    _, truths = watched(1)
    checked = 0
    for before, after in pairwise(truths):
        there = {o.track: o for o in after.objects}
        for o in before.objects:
            if o.track in there and o.label != "pedestrian" and o.speed > 2:
                moved = np.hypot(*np.subtract(there[o.track].ground, o.ground))
                assert moved * RATE == pytest.approx((o.speed + there[o.track].speed) / 2, abs=0.9)
                checked += 1
    assert checked > 200


def test_violations_happen_only_while_red_and_on_the_stop_line() -> None:
    found = 0
    for seed in (1, 12):
        scene, truths = watched(seed)
        a, b, _ = ground_lines(scene.junction)["red-light"]
        by_frame = {truth.frame: truth for truth in truths}
        for event in violations(seed):
            assert event.phase == "red"
            assert event.direction == "forward"
            assert event.rule == "red-light"
            if event.time_s < 0:
                continue  # the nose crossed before the first frame
            found += 1
            around = by_frame[event.frame]
            assert around.phases["main"] == "red"
            assert event.time_s <= around.time_s
            vehicle = next(o for o in around.objects if o.track == event.track)
            nose = vehicle.ground[1] - a[1]  # the middle of the vehicle, which is at most 6 m behind its nose
            assert -6.1 <= nose <= event.speed * 1.1 / RATE
            assert a[0] - 0.5 <= vehicle.ground[0] <= b[0] + 0.5
            assert event.box_time_s is not None
            assert 0 <= event.box_time_s - event.time_s < 2.5
    assert found >= 2


def test_every_red_crossing_is_told() -> None:
    """Counted independently of the witness: who is before the line in one frame and beyond it in the next, at red."""
    for seed in (1, 12):
        scene, truths = watched(seed)
        line = scene.junction.stop_y
        told = {e.track for e in violations(seed)}
        crossed = set()
        for before, after in pairwise(truths):
            was = {o.track: o.ground[1] for o in before.objects if o.ground[0] > 0 and o.label != "pedestrian"}
            for o in after.objects:
                going = o.track in was and was[o.track] < line - 6.1 < o.ground[1]
                if going and o.heading == pytest.approx(np.pi / 2, abs=0.05) and o.ground[0] < scene.junction.half_main:
                    at_line = after.time_s + 6.1 / max(o.speed, 1.0)
                    later = [t for t in truths if at_line - 0.35 < t.time_s < at_line + 0.35]
                    if later and all(t.phases["main"] == "red" for t in later) and o.speed > 9:
                        crossed.add(o.track)
        assert crossed <= told


def test_lines_are_crossed_where_they_are_and_both_ways_on_the_cross_road() -> None:
    directions = set()
    for seed in (1, 12):
        scene, truths = watched(seed)
        by_frame = {truth.frame: truth for truth in truths}
        for event in (e for truth in truths for e in truth.events if e.kind == "line_crossed"):
            a, _b, way = ground_lines(scene.junction)[event.rule]
            directions.add((event.rule, event.direction))
            objects = by_frame[event.frame].objects if event.frame in by_frame else ()
            seen = [o for o in objects if o.track == event.track]
            if not seen:
                continue
            normal = np.array(way)
            beyond = float((np.array(seen[0].ground) - a) @ normal)
            assert abs(beyond) < 9.0  # half of a bus, and one frame
            assert event.label == seen[0].label
            assert event.speed == pytest.approx(seen[0].speed, abs=1.0)
    assert {("outbound", "forward"), ("inbound", "forward"), ("cross", "forward"), ("cross", "backward")} <= directions
    assert ("outbound", "backward") not in directions


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("seed", [2, 6])
def test_the_signals_pixels_show_its_phase(variant: Variant, seed: int) -> None:
    scene = Scene(seed, variant, *SIZE, fps=2.0)
    seen = set()
    for _ in range(8):
        picture, truth = scene.frame()
        phase = truth.phases["main"]
        assert _lamp(picture, scene.geometry.signal_region) == phase
        seen.add(phase)
        scene.skip(3.0)
    assert seen >= {"red", "green"}


def _lamp(picture: Picture, region: tuple[float, float, float, float]) -> str:
    """The lit third of the signal head: brightest and of its own colour."""
    h, w = picture.shape[:2]
    x1, y1, x2, y2 = (round(v * s) for v, s in zip(region, (w, h, w, h), strict=True))
    head = picture[y1:y2, x1:x2].astype(float)
    thirds: list[npt.NDArray[np.float64]] = [
        np.asarray(np.percentile(part.reshape(-1, 3), 90, axis=0)) for part in np.array_split(head, 3)
    ]
    lit = int(np.argmax([part.max() for part in thirds]))
    red, green, _ = thirds[lit]
    colour = "green" if green > 1.3 * red else "red" if red > 2.2 * green else "amber"
    assert colour == ("red", "amber", "green")[lit]
    return colour


def test_a_nearer_vehicle_hides_the_farther() -> None:
    """What the truth calls hidden changes no pixel: hide shares come from the picture's own painting order."""
    scene = Scene(2, "day", 640, 360, fps=4.0)
    hidden = 0
    for _ in range(12):
        truth = scene.observe()
        scene.skip(1.0)
        for o in truth.objects:
            if 0.2 < o.occluded < 0.95:
                hidden += 1
                x1, y1, x2, y2 = o.box
                overlapping = [
                    p
                    for p in truth.objects
                    if p.track != o.track and p.box[0] < x2 and p.box[2] > x1 and p.box[1] < y2 and p.box[3] > y1
                ]
                assert overlapping, f"track {o.track} is hidden by nothing"
    assert hidden > 3


def test_nearer_means_larger() -> None:
    _, truths = watched(1)
    cars = [o for t in truths for o in t.objects if o.label == "car" and o.visible > 0.95 and abs(o.ground[0]) < 8]
    near = [o.box[3] - o.box[1] for o in cars if o.ground[1] < 30]
    far = [o.box[3] - o.box[1] for o in cars if o.ground[1] > 60]
    assert near
    assert far
    assert np.median(near) > 2 * np.median(far)


def test_vehicles_do_not_drive_through_each_other() -> None:
    for seed in (1, 12):
        for truth in watched(seed)[1]:
            places = [o.ground for o in truth.objects if o.label in ("car", "van", "bus")]
            for i, (x, y) in enumerate(places):
                assert all(np.hypot(x - other[0], y - other[1]) > 1.7 for other in places[i + 1 :])
