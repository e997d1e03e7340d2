"""Training pictures with boxes, sampled sparsely in time from many scenes."""

import math
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from simulator.actors import LABELS
from simulator.arrays import Picture, stream
from simulator.camera import Mount
from simulator.look import VARIANTS, Variant
from simulator.scene import Scene
from simulator.traffic import TrafficConfig

#: Pictures taken from one scene before the next seed is used.
_PER_SCENE = 24
#: An object counts as visible from this share of its outline on, and from this height (pixels of the result).
LEAST_VISIBLE, LEAST_HEIGHT = 0.35, 6.0

Sample = tuple[Picture, npt.NDArray[np.float32], npt.NDArray[np.int64]]


def images(
    seed: int,
    count: int,
    variants: Sequence[Variant] = VARIANTS,
    size: tuple[int, int] = (416, 234),
    *,
    per_scene: int = _PER_SCENE,
    compress: bool = True,
    mount: Mount = Mount(),
) -> Iterator[Sample]:
    """Yield `count` samples: picture uint8 [H, W, 3] RGB, boxes float32 [n, 4] (x1, y1, x2, y2, pixels), classes [n].

    `size` is (width, height), at most 1920x1080. Classes index `simulator.actors.LABELS`. Scenes are rendered at 1 to
    3 times the size and scaled down, and pass a lossy codec at a random quality if `compress`, as a camera's would.
    Boxes are the outlines' extents cut at the edge, of objects with at least 35 % visible and 6 pixels high.
    Use far-apart seeds for training and validation: scene seeds are `seed * 100_000 + k`.
    """
    done = scenes = 0
    while done < count:
        rng = stream(seed * 100_000 + scenes, "samples")
        variant = variants[scenes % len(variants)]
        width, height = _render_size(size, rng)
        demand = float(rng.uniform(0.5, 1.6))
        config = TrafficConfig(demand=demand, bus_share=float(rng.uniform(0.05, 0.16)))
        scene = Scene(seed * 100_000 + scenes, variant, width, height, fps=20.0, traffic=config, mount=mount)
        scenes += 1
        for _ in range(min(per_scene, count - done)):
            scene.skip(float(rng.uniform(1.2, 4.5)))
            picture, truth = scene.frame()
            boxes, classes = [], []
            for seen in truth.objects:
                box = np.array(seen.box) * (size[0] / width)
                if seen.visible >= LEAST_VISIBLE and box[3] - box[1] >= LEAST_HEIGHT:
                    boxes.append(box)
                    classes.append(LABELS.index(seen.label))
            if (width, height) != size:
                interpolation = cv2.INTER_AREA if rng.random() < 0.5 else cv2.INTER_LINEAR
                picture = np.asarray(cv2.resize(picture, size, interpolation=interpolation), dtype=np.uint8)
            if compress and rng.random() < 0.8:
                picture = _compressed(picture, int(rng.integers(45, 95)))
            done += 1
            yield picture, np.array(boxes, np.float32).reshape(-1, 4), np.array(classes, np.int64)


def _render_size(size: tuple[int, int], rng: np.random.Generator) -> tuple[int, int]:
    """A size to render at: the asked one, or larger where that still is a legal scene."""
    limit = min(1920 / size[0], 1080 / size[1])
    factor = min(limit, float(rng.choice([1.0, 1.5, 2.0, 3.0], p=[0.25, 0.3, 0.3, 0.15])))
    width = max(160, 2 * math.floor(size[0] * factor / 2))
    return width, 2 * math.floor(width * size[1] / size[0] / 2)


def _compressed(picture: Picture, quality: int) -> Picture:
    _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None, "it was encoded a line above"
    return np.ascontiguousarray(decoded[..., ::-1], dtype=np.uint8)
