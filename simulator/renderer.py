"""One frame's picture from one frame's placed objects."""

import functools
import math

import cv2
import numpy as np

from simulator.arrays import Mask, Picture, stream
from simulator.backdrop import lamp_places, render_backdrop
from simulator.camera import Camera
from simulator.junction import Junction, Phase
from simulator.look import Look
from simulator.painter import NEUTRAL, Glow, paint_body, paint_limbs, shade_ground, stamp
from simulator.placement import Placed, painting_order
from simulator.post import SignalPost

#: Shadows and light cones are drawn this many times smaller than the picture.
_LIGHT_SCALE = 4
_NOISE_MARGIN = 96
#: Headlight cones on the ground before the bumper (metres), wide and dim to narrow and bright; five corners each.
_CONES = np.array(
    [
        [[0.0, -0.6], [reach, -spread], [reach * 1.08, 0.0], [reach, spread], [0.0, 0.6]]
        for reach, spread in ((16.0, 3.0), (10.0, 1.8), (6.0, 1.2))
    ]
).reshape(-1, 2)
_CONE_LEVELS = (34.0, 62.0, 84.0)
#: Beyond this depth (metres) a cone is a few pixels and not drawn.
_LAST_CONE = 110.0
#: The widest visibility map; small enough to be cheap, fine enough for objects of a dozen pixels.
_ID_WIDTH = 640


class Visibility:
    """Which object is seen where: `ids` [h, w], 0 = none, k + 1 = the k-th object; `covered` cells when unhidden."""

    def __init__(self, ids: Mask, covered: list[int], scale: float) -> None:
        self.ids = ids
        self.covered = covered
        self.scale = scale
        self.seen = cv2.calcHist([ids], [0], None, [256], [0, 256]).ravel()[1:]


class Renderer:
    """Paints frames of one scene. Holds the backdrop and the noise; the same input gives the same bytes."""

    def __init__(self, seed: int, junction: Junction, camera: Camera, look: Look) -> None:
        self._seed = seed
        self._camera = camera
        self._look = look
        self._matrix = camera.matrix()
        self._junction = junction
        self.post = SignalPost(junction, camera, look)
        self._lamps = lamp_places(junction, stream(seed, "lamps")) if look.variant in ("night", "dusk") else []
        self._glow = Glow()
        self._id_scale = min(1.0, _ID_WIDTH / camera.picture_width)
        self._top = max(0, int(camera.horizon_row() / _LIGHT_SCALE) * _LIGHT_SCALE)

    # Made when first needed: whoever only asks what is visible needs neither.
    @functools.cached_property
    def _backdrop(self) -> Picture:
        return render_backdrop(self._seed, self._junction, self._camera, self._look)

    @functools.cached_property
    def _noise(self) -> Picture:
        h, w = self._camera.picture_height + _NOISE_MARGIN, self._camera.picture_width + _NOISE_MARGIN
        return _noise_tile(h, w, self._look, stream(self._seed, "noise", self._look.variant))

    def visibility(self, things: list[Placed]) -> Visibility:
        """What can be seen of each thing (in the given order), without painting a picture."""
        return self._visibility(things, painting_order(things, self._camera.position))

    def _visibility(self, things: list[Placed], order: list[int]) -> Visibility:
        h, w = self._camera.picture_height, self._camera.picture_width
        ids = np.zeros((round(h * self._id_scale), round(w * self._id_scale)), np.uint8)
        covered = [0] * len(things)
        for i in order:
            covered[i] = stamp(ids, things[i], i + 1, self._id_scale)
        return Visibility(ids, covered, self._id_scale)

    def render(self, things: list[Placed], phase: Phase, frame: int, time_s: float) -> tuple[Picture, Visibility]:
        """The picture uint8 [H, W, 3] RGB, and what is visible of each thing (in the given order)."""
        look = self._look
        picture = self._backdrop.copy()
        self._light(picture, things)
        order = painting_order([*things, self._post_placed()], self._camera.position)
        for i in order:
            if i == len(things):
                self.post.paint(picture, phase)
                continue
            thing = things[i]
            lamps = self._lamp_light(thing.x, thing.y)
            if thing.mesh is not None:
                paint_body(picture, thing, look, lamps)
            else:
                paint_limbs(picture, thing, look, lamps)
            if thing.lamps_on:
                self._shine(picture, thing)
        # The post is too thin to hide anything worth the name.
        seen = self._visibility(things, [i for i in order if i < len(things)])
        return self._expose(picture, frame, time_s), seen

    def _post_placed(self) -> Placed:
        placed = Placed(0, "post", self.post.x, self.post.y, 0.0)
        placed.box, placed.footprint = self.post.extent(), self.post.footprint()
        placed.depth = float(self._camera.project(np.array([[self.post.x, self.post.y, 2.0]]))[1][0])
        return placed

    def _light(self, picture: Picture, things: list[Placed]) -> None:
        """Multiply the ground by shadows, reflections and headlight cones."""
        look, camera = self._look, self._camera
        h, w = camera.picture_height // _LIGHT_SCALE + 1, camera.picture_width // _LIGHT_SCALE + 1
        scale = 1.0 / _LIGHT_SCALE
        light: Picture = np.full((h, w, 3), NEUTRAL, np.uint8)
        dark = NEUTRAL * look.shadow
        for thing in things:
            shade_ground(light, thing.shadow(self._matrix, look.sun, camera.focal), scale, (dark, dark, dark * 1.04))
        under = NEUTRAL * look.shadow * 0.72
        for thing in things:
            foot = np.column_stack([thing.footprint, np.zeros(4)])
            pixels, depths = camera.project(foot)
            if depths.min() > 1.5 and thing.label != "pedestrian":
                shade_ground(light, pixels, scale, (under, under, under))
        blur = look.shadow_blur * camera.picture_width / 1280
        light = np.asarray(cv2.GaussianBlur(light, (0, 0), max(0.5, blur)), dtype=np.uint8)
        if look.lamps and look.variant != "rain":
            # Soft and wide, so drawn at half the light map's size.
            cones: Picture = np.zeros((h // 2 + 1, w // 2 + 1, 3), np.uint8)
            for thing in things:
                if "head" in thing.lamps_on:
                    self._cone(cones, thing, scale / 2)
            cones = np.asarray(
                cv2.GaussianBlur(cones, (0, 0), max(0.5, 1.5 * camera.picture_width / 1280)), dtype=np.uint8
            )
            cones = np.asarray(cv2.resize(cones, (cones.shape[1] * 2, cones.shape[0] * 2)), dtype=np.uint8)[:h, :w]
            light = np.asarray(cv2.add(light, cones), dtype=np.uint8)
        top = self._top
        wide = cv2.resize(
            light[top // _LIGHT_SCALE :],
            (w * _LIGHT_SCALE, (h - top // _LIGHT_SCALE) * _LIGHT_SCALE),
            interpolation=cv2.INTER_LINEAR,
        )
        ground = picture[top:]
        cv2.multiply(ground, wide[: ground.shape[0], : ground.shape[1]], dst=ground, scale=1.0 / NEUTRAL)

    def _cone(self, light: Picture, thing: Placed, scale: float) -> None:
        strength = 1.0 if self._look.variant == "night" else 0.22
        rotation = thing.rotation()[:2, :2]
        front = float(np.abs(thing.footprint[0] - thing.footprint[3]).max()) / 2
        tip = self._camera.project(np.array([[thing.x, thing.y, 0.0]]))[1]
        if float(tip[0]) > _LAST_CONE:
            return
        points = (_CONES + np.array([front, 0.0])) @ rotation.T + np.array([thing.x, thing.y])
        pixels, depths = self._camera.project(np.column_stack([points, np.zeros(len(points))]))
        for k, level in enumerate(_CONE_LEVELS):
            if depths[5 * k : 5 * k + 5].min() > 2.0:
                tone = level * strength
                shade_ground(light, pixels[5 * k : 5 * k + 5], scale, (tone, tone * 0.94, tone * 0.78))

    def _lamp_light(self, x: float, y: float) -> float:
        share = {"night": 1.0, "dusk": 0.22}.get(self._look.variant, 0.0)
        squares = (((x - px * 0.8) ** 2 + (y - py) ** 2) / 45.0 for px, py in self._lamps)
        return share * math.fsum(0.55 / (1.0 + square) ** 1.5 for square in squares)

    def _shine(self, picture: Picture, thing: Placed) -> None:
        """Bloom of the lamps that face the camera."""
        mesh, look = thing.mesh, self._look
        power = {"day": 0.16, "rain": 0.5, "dusk": 0.62, "night": 0.8}[look.variant]
        facing = math.atan2(self._camera.position[1] - thing.y, self._camera.x - thing.x) - thing.heading
        ahead = math.cos(facing)
        if mesh is None:
            return
        for lamp, vertex, radius in mesh.lamps:
            toward = ahead if lamp == "head" else -ahead
            if lamp not in thing.lamps_on or toward < 0.12:
                continue
            u, v = thing.pixels[vertex]
            size = radius * self._camera.focal / max(2.0, float(thing.depths[vertex]))
            if lamp == "head":
                spread, colour = 3.2 * toward + 1.2, (255.0, 246.0, 222.0)
            else:
                spread, colour = (3.6 if "brake" in thing.lamps_on else 2.4), (255.0, 44.0, 36.0)
            strength = power * (0.5 + 0.5 * toward)
            self._glow.add(picture, (u, v), size * spread, colour, strength)
            if look.wet > 0.2:
                ground = self._camera.project(thing.world[vertex : vertex + 1] * [1, 1, 0])[0][0]
                self._glow.add(picture, (ground[0], ground[1]), size * 1.5, colour, 0.3 * look.wet * strength * 2, 5.0)

    def _expose(self, picture: Picture, frame: int, time_s: float) -> Picture:
        """Slow drift of exposure, sensor noise and falling rain, in one pass."""
        look = self._look
        rng = np.random.Generator(np.random.PCG64([self._seed & 0xFFFFFFFF, frame]))
        dx, dy = (int(v) for v in rng.integers(0, _NOISE_MARGIN, 2))
        gain = look.gain * (1.0 + look.drift * math.sin(2 * math.pi * time_s / look.drift_period))
        gain *= 1.0 + float(rng.normal(0.0, 0.002))
        h, w = picture.shape[:2]
        tile = self._noise[dy : dy + h, dx : dx + w]
        return np.asarray(cv2.addWeighted(picture, gain, tile, 1.0, -64.0), dtype=np.uint8)


def _noise_tile(height: int, width: int, look: Look, rng: np.random.Generator) -> Picture:
    """Sensor noise around 64, uint8 [height, width, 3]; rain streaks on top."""
    luma = np.empty((height, width), np.float32)
    luma[:] = rng.standard_normal((height, width), dtype=np.float32) * look.noise
    soft = cv2.GaussianBlur(luma, (0, 0), 0.7) * 1.6
    half = rng.standard_normal((height // 2 + 1, width // 2 + 1, 3), dtype=np.float32) * look.noise * 0.5
    chroma = cv2.resize(half, (width, height), interpolation=cv2.INTER_LINEAR)
    tile = 64.0 + soft[..., None] + chroma
    if look.streaks:
        rain = np.zeros((height, width), np.uint8)
        count = int(height * width / 2600 * look.streaks)
        slant = float(rng.normal(0.0, 0.14))
        xs, ys = rng.integers(0, width, count), rng.integers(-20, height, count)
        lengths = (rng.uniform(0.012, 0.05, count) * height).astype(int)
        tones = rng.integers(8, 30, count)
        for x, y, length, tone in zip(xs.tolist(), ys.tolist(), lengths.tolist(), tones.tolist(), strict=True):
            cv2.line(rain, (x, y), (int(x + slant * length), y + length), tone, 1, cv2.LINE_AA)
        tile += rain[..., None]
    return np.clip(np.round(tile), 0, 255).astype(np.uint8)
