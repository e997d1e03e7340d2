"""ONNX Runtime's calibration table for TensorRT: how large each value inside a detector's network becomes.

Only the network itself is in it, not the decoding of its boxes: without a range TensorRT leaves a layer in higher
precision, and positions in a picture do not fit into eight bits. Needs ONNX Runtime.
"""

import tempfile
from pathlib import Path

import numpy as np
from onnxruntime.quantization.calibrate import CalibrationMethod, TensorData, create_calibrator
from onnxruntime.quantization.quant_utils import write_calibration_table

from training.contract import INPUT, ModelError, ServedModel
from training.int8_graph import FeedReader, quiet
from training.quantization import Pixels

_ENOUGH = 8


def calibration_table(model: ServedModel, pictures: Pixels) -> tuple[bytes, dict[str, float]]:
    """The file, and what is in it: by the tensors' names the largest magnitude. `pictures` uint8 [n, H, W, 3],
    letterboxed. Raises ModelError for a model with quantisers of its own, which takes no table, and for too few
    pictures."""
    if len(pictures) < _ENOUGH:
        raise ModelError(f"{len(pictures)} pictures to calibrate with; at least {_ENOUGH} are needed")
    nodes = model.graph.graph.node
    behind = {name for node in nodes if node.name.startswith("served/after/") for name in node.input}
    network = [node for node in nodes if not node.name.startswith("served/")]
    inside = {name for node in network for name in (*node.input, *node.output)} - behind
    with tempfile.TemporaryDirectory() as folder, quiet():
        source = Path(folder, "model.onnx")
        source.write_bytes(model.graph.SerializeToString())
        calibrator = create_calibrator(
            source,
            sorted({node.op_type for node in network}),
            augmented_model_path=str(Path(folder, "augmented.onnx")),
            calibrate_method=CalibrationMethod.MinMax,
        )
        calibrator.set_execution_providers(["CPUExecutionProvider"])
        calibrator.collect_data(FeedReader({INPUT: picture[None]} for picture in pictures))
        ranges = {
            name: max(abs(float(np.min(found.range_value[0]))), abs(float(np.max(found.range_value[1]))))
            for name, found in calibrator.compute_data().items()
            if name in inside
        }
        # the writer takes the larger of both ends as it stands, so that -5 to 2 would become 2: it gets magnitudes
        ends = {name: TensorData(lowest=np.float32(0), highest=np.float32(most)) for name, most in ranges.items()}
        write_calibration_table(ends, folder)
        return Path(folder, "calibration.flatbuffers").read_bytes(), ranges
