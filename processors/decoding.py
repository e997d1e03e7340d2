"""The thread side of a session: access units in, images for the detector out. One object per camera and chain."""

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from processors.ports import ModelContract, SceneContract
from processors.sampling import bucket
from processors.shedding import KEYFRAMES_ONLY, STRIDES
from schemas.analysis import Analysis
from schemas.messages import AccessUnit
from vision import optical_flow, signal
from vision.decoder import GopDecoder, Picture
from vision.letterbox import Letterbox
from vision.memory import forgotten


class Prepared(msgspec.Struct, frozen=True):
    """A decoded frame. `image` is None when the frame is not inferred."""

    captured_ns: int
    pts: int
    index: int
    width: int
    height: int
    image: NDArray[np.uint8] | None
    signals: dict[str, str]
    shed: bool = False
    """it is sampled, but for later"""
    scene: NDArray[np.uint8] | None = None
    """for the network that looks at scenes; None where it does not want this one"""
    flow: NDArray[np.int8] | None = None
    """for a detector that wants it beside the picture"""


class Reading(msgspec.Struct, frozen=True):
    """Where a reader stands between two GOPs: part of the checkpoint."""

    bucket: int | None = None
    """where sampling goes on, whatever is shed"""
    moving: optical_flow.Kept | msgspec.UnsetType = msgspec.UNSET
    """of a camera whose detector wants flow: what is known of its last pictures"""

    def check(self) -> None:
        """Raises ValueError for what no reader has left."""
        if self.moving is not msgspec.UNSET:
            optical_flow.unpacked(self.moving)


class GopReader:
    """Decodes one camera's GOPs one after the other and letterboxes what is sampled."""

    def __init__(
        self,
        analysis: Analysis,
        contract: ModelContract,
        reading: Reading,
        scene: SceneContract | None = None,
    ) -> None:
        self._analysis = analysis
        self.contract: Final = contract
        self._rate = analysis.sample_fps or contract.fps
        self._letterbox = Letterbox(contract.width, contract.height, contract.letterbox, contract.pad)
        self._scene = scene
        self._scene_letterbox = Letterbox(scene.width, scene.height, "top_left", scene.pad) if scene else None
        self._scene_part: int | None = None
        self._decoder: GopDecoder | None = None
        self.undecodable = 0
        """of the GOP that was closed last"""
        self._bucket = reading.bucket
        self._moving = reading.moving
        self._known: tuple[optical_flow.Seen, int] | None = None
        """of the last picture, and when that was"""
        self._level = 0
        self._sampled = 0
        """of the open GOP"""

    @property
    def reading(self) -> Reading:
        if not self.contract.flow:
            return Reading(self._bucket)
        return Reading(self._bucket, self._moving if self._known is None else optical_flow.kept(*self._known))

    def open(self, unit: AccessUnit, level: int = 0) -> None:
        self._decoder, self.undecodable = GopDecoder(unit.codec), 0
        self._level, self._sampled = level, 0

    def read(self, unit: AccessUnit) -> list[Prepared]:
        """Raises CorruptAccessUnit."""
        assert self._decoder is not None
        if self._level < KEYFRAMES_ONLY:
            return [self._prepare(picture) for picture in self._decoder.decode(unit)]
        if not unit.keyframe:
            return [self._passed(unit)]
        pictures = self._decoder.decode(unit)
        return [self._prepare(picture) for picture in pictures + self._decoder.flush()]

    def close(self) -> list[Prepared]:
        """The pictures that the decoder still holds. Raises CorruptAccessUnit."""
        if self._decoder is None:
            return []
        decoder, self._decoder = self._decoder, None
        pictures = decoder.flush()
        self.undecodable = decoder.undecodable
        return [self._prepare(picture) for picture in pictures]

    def abandon(self) -> None:
        self._decoder = None

    def _prepare(self, picture: Picture) -> Prepared:
        now = bucket(picture.captured_ns, self._rate)
        sampled = self._bucket is None or now != self._bucket
        shed = sampled and 0 < self._level < KEYFRAMES_ONLY and self._sampled % STRIDES[self._level] > 0
        if sampled:
            self._bucket = now
            self._sampled += 1
        image: NDArray[np.uint8] | None = None
        flow: NDArray[np.int8] | None = None
        signals: dict[str, str] = {}
        if sampled and not shed:
            image = np.empty((self.contract.height, self.contract.width, 3), np.uint8)
            self._letterbox.from_frame(picture.frame, image)
            flow = self._moved(image, picture.captured_ns) if self.contract.flow else None
            signals = {light.name: signal.read(picture.frame, light.region) for light in self._analysis.signals}
        return Prepared(
            captured_ns=picture.captured_ns,
            pts=picture.pts,
            index=picture.offset_index,
            width=picture.frame.width,
            height=picture.frame.height,
            image=image,
            signals=signals,
            shed=shed,
            scene=self._for_scene(picture) if image is not None else None,
            flow=flow,
        )

    def _moved(self, image: NDArray[np.uint8], captured_ns: int) -> NDArray[np.int8]:
        """How things have moved until this picture."""
        if self._known is None:
            moving = None if self._moving is msgspec.UNSET else self._moving
            before = optical_flow.recalled(moving, captured_ns, image.shape[:2])
        else:
            known, seen_ns = self._known
            before = None if forgotten(seen_ns, captured_ns) else known
        now = optical_flow.seen(before, image)
        self._known = now, captured_ns
        return now.flows

    def _for_scene(self, picture: Picture) -> NDArray[np.uint8] | None:
        """The first sampled frame of each part of a second; whether it is due there, its state says."""
        if self._scene is None or self._scene_letterbox is None:
            return None
        part = bucket(picture.captured_ns, self._scene.fps)
        if part == self._scene_part:
            return None
        self._scene_part = part
        image = np.empty((self._scene.height, self._scene.width, 3), np.uint8)
        self._scene_letterbox.from_frame(picture.frame, image)
        return image

    def _passed(self, unit: AccessUnit) -> Prepared:
        """Not even decoded: in order of decoding, a later frame may have come before it."""
        now = bucket(unit.captured_ns, self._rate)
        shed = self._bucket is None or now > self._bucket
        if shed:
            self._bucket = now
        return Prepared(unit.captured_ns, unit.pts, unit.index, unit.width, unit.height, None, {}, shed)
