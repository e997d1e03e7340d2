"""Runs a served model before anybody relies on it. Needs ONNX Runtime."""

import time
from collections.abc import Callable
from typing import Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from training.contract import INPUT, OUTPUT, ROW, Detector, ModelError, ServedModel

_PICTURES = 3
_TIMED: Final = 30


def session(graph: bytes | str, threads: int = 1) -> onnxruntime.InferenceSession:
    """A CPU session as the served model gets one. `graph`: serialised model, or the path of one."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def pictures(detector: Detector, count: int) -> NDArray[np.uint8]:
    """[count, H, W, 3]: coarse random blocks, different in each; a constant picture would prove little."""
    rng = np.random.default_rng(7)
    coarse = rng.integers(0, 256, (count, -(-detector.height // 16), -(-detector.width // 16), 3), np.uint8)
    fine = coarse.repeat(16, axis=1).repeat(16, axis=2)
    return np.ascontiguousarray(fine[:, : detector.height, : detector.width])


def milliseconds(run: Callable[[], object]) -> float:
    """Median of some runs, of the processor's time."""
    taken = []
    for _ in range(_TIMED):
        before = time.process_time()
        run()
        taken.append(time.process_time() - before)
    return round(float(np.median(taken)) * 1e3, 2)


def try_out(model: ServedModel) -> str:
    """Runs the model; a sentence for its card. Raises ModelError when it doesn't keep the contract."""
    detector = model.detector
    try:
        running = session(model.graph.SerializeToString())
        images = pictures(detector, _PICTURES)
        singles = [np.asarray(running.run([OUTPUT], {INPUT: images[i : i + 1]})[0]) for i in range(_PICTURES)]
        batch = np.asarray(running.run([OUTPUT], {INPUT: images})[0]) if detector.max_batch_size > 1 else None
    except Exception as error:  # ONNX Runtime's own exceptions have no common base
        raise ModelError(f"ONNX Runtime can't run the model: {str(error).splitlines()[0][:200]}") from None
    for rows in singles:
        if rows.shape != (1, detector.rows, ROW) or not np.isfinite(rows).all():
            raise ModelError(f"the model answers {rows.shape} or numbers that aren't finite")
    if batch is None:
        return "run with ONNX Runtime, one picture at a time"
    if not np.array_equal(batch, np.concatenate(singles)):
        raise ModelError("the model answers a batch otherwise than its pictures one by one")
    return "run with ONNX Runtime: a batch equals its pictures one by one, bit for bit"
