"""The baseline: decode, scale, infer in one process and one thread, and nothing else.

Run as `python -m benchmarks.bare_loop CLIP MODEL.onnx FRAMES [FPS]`; prints one JSON object. With FPS it takes a frame
at a time at that rate, as a camera gives them, and not one after the other.
"""

import json
import sys
import time
from pathlib import Path

import av
import numpy as np
import onnxruntime

WARM_UP_FRAMES = 15


def run(clip: Path, model: Path, frames: int, fps: float | None = None) -> dict[str, float]:
    """CPU seconds per frame after the warm-up, and boxes above 0.3 as a check that work was done."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    _, height, width, _ = session.get_inputs()[0].shape
    done, boxes, started = 0, 0, 0.0
    begin = time.monotonic()
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for frame in container.decode(stream):
            if done == WARM_UP_FRAMES:
                started = time.process_time()
            image = _fitted(frame, width, height)
            (rows,) = session.run(["detections"], {"image": image[np.newaxis]})
            boxes += int((rows[0, :, 4] > 0.3).sum())
            done += 1
            if done == frames + WARM_UP_FRAMES:
                break
            if fps is not None:
                time.sleep(max(0.0, begin + done / fps - time.monotonic()))
    counted = done - WARM_UP_FRAMES
    return {"frames": counted, "cpu_seconds_per_frame": (time.process_time() - started) / counted, "boxes": boxes}


def _fitted(frame: av.VideoFrame, width: int, height: int) -> np.ndarray:
    """Proportions kept, grey below or beside."""
    scale = min(width / frame.width, height / frame.height)
    w, h = int(frame.width * scale + 1e-9), int(frame.height * scale + 1e-9)
    image = np.full((height, width, 3), 114, np.uint8)
    image[:h, :w] = frame.reformat(w, h, "rgb24", interpolation="AREA").to_ndarray()
    return image


if __name__ == "__main__":
    pace = float(sys.argv[4]) if len(sys.argv) > 4 else None
    print(json.dumps(run(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), pace)))
