"""Varies a sample as cameras vary: mounted elsewhere, zoomed, mirrored, darker, tinted, blurred, compressed."""

import cv2
import numpy as np
from numpy.typing import NDArray

from training.samples import Boxes, Pixels, Sample

PAD = 114
SMALLEST = 3.0
"""pixels; a side cut shorter than this isn't worth learning"""
LEAST_VISIBLE = 0.35
"""share of a box's area that must still be in the picture"""


def augment(sample: Sample, rng: np.random.Generator, size: tuple[int, int], variation: float = 1.0) -> Sample:
    """A changed copy of `size` (height, width), a part of the picture or all of it; all chance comes from `rng`.

    `variation` widens or narrows the ranges that chance draws from, and makes what happens now and then more or less
    frequent: 0 only cuts and mirrors, 1 is usual, 2 the most.
    """
    pixels, boxes = _move(sample.pixels, sample.boxes, rng, size, variation)
    height, width = size
    if rng.random() < 0.5:
        pixels = np.ascontiguousarray(pixels[:, ::-1])
        boxes = np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], 1)
    pixels = _colour(pixels, rng, variation)
    pixels = _degrade(pixels, rng, variation)
    clipped = np.clip(boxes, 0, [width, height, width, height]).astype(np.float32)
    keep = _worth_learning(boxes, clipped)
    return Sample(pixels, clipped[keep], sample.labels[keep], sample.variant)


def _move(
    pixels: Pixels, boxes: Boxes, rng: np.random.Generator, size: tuple[int, int], variation: float
) -> tuple[Pixels, Boxes]:
    """Zoom, sides scaled alike but for 10%, and look mostly where objects are."""
    zoom = float(np.exp(rng.uniform(np.log(0.7) * variation, np.log(1.5) * variation)))
    stretch = rng.uniform(1 - 0.05 * variation, 1 + 0.05 * variation)
    scale = np.array([zoom * stretch, zoom / stretch])
    canvas, whole = np.array(size[::-1]), np.array(pixels.shape[1::-1]) * scale
    # an enlarged picture shows any part of itself, a shrunk one lies anywhere within the canvas
    low, high = np.minimum(canvas - whole, 0), np.maximum(canvas - whole, 0)
    shift = rng.uniform(low, high)
    if len(boxes) and rng.random() < 0.7:
        box = boxes[rng.integers(len(boxes))]
        wanted = rng.uniform(0.2, 0.8, 2) * canvas - (box[:2] + box[2:]) / 2 * scale
        shift = np.clip(wanted, low, high)
    matrix = np.array([[scale[0], 0, shift[0]], [0, scale[1], shift[1]]])
    flags = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
    moved = cv2.warpAffine(pixels, matrix, (size[1], size[0]), flags=flags, borderValue=(PAD, PAD, PAD))
    return moved.astype(np.uint8), (boxes * np.tile(scale, 2) + np.tile(shift, 2)).astype(np.float32)


def _colour(pixels: Pixels, rng: np.random.Generator, variation: float) -> Pixels:
    """Gain, lift and gamma by table, per channel a little different; now and then no colour at all."""
    level = np.arange(256, dtype=np.float64) / 255
    g, k, d, c = (width * variation for width in (0.4, 0.25, 0.06, 0.08))
    gamma, gain, lift = np.exp(rng.uniform(-g, g)), rng.uniform(1 - k, 1 + k), rng.uniform(-d, d)
    tint = rng.uniform(1 - c, 1 + c, 3)
    table = np.clip(255 * (level[:, None] ** gamma * gain * tint + lift), 0, 255).astype(np.uint8)
    out = cv2.LUT(pixels, table[None])
    if rng.random() < 0.08 * variation:
        out = cv2.cvtColor(cv2.cvtColor(out, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return out.astype(np.uint8)


def _degrade(pixels: Pixels, rng: np.random.Generator, variation: float) -> Pixels:
    kind = rng.random()
    if kind < 0.15 * variation:
        pixels = cv2.GaussianBlur(pixels, (3, 3), rng.uniform(0.4, 1.2)).astype(np.uint8)
    elif kind < 0.3 * variation:
        noise = rng.normal(0, rng.uniform(2, 10), pixels.shape)
        pixels = np.clip(pixels + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.4 * variation:
        _, coded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 90))])
        pixels = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return pixels


def _worth_learning(before: Boxes, after: Boxes) -> NDArray[np.bool_]:
    size = after[:, 2:] - after[:, :2]
    was = np.prod(before[:, 2:] - before[:, :2], axis=1)
    visible: NDArray[np.bool_] = (size.min(1, initial=np.inf) >= SMALLEST) & (
        np.prod(size, axis=1) > LEAST_VISIBLE * was
    )
    return visible
