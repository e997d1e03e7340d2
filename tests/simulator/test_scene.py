"""Scenes: the same again from the same seed, and clear words about what cannot be rendered."""

from functools import cache
from itertools import islice

import numpy as np
import pytest

from simulator.arrays import Picture
from simulator.look import VARIANTS, Variant
from simulator.scene import Scene, SceneError
from simulator.truth import Truth

pytestmark = pytest.mark.timeout(120)

SMALL = (320, 180)


def frames(seed: int, variant: Variant, count: int) -> list[tuple[Picture, Truth]]:
    return list(islice(Scene(seed, variant, *SMALL), count))


@cache
def picture_of(seed: int, variant: Variant) -> Picture:
    return frames(seed, variant, 1)[0][0]


@pytest.mark.parametrize("variant", VARIANTS)
def test_equal_arguments_give_equal_bytes_and_truth(variant: Variant) -> None:
    first, second = frames(11, variant, 4), frames(11, variant, 4)
    for (picture, truth), (again, same) in zip(first, second, strict=True):
        assert picture.tobytes() == again.tobytes()
        assert truth == same


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_renders_a_picture_of_its_own(variant: Variant) -> None:
    picture = picture_of(3, variant)
    assert picture.shape == (180, 320, 3)
    assert picture.dtype == np.uint8
    assert picture.std() > 8, "something can be seen"
    others = [picture_of(3, other) for other in VARIANTS if other != variant]
    assert all(np.abs(picture.astype(int) - other).mean() > 3 for other in others)


def test_night_is_darker_than_day() -> None:
    assert picture_of(3, "night").mean() < 0.6 * picture_of(3, "day").mean()


def test_seeds_differ() -> None:
    assert np.abs(picture_of(1, "day").astype(int) - picture_of(3, "day")).mean() > 5


def test_noise_changes_from_frame_to_frame() -> None:
    (a, _), (b, _) = frames(1, "night", 2)
    assert (a != b).mean() > 0.5


def test_traffic_is_the_same_in_every_variant_size_and_rate() -> None:
    day, night = Scene(9, "day", *SMALL, fps=10.0), Scene(9, "night", 640, 360, fps=20.0)
    day.skip(2.0)
    night.skip(2.0)
    first, second = day.observe(), night.observe()
    assert first.time_s == second.time_s == pytest.approx(2.0)
    here, there = ({o.track: (o.label, o.ground, o.speed) for o in truth.objects} for truth in (first, second))
    shared = here.keys() & there.keys()
    assert len(shared) > 3
    assert all(here[track] == there[track] for track in shared)


def test_skipping_reaches_the_same_world_as_rendering() -> None:
    walked, skipped = Scene(4, "day", *SMALL), Scene(4, "day", *SMALL)
    for _ in range(30):
        walked.observe()
    skipped.skip(2.0)
    (picture, truth), (same_picture, same_truth) = walked.frame(), skipped.frame()
    assert picture.tobytes() == same_picture.tobytes()
    assert truth.objects == same_truth.objects


def test_observing_tells_the_same_as_rendering() -> None:
    seen, painted = Scene(4, "day", *SMALL), Scene(4, "day", *SMALL)
    for _ in range(5):
        assert seen.observe() == painted.frame()[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"variant": "fog"}, "unknown variant 'fog'.*day, night, rain, dusk"),
        ({"width": 4096, "height": 2160}, "4096x2160.*1920x1080"),
        ({"width": 64, "height": 36}, "64x36.*160x90"),
        ({"width": -640, "height": 360}, "-640x360"),
        ({"width": 641, "height": 360}, "even"),
        ({"width": 360, "height": 640}, "times the height"),
        ({"fps": 0.0}, "0.0 frames a second"),
        ({"fps": 1000.0}, "1000.0 frames a second"),
        ({"fps": float("nan")}, "nan frames a second"),
        ({"seed": -1}, "seed -1"),
    ],
)
def test_what_cannot_be_rendered_is_refused(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(SceneError, match=words):
        Scene(**({"seed": 1, "width": 320, "height": 180} | arguments))  # type: ignore[arg-type]
