"""Any picture fitted into a model's input, and boxes brought back."""

from typing import Final, Literal, TypeAlias

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

Pixels: TypeAlias = npt.NDArray[np.uint8]
Floats: TypeAlias = npt.NDArray[np.float64]

# swscale's default arithmetic differs between processors by a level or two; with these two flags it is defined.
_EXACT: Final = Interpolation.BITEXACT | Interpolation.ACCURATE_RND
# Averaging the covered pixels costs 0.9 ms for 1080p -> 416 wide where swscale's bilinear costs 1.7 ms; it is only
# meant for making pictures smaller.
_SHRINK: Final = Interpolation.AREA | _EXACT
_ENLARGE: Final = Interpolation.BILINEAR | _EXACT

_UNSPECIFIED_MATRIX: Final = 2  # AVCOL_SPC_UNSPECIFIED
_SD_WIDTH: Final = 1280
_SD_HEIGHT: Final = 576


class Letterbox:
    """Scales to fit into width x height with the proportions kept, and fills the rest with grey `pad`.

    One per camera and thread: the scaler keeps its tables between pictures of the same size.
    """

    def __init__(
        self, width: int, height: int, align: Literal["top_left", "center"] = "top_left", pad: int = 114
    ) -> None:
        if width < 1 or height < 1:
            raise ValueError(f"a model input of {width} x {height} pixels")
        if not 0 <= pad <= 255:
            raise ValueError(f"pad {pad} is not within 0..255")
        self.width: Final = width
        self.height: Final = height
        self.align: Final = align
        self.pad: Final = pad
        self._scaler: Final = VideoReformatter()

    def from_frame(self, frame: av.VideoFrame, out: Pixels) -> None:
        """Writes the letterboxed picture into `out`, uint8 [height, width, 3], RGB.

        The picture is converted at the small size only. The same bytes on every machine. ValueError for another
        shape of `out`, av.error.FFmpegError for a pixel format that cannot be converted.
        """
        if out.shape != (self.height, self.width, 3) or out.dtype != np.uint8:
            raise ValueError(f"{out.dtype} {out.shape} where uint8 {(self.height, self.width, 3)} was expected")
        left, top, width, height = self.placement(frame.width, frame.height)
        small = self._scaler.reformat(
            frame,
            width,
            height,
            "rgb24",
            src_colorspace=_matrix(frame),
            dst_color_range=ColorRange.JPEG,
            interpolation=_SHRINK if width <= frame.width else _ENLARGE,
            threads=1,
        )
        plane = small.planes[0]
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[:height, : width * 3]
        out[top : top + height, left : left + width] = rows.reshape(height, width, 3)
        self._fill(out, left, top, width, height)

    def from_rgb(self, rgb: Pixels) -> Pixels:
        """uint8 [h, w, 3] to uint8 [height, width, 3], as training code does it (OpenCV, bilinear)."""
        left, top, width, height = self.placement(rgb.shape[1], rgb.shape[0])
        out = np.empty((self.height, self.width, 3), np.uint8)
        small = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_LINEAR)
        out[top : top + height, left : left + width] = small
        self._fill(out, left, top, width, height)
        return out

    def unmap(self, xyxy: npt.NDArray[np.floating], source_width: int, source_height: int) -> Floats:
        """Boxes [n, 4] in pixels of the input to float64 [n, 4] in pixels of the source, clipped to it."""
        left, top, width, height = self.placement(source_width, source_height)
        boxes = np.asarray(xyxy, np.float64).reshape(-1, 4)
        scale_x, scale_y = source_width / width, source_height / height
        boxes = (boxes - (left, top, left, top)) * (scale_x, scale_y, scale_x, scale_y)
        return np.clip(boxes, 0.0, (source_width, source_height, source_width, source_height))

    def placement(self, source_width: int, source_height: int) -> tuple[int, int, int, int]:
        """left, top, width, height of the scaled picture in the input, in pixels."""
        if source_width < 1 or source_height < 1:
            raise ValueError(f"a picture of {source_width} x {source_height} pixels")
        ratio = min(self.width / source_width, self.height / source_height)
        # 1e-9: 1920 * (416 / 1920) may come out as 415.999…
        width = max(1, int(source_width * ratio + 1e-9))
        height = max(1, int(source_height * ratio + 1e-9))
        if self.align == "top_left":
            return 0, 0, width, height
        return (self.width - width) // 2, (self.height - height) // 2, width, height

    def _fill(self, out: Pixels, left: int, top: int, width: int, height: int) -> None:
        # Every time: `out` may be another slot than last time, and this takes a hundredth of the scaling's time.
        out[:top] = self.pad
        out[top + height :] = self.pad
        out[top : top + height, :left] = self.pad
        out[top : top + height, left + width :] = self.pad


def _matrix(frame: av.VideoFrame) -> Colorspace | None:
    """The YUV matrix. A stream that names none is high definition in BT.709 or standard definition in BT.601:
    what players assume. None: as the frame says."""
    if frame.colorspace != _UNSPECIFIED_MATRIX:
        return None
    if frame.width >= _SD_WIDTH or frame.height > _SD_HEIGHT:
        return Colorspace.ITU709
    return Colorspace.ITU601
