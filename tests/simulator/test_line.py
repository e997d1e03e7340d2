"""The line's pictures and truth: equal seeds, exact masks, sizes in millimetres, harmless variation."""

import itertools

import numpy as np
import pytest

from simulator.line.defect import KINDS, SIZES
from simulator.line.design import PIXELS_PER_MM, SIDE
from simulator.line.made import make_part
from simulator.line.part import LineConfig, LineError
from simulator.line.pictures import PartCamera, PartPicture, part_pictures
from simulator.line.scene import LineScene
from simulator.line.truth import LEAST_CHANGE, DefectTruth, changed, extent, filled, runs

pytestmark = pytest.mark.timeout(120)

ALL, NONE = LineConfig(defective=1.0), LineConfig(defective=0.0)


def defects(pictures: list[PartPicture]) -> list[DefectTruth]:
    return [defect for picture in pictures for defect in picture.truth.defects]


@pytest.fixture(scope="module")
def defective() -> list[PartPicture]:
    return list(part_pictures(31, 120, ALL, per_line=4))


def test_equal_seeds_give_equal_bytes_and_others_do_not() -> None:
    first, again, other = (list(part_pictures(seed, 6, ALL, per_line=2)) for seed in (5, 5, 6))
    assert [p.pixels.tobytes() for p in first] == [p.pixels.tobytes() for p in again]
    assert [p.truth for p in first] == [p.truth for p in again]
    assert all(a.pixels.tobytes() != b.pixels.tobytes() for a, b in zip(first, other, strict=True))


def test_a_part_does_not_depend_on_the_parts_before_it() -> None:
    camera, fresh = PartCamera(9, ALL), PartCamera(9, ALL)
    for number in range(3):
        camera.picture(number)
    assert camera.picture(3).pixels.tobytes() == fresh.picture(3).pixels.tobytes()


def test_the_mask_is_the_difference_to_the_same_part_without_defects() -> None:
    found = 0
    for seed in range(12):
        broken, whole = PartCamera(seed, ALL), PartCamera(seed, NONE)
        for number in range(3):
            with_it, without = broken.picture(number), whole.picture(number)
            assert without.truth.good
            assert not without.mask.any()
            difference = np.abs(with_it.pixels.astype(int) - without.pixels).max(axis=2)
            if len(with_it.truth.defects) == 1:
                found += 1
                np.testing.assert_array_equal(with_it.mask, difference >= LEAST_CHANGE)
            # outside of the mask only the lens's blur is left, and two defects may have shared a pixel
            assert (difference[~with_it.mask] < 2 * LEAST_CHANGE).all()
            around = np.pad(with_it.mask, 3)
            grown = np.max([np.roll(around, (y, x), (0, 1)) for y in range(-3, 4) for x in range(-3, 4)], axis=0)
            assert not difference[~grown[3:-3, 3:-3]].any()
    assert found > 20


def test_sizes_in_millimetres_are_those_of_the_masks(defective: list[PartPicture]) -> None:
    blur = 4.5  # pixels that the soft edges of both sides add at most
    checked = dict.fromkeys(KINDS, 0)
    for picture in defective:
        for defect in picture.truth.defects:
            low, high = SIZES[defect.kind]
            assert low <= defect.size_mm <= high
            mask = filled(defect, SIDE, SIDE)
            rows, columns = np.nonzero(mask)
            points = np.stack([columns, rows]).astype(float)
            spread = np.ptp(points, axis=1)
            reach = float(np.hypot(*spread)) + 1 if defect.kind == "scratch" else float(spread.max()) + 1
            wanted = defect.length_mm * PIXELS_PER_MM
            assert reach <= wanted * 1.06 + blur, defect
            if len(picture.truth.defects) == 1 and defect.kind != "stain":
                # print and holes' rims may swallow an end, never most of it
                assert reach >= 0.6 * wanted - 1, defect
                checked[defect.kind] += 1
            if defect.kind == "scratch":
                area = defect.size_mm * defect.length_mm * PIXELS_PER_MM**2
                assert 0.5 * area < mask.sum() < area + 3.5 * defect.length_mm * PIXELS_PER_MM + 12
    assert min(checked[kind] for kind in ("scratch", "pit", "dent")) > 10


def test_a_size_that_is_asked_for_is_the_size_of_all() -> None:
    small = defects(list(part_pictures(3, 40, LineConfig(defective=1.0, sizes=(0.1, 0.1)), per_line=4)))
    assert len(small) > 30
    assert {round(d.size_mm, 9) for d in small} == {0.1}
    assert max(d.box[2] - d.box[0] for d in small if d.kind != "scratch") <= 7


def test_boxes_and_masks_belong_together(defective: list[PartPicture]) -> None:
    seen = set()
    for picture in defective:
        union = np.zeros((SIDE, SIDE), bool)
        left, top, right, bottom = picture.truth.box
        for defect in picture.truth.defects:
            mask = filled(defect, SIDE, SIDE)
            assert extent(mask) == defect.box
            assert left <= defect.box[0]
            assert defect.box[2] <= right
            assert top <= defect.box[1]
            assert defect.box[3] <= bottom
            union |= mask
            seen.add(defect.kind)
        np.testing.assert_array_equal(union, picture.mask)
    assert seen == set(KINDS)
    assert sum(not p.truth.good for p in defective) > 110


def test_good_parts_carry_dust_and_print_as_dark_and_as_light_as_defects() -> None:
    """What tells a good part from a bad one is no level of brightness: both have the same range on the plate."""
    good, bad = (list(part_pictures(8, 60, config, per_line=3)) for config in (NONE, ALL))

    def levels(pictures: list[PartPicture]) -> tuple[float, float]:
        grey = [p.pixels[p.truth.box[1] : p.truth.box[3], p.truth.box[0] : p.truth.box[2]].mean(2) for p in pictures]
        low, high = (float(np.median([np.percentile(g, q) for g in grey])) for q in (0.5, 99.5))
        return low, high

    assert levels(good) == pytest.approx(levels(bad), abs=12)


def test_the_share_of_defective_parts_is_what_was_asked_for() -> None:
    bad = sum(not p.truth.good for p in part_pictures(2, 300, LineConfig(defective=0.3), per_line=30))
    assert 65 <= bad <= 115  # three standard deviations


def test_runs_give_the_mask_back() -> None:
    rng = np.random.default_rng(1)
    for mask in (np.ones((3, 4), bool), np.array([[False, True], [True, False]]), rng.random((9, 5)) < 0.4):
        box = (1, 2, 1 + mask.shape[1], 2 + mask.shape[0])
        defect = DefectTruth("pit", 0.2, 0.2, box, runs(mask))
        np.testing.assert_array_equal(filled(defect, 20, 20)[2 : box[3], 1 : box[2]], mask)
    with pytest.raises(ValueError, match="reshape"):
        filled(DefectTruth("pit", 0.2, 0.2, (0, 0, 3, 3), (1, 2)), 20, 20)


def test_a_frame_s_masks_are_the_difference_to_the_line_without_defects() -> None:
    broken, whole = (LineScene(4, 480, 300, 10, config) for config in (LineConfig(defective=0.6), NONE))
    seen = 0
    for _ in range(6):
        (picture, truth), (clean, same) = broken.frame(), whole.frame()
        assert [p.box for p in truth.parts] == [p.box for p in same.parts]
        union = np.zeros(picture.shape[:2], bool)
        single = np.ones(picture.shape[:2], bool)
        for part in truth.parts:
            left, top, right, bottom = part.box
            single[top:bottom, left:right] = len(part.defects) < 2
            for defect in part.defects:
                union |= filled(defect, *picture.shape[:2])
                seen += 1
        np.testing.assert_array_equal(union & single, changed(picture, clean) & single)
    assert seen > 10


def test_parts_move_with_the_belt_and_keep_their_truth() -> None:
    scene = LineScene(4, 640, 160, 10, LineConfig(defective=0.5))
    step = scene.geometry.pixels_per_frame
    before: dict[int, tuple[int, int]] = {}
    kinds: dict[int, set[tuple[str, ...]]] = {}
    for _ in range(25):
        _, truth = scene.frame()
        for part in truth.parts:
            if part.inside:
                if part.id in before:
                    assert (part.box[0], part.box[1]) == (before[part.id][0] + step, before[part.id][1])
                before[part.id] = part.box[:2]
                kinds.setdefault(part.id, set()).add(tuple(d.kind for d in part.defects))
                assert part.good is not bool(part.defects)
    assert len(before) > 5
    assert all(len(found) == 1 for found in kinds.values())


def test_light_drifts_and_nothing_else_does() -> None:
    scene = LineScene(4, 320, 160, 1.0)
    gains = [scene.frame()[1].gain for _ in range(40)]
    assert len(set(gains)) == 40
    assert max(abs(b - a) for a, b in itertools.pairwise(gains)) < 0.01


@pytest.mark.parametrize(
    ("arguments", "config", "words"),
    [
        ({"seed": -1}, LineConfig(), "seed -1"),
        ({"width": 4000}, LineConfig(), "4000x160.*1920x1080"),
        ({"height": 90}, LineConfig(), "320x90.*160x144"),
        ({"width": 321}, LineConfig(), "even"),
        ({"fps": float("nan")}, LineConfig(), "nan frames"),
        ({}, LineConfig(defective=1.5), "defective 1.5"),
        ({}, LineConfig(defective=float("nan")), "defective nan"),
        ({}, LineConfig(sizes=(0.01, 0.1)), r"0.01 to 0.1 mm: from 0.05 to 2.0"),
        ({}, LineConfig(sizes=(0.3, 0.1)), r"0.3 to 0.1 mm"),
        ({}, LineConfig(speed=0.0), "speed 0.0"),
    ],
)
def test_what_cannot_be_rendered_is_refused(arguments: dict[str, object], config: LineConfig, words: str) -> None:
    with pytest.raises(LineError, match=words):
        LineScene(**({"seed": 1, "width": 320, "height": 160, "config": config} | arguments))  # type: ignore[arg-type]


def test_defects_keep_off_the_print_where_that_is_asked_for() -> None:
    """Not even their edges touch the box around a mark."""
    config = LineConfig(defective=1.0, clear_of_print=True)
    for seed in range(6):
        camera = PartCamera(seed, config)
        for number in range(3):
            part = make_part(seed, number, camera.design, config).part
            assert part.defects
            for defect in part.defects:
                for x, y in defect.spine():
                    for mark in camera.design.marks:
                        outside = (abs(x - mark.x) - mark.half[0], abs(y - mark.y) - mark.half[1])
                        assert max(outside) > defect.size / 2
