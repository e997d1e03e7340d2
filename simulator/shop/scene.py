"""A shop floor seen from a corner under the ceiling: people browse, try on, queue and pay; each frame has its truth."""

import math
from collections.abc import Iterator
from typing import Final

import cv2
import msgspec
import numpy as np

from simulator.arrays import Mask, Picture, stream
from simulator.placement import painting_order
from simulator.shop.brush import PIECES, Ids, Sitter
from simulator.shop.crowd import Crowd
from simulator.shop.floor import corner_camera, random_floor
from simulator.shop.furniture import furnish, lay
from simulator.shop.room import Paint, room_picture
from simulator.shop.shopper import Shopper
from simulator.shop.skeleton import KEYPOINTS
from simulator.shop.truth import ShopGeometry, ShopperTruth, ShopTruth

SMALLEST, LARGEST = (160, 120), (1920, 1080)
MOST: Final = 40
_OPENED: Final = 75.0
"""seconds before the first frame that the shop has been open"""
_SHADE: Final = 4
"""shadows are drawn this many times smaller"""
_MARGIN: Final = 64


class ShopError(ValueError):
    """A shop that cannot be rendered."""


class ShopConfig(msgspec.Struct, frozen=True):
    """`people`: about how many are in the shop at once."""

    people: int = 7


class ShopScene:
    """A shop under a fixed camera. Equal arguments give equal bytes and equal truth.

    Iterate it for (picture uint8 [H, W, 3] RGB, ShopTruth), endlessly; or step with `frame`.
    """

    def __init__(
        self, seed: int, width: int = 1280, height: int = 720, fps: float = 15.0, config: ShopConfig | None = None
    ) -> None:
        """Raises ShopError for a seed, size, rate or crowd outside of what can be rendered."""
        self.config = config or ShopConfig()
        _check(seed, width, height, fps, self.config)
        self.seed, self.width, self.height, self.fps = seed, width, height, fps
        self._floor, side = random_floor(stream(seed, "floor"))
        self._camera = corner_camera(stream(seed, "camera"), self._floor, side, width, height)
        self._paint_room()
        self._crowd = Crowd(self._floor, self.config.people, stream(seed, "crowd"))
        self._crowd.advance(_OPENED)
        self._expose_with(stream(seed, "lamps"))
        self._frame = 0
        self.geometry = ShopGeometry(
            seed=seed,
            width=width,
            height=height,
            fps=fps,
            room=tuple(round(v, 3) for v in self._floor.room),  # type: ignore[arg-type]
            counter=tuple(round(v, 3) for v in self._floor.queue[0]),  # type: ignore[arg-type]
            door=tuple(round(v, 3) for v in self._floor.door),  # type: ignore[arg-type]
            keypoints=KEYPOINTS,
            homography=tuple(self._camera.ground_homography().ravel().tolist()),
        )

    def __iter__(self) -> Iterator[tuple[Picture, ShopTruth]]:
        while True:
            yield self.frame()

    def frame(self) -> tuple[Picture, ShopTruth]:
        """The next picture and what is true of it; time advances by 1/fps."""
        number, time_s = self._frame, self._frame / self.fps
        if number:
            self._crowd.advance(1 / self.fps)
        self._frame += 1
        people = [(one, sitter) for one in self._crowd.here if (sitter := self._sitter(one)) is not None]
        picture = self._shaded([sitter for _, sitter in people])
        ids: Ids = np.zeros((self.height, self.width), np.uint16)
        whole = self._painted(picture, ids, [sitter for _, sitter in people])
        gain = self._gain * (1 + self._swing * math.sin(2 * math.pi * time_s / self._period))
        truths = tuple(self._truth(*each, k, ids, whole[k]) for k, each in enumerate(people))
        return self._exposed(picture, gain, number), ShopTruth(number, round(time_s, 6), round(gain, 5), truths)

    def skip(self, seconds: float) -> None:
        """Lets time pass that nobody films: frames are numbered on as if it had not passed."""
        if seconds > 0:
            self._crowd.advance(seconds)

    def _paint_room(self) -> None:
        # painted twice as fine, so that edges come out smooth
        fine = 2 if self.width <= 1280 else 1
        camera = msgspec.structs.replace(
            self._camera, picture_width=self.width * fine, picture_height=self.height * fine
        )
        picture, ground = room_picture(camera, self._floor, Paint(stream(self.seed, "room")))
        self._covers = furnish(picture, camera, fine, self._floor.fixtures)
        size = (self.width, self.height)
        self._backdrop = cv2.resize(picture, size, interpolation=cv2.INTER_AREA) if fine > 1 else picture
        bare = cv2.resize(ground, size, interpolation=cv2.INTER_AREA) if fine > 1 else ground
        for cover in self._covers:
            h, w = cover.solid.shape
            part = bare[cover.top : cover.top + h, cover.left : cover.left + w]
            part *= 1 - cover.alpha[..., 0] / 255
        self._unshaded = np.rint(255 * (1 - bare)).astype(np.uint8)

    def _expose_with(self, rng: np.random.Generator) -> None:
        """The lamps and the camera: brightness, tint, an uneven field, noise, softness."""
        self._gain = float(rng.uniform(0.62, 1.12))
        self._swing, self._period = float(rng.uniform(0.01, 0.06)), float(rng.uniform(20, 200))
        across, down = (np.linspace(-0.5, 0.5, n, dtype=np.float32) for n in (self.width, self.height))
        tilt = rng.uniform(-0.14, 0.14, 2)
        field = 1 + np.float32(tilt[0]) * across + np.float32(tilt[1]) * down[:, None]
        field = field - np.float32(rng.uniform(0.1, 0.5)) * (across**2 + down[:, None] ** 2)
        warm = float(rng.uniform(-0.07, 0.09))
        tint = np.array([1 + warm, 1.0, 1 - warm], np.float32)
        self._field = np.ascontiguousarray(field[..., None] * tint, np.float32)
        level = float(rng.uniform(1.0, 5.5))
        shape = self.height + _MARGIN, self.width + _MARGIN
        grey = rng.standard_normal(shape, np.float32)[..., None]
        colour = rng.standard_normal((*shape, 3), np.float32)
        self._noise = np.rint(level * (0.8 * grey + 0.5 * colour)).astype(np.int16)
        self._soft = float(rng.uniform(0.0, 0.75)) * max(1.0, self.width / 960)

    def _sitter(self, one: Shopper) -> Sitter | None:
        """None for somebody outside of the picture, or under the camera."""
        joints, shape = one.pose()
        sitter = Sitter(self._camera, (one.x, one.y, one.heading), one.build, joints, shape)
        x1, y1, x2, y2 = sitter.inside(self.width, self.height)
        return sitter if sitter.nearest > 0.8 and x2 > x1 and y2 > y1 else None

    def _shaded(self, sitters: list[Sitter]) -> Picture:
        """The empty shop with everybody's shadow on the floor."""
        small: Mask = np.full((self.height // _SHADE, self.width // _SHADE), 255, np.uint8)
        for sitter in sitters:
            for points, level in ((sitter.shadow, 176), (sitter.feet, 132)):
                hull = cv2.convexHull(np.rint(np.clip(points, -4000, 8000) * (16 / _SHADE)).astype(np.int32))
                cv2.fillConvexPoly(small, hull, level, cv2.LINE_AA, 4)
        soft = cv2.GaussianBlur(small, (0, 0), max(1.0, self.width / 420))
        shade = cv2.resize(soft, (self.width, self.height), interpolation=cv2.INTER_LINEAR)
        shade = cv2.max(shade, self._unshaded)
        return np.asarray(cv2.multiply(self._backdrop, cv2.merge([shade, shade, shade]), scale=1 / 255))

    def _painted(self, picture: Picture, ids: Ids, sitters: list[Sitter]) -> list[int]:
        """Paints from back to front; how many pixels each covers before others come before him."""
        things = [sitter.placed for sitter in sitters] + [cover.placed for cover in self._covers]
        whole = [0] * len(sitters)
        behind: list[tuple[float, float, float, float]] = []
        for k in painting_order(things, self._camera.position):
            if k >= len(sitters):
                if any(_meet(box, things[k].box) for box in behind):
                    lay(picture, ids, self._covers[k - len(sitters)])
                continue
            light = 0.9 + 0.12 * math.cos(2.1 * things[k].x) * math.cos(1.7 * things[k].y)
            sitters[k].paint(picture, ids, k, light)
            behind.append(things[k].box)
            whole[k] = self._pixels(sitters[k], ids, k)
        return whole

    def _pixels(self, sitter: Sitter, ids: Ids, place: int) -> int:
        x1, y1, x2, y2 = sitter.inside(self.width, self.height)
        return int(np.count_nonzero(ids[y1:y2, x1:x2] // PIECES == place + 1))

    def _exposed(self, picture: Picture, gain: float, number: int) -> Picture:
        if self._soft > 0.3:
            picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), self._soft), np.uint8)
        lit = cv2.multiply(picture, self._field * np.float32(gain), dtype=cv2.CV_8U)
        dx, dy = (int(v) for v in np.random.default_rng((self.seed, 3, number)).integers(0, _MARGIN, 2))
        grain = self._noise[dy : dy + self.height, dx : dx + self.width]
        return np.asarray(cv2.add(lit, grain, dtype=cv2.CV_8U))

    def _truth(self, one: Shopper, sitter: Sitter, place: int, ids: Ids, whole: int) -> ShopperTruth:
        x1, y1, x2, y2 = sitter.placed.box
        box = (max(0.0, x1), max(0.0, y1), min(float(self.width), x2), min(float(self.height), y2))
        return ShopperTruth(
            id=one.id,
            activity=one.activity,
            box=tuple(round(v, 2) for v in box),  # type: ignore[arg-type]
            visible=round(self._pixels(sitter, ids, place) / max(1, whole), 4),
            keypoints=tuple(sitter.seen(ids, place)),
            x=round(one.x, 3),
            y=round(one.y, 3),
            heading=round(math.remainder(one.heading, 2 * math.pi), 4),
            bought=one.bought,
        )


def _meet(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _check(seed: int, width: int, height: int, fps: float, config: ShopConfig) -> None:
    if not 0 <= seed < 1 << 63:
        raise ShopError(f"seed {seed}: must lie between 0 and 2^63 - 1")
    if width % 2 or height % 2:
        raise ShopError(f"size {width}x{height}: width and height must be even")
    if not (SMALLEST[0] <= width <= LARGEST[0] and SMALLEST[1] <= height <= LARGEST[1]):
        raise ShopError(
            f"size {width}x{height}: from {SMALLEST[0]}x{SMALLEST[1]} to {LARGEST[0]}x{LARGEST[1]} can be rendered"
        )
    if not 1.0 <= fps <= 60.0:
        raise ShopError(f"{fps} frames a second: from 1 to 60 can be rendered")
    if not 1 <= config.people <= MOST:
        raise ShopError(f"{config.people} people at once: from 1 to {MOST} can be rendered")
