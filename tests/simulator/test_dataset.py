"""Training pictures: as many as asked for, the same again, boxes where objects are."""

import numpy as np
import pytest

from simulator.actors import LABELS
from simulator.backdrop import render_backdrop
from simulator.dataset import LEAST_HEIGHT, images
from simulator.scene import Scene

pytestmark = pytest.mark.timeout(120)


def test_pictures_boxes_and_classes() -> None:
    samples = list(images(1, 10, ("day", "night"), size=(320, 180), per_scene=5))
    assert len(samples) == 10
    for picture, boxes, classes in samples:
        assert picture.shape == (180, 320, 3)
        assert picture.dtype == np.uint8
        assert boxes.dtype == np.float32
        assert boxes.shape == (len(classes), 4)
        assert ((classes >= 0) & (classes < len(LABELS))).all()
        assert (boxes >= 0).all()
        assert (boxes[:, 2] <= 320).all()
        assert (boxes[:, 3] <= 180).all()
        assert (boxes[:, 2] > boxes[:, 0]).all()
        assert (boxes[:, 3] - boxes[:, 1] >= LEAST_HEIGHT).all()
    assert sum(len(boxes) for _, boxes, _ in samples) > 50
    assert len({picture.tobytes() for picture, _, _ in samples}) == 10


def test_equal_seeds_give_equal_sets_and_others_do_not() -> None:
    first, again, other = (list(images(seed, 3, ("rain",), size=(320, 180))) for seed in (2, 2, 3))
    for (a, boxes, classes), (b, same_boxes, same_classes) in zip(first, again, strict=True):
        assert a.tobytes() == b.tobytes()
        assert np.array_equal(boxes, same_boxes)
        assert np.array_equal(classes, same_classes)
    assert first[0][0].tobytes() != other[0][0].tobytes()


def test_boxes_fit_what_is_drawn() -> None:
    """In a vehicle's box the picture differs from the empty road, up to its edges; outside of boxes it does not."""
    scene = Scene(8, "day", 640, 360)
    empty = render_backdrop(8, scene.junction, scene.camera, scene.look).astype(int)
    picture, truth = scene.frame()
    changed = np.abs(picture.astype(int) - empty).mean(axis=2) > 16
    outside = np.ones_like(changed)
    checked = 0
    for o in truth.objects:
        x1, y1, x2, y2 = (round(v) for v in o.box)
        outside[max(0, y1 - 8) : y2 + 20, max(0, x1 - 20) : x2 + 20] = False  # shadows fall beside
        if o.visible > 0.95 and y2 - y1 > 20 and o.label in ("car", "van", "bus"):
            checked += 1
            inner = changed[y1:y2, x1:x2]
            assert inner.mean() > 0.4
            strip = max(2, (y2 - y1) // 8)
            for edge in (inner[:strip], inner[-strip:], inner[:, :strip], inner[:, -strip:]):
                assert edge.any()
    assert checked > 3
    assert changed[outside].mean() < 0.06
