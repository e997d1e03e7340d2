"""The thread side of a session: access units in, images for the detector out. One object per camera and chain."""

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from processors.ports import ModelContract
from processors.sampling import bucket
from schemas.analysis import Analysis
from schemas.messages import AccessUnit
from vision import signal
from vision.decoder import GopDecoder, Picture
from vision.letterbox import Letterbox


class Prepared(msgspec.Struct, frozen=True):
    """A decoded frame. `image` is None when the frame is not sampled."""

    captured_ns: int
    pts: int
    index: int
    width: int
    height: int
    image: NDArray[np.uint8] | None
    signals: dict[str, str]


class GopReader:
    """Decodes one camera's GOPs one after the other and letterboxes what is sampled."""

    def __init__(self, analysis: Analysis, contract: ModelContract, last_bucket: int | None) -> None:
        self._analysis = analysis
        self.contract: Final = contract
        self._letterbox = Letterbox(contract.width, contract.height, contract.letterbox, contract.pad)
        self._decoder: GopDecoder | None = None
        self.undecodable = 0
        """of the GOP that was closed last"""
        self.last_bucket = last_bucket
        """part of the checkpoint: where sampling goes on"""

    def open(self, unit: AccessUnit) -> None:
        self._decoder, self.undecodable = GopDecoder(unit.codec), 0

    def read(self, unit: AccessUnit) -> list[Prepared]:
        """Raises CorruptAccessUnit."""
        assert self._decoder is not None
        return [self._prepare(picture) for picture in self._decoder.decode(unit)]

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
        now = bucket(picture.captured_ns, self._analysis.sample_fps)
        sampled = self.last_bucket is None or now != self.last_bucket
        image: NDArray[np.uint8] | None = None
        signals: dict[str, str] = {}
        if sampled:
            self.last_bucket = now
            image = np.empty((self.contract.height, self.contract.width, 3), np.uint8)
            self._letterbox.from_frame(picture.frame, image)
            signals = {light.name: signal.read(picture.frame, light.region) for light in self._analysis.signals}
        return Prepared(
            captured_ns=picture.captured_ns,
            pts=picture.pts,
            index=picture.offset_index,
            width=picture.frame.width,
            height=picture.frame.height,
            image=image,
            signals=signals,
        )
