"""What is accepted as a detector's network, and how its batch is freed."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from tests.training.tables import network
from training.contract import ModelError
from training.raw_network import RawNetwork, prepare, read_model
from training.trial import session

TABLE = np.zeros((84, 7), np.float32)


def outputs(ready: RawNetwork, batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    return [np.asarray(o) for o in session(ready.model.SerializeToString()).run(None, {ready.input: batch})]


def graph(nodes: list[onnx.NodeProto], weights: Mapping[str, NDArray[np.int64]], output: list[int]) -> ModelProto:
    """A network on 1x3x8x8 pictures."""
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 8, 8])
    last = helper.make_tensor_value_info("output", TensorProto.FLOAT, output)
    initializers = [numpy_helper.from_array(v, k) for k, v in weights.items()]
    made = helper.make_graph(nodes, "network", [images], [last], initializers)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)


def test_reshapes_and_resizes_to_a_fixed_batch_are_freed() -> None:
    """Shuffles channels as ShuffleNet does, enlarges to fixed sizes, flattens: every one has a 1 for the batch."""
    nodes = [
        helper.make_node("Concat", ["images", "images"], ["six"], axis=1),
        helper.make_node("Reshape", ["six", "split"], ["pairs"]),
        helper.make_node("Transpose", ["pairs"], ["turned"], perm=[0, 2, 1, 3, 4]),
        helper.make_node("Reshape", ["turned", "merged"], ["shuffled"]),
        helper.make_node("Resize", ["shuffled", "", "", "large"], ["enlarged"], mode="nearest"),
        helper.make_node("Reshape", ["enlarged", "rows"], ["output"]),
    ]
    shapes = {"split": [1, 2, 3, 8, 8], "merged": [1, -1, 8, 8], "large": [1, 6, 16, 16], "rows": [1, 6, -1]}
    model = graph(nodes, {k: np.array(v, np.int64) for k, v in shapes.items()}, [1, 6, 256])
    ready = prepare(model)
    assert ready.batches
    batch = np.random.default_rng(0).random((4, 3, 8, 8), np.float32)
    singles = [session(model.SerializeToString()).run(None, {"images": batch[i : i + 1]})[0] for i in range(4)]
    np.testing.assert_array_equal(outputs(ready, batch)[0], np.concatenate(singles))


def test_shapes_that_the_graph_computes_are_folded_and_freed() -> None:
    nodes = [
        helper.make_node("Shape", ["images"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["first"], axis=0),
        helper.make_node("Concat", ["first", "rest"], ["target"], axis=0),
        helper.make_node("Reshape", ["images", "target"], ["output"]),
    ]
    weights = {"zero": np.array([0], np.int64), "rest": np.array([3, -1], np.int64)}
    ready = prepare(graph(nodes, weights, [1, 3, 64]))
    assert ready.batches
    assert {n.op_type for n in ready.model.graph.node} == {"Reshape"}
    assert outputs(ready, np.zeros((2, 3, 8, 8), np.float32))[0].shape == (2, 3, 64)


def test_a_network_that_folds_its_batch_away_is_tied_to_one_picture() -> None:
    ready = prepare(network({"output": TABLE}, tied=True))
    assert not ready.batches
    assert outputs(ready, np.zeros((1, 3, 64, 64), np.float32))[0].shape == (1, 84, 7)


def test_open_size_must_be_said() -> None:
    model = network({"output": TABLE}, ("height", "width"))
    with pytest.raises(ModelError, match="--size"):
        prepare(model)
    ready = prepare(model, (96, 64))
    assert (ready.width, ready.height) == (96, 64)


def test_fixed_size_cannot_be_changed() -> None:
    with pytest.raises(ModelError, match="takes 64x64 pixels only, not 96x64"):
        prepare(network({"output": TABLE}), (96, 64))


def test_open_batch_is_fine_and_a_batch_of_four_is_not() -> None:
    model = network({"output": TABLE})
    first = model.graph.input[0].type.tensor_type.shape.dim[0]
    first.dim_param = "batch"
    assert prepare(model).batches
    first.dim_value = 4
    with pytest.raises(ModelError, match="exactly 4 pictures"):
        prepare(model)


@pytest.mark.parametrize(("opset", "fits"), [(10, False), (11, True), (20, True), (99, False)])
def test_opset(opset: int, fits: bool) -> None:
    model = network({"output": TABLE}, opset=opset)
    if fits:
        assert prepare(model).opset == opset
    else:
        with pytest.raises(ModelError, match=f"opset {opset} is not supported"):
            prepare(model)


def test_grey_pictures_are_refused() -> None:
    with pytest.raises(ModelError, match=r"float32 \[N, 3, height, width\], this one is images float \[1, 1, 64, 64\]"):
        prepare(network({"output": TABLE}, channels=1))


def test_two_inputs_are_refused() -> None:
    model = network({"output": TABLE})
    model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1, 64, 64]))
    with pytest.raises(ModelError, match="has one input, this network has 2"):
        prepare(model)


def test_weights_listed_as_inputs_are_no_inputs() -> None:
    model = network({"output": TABLE})
    for weight in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(weight.name, weight.data_type, list(weight.dims)))
    assert prepare(model).input == "network/images"


def test_an_output_of_open_length_is_refused() -> None:
    """As networks have that suppress inside."""
    nodes = [helper.make_node("NonZero", ["images"], ["where"]), helper.make_node("Cast", ["where"], ["output"], to=1)]
    with pytest.raises(ModelError, match="export without suppression inside"):
        prepare(graph(nodes, {}, [4, 0]))


@pytest.mark.parametrize("content", [b"", b"not a model\n", b"\x08\x07" + bytes(100)])
def test_a_corrupt_file_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "broken.onnx"
    file.write_bytes(content)
    with pytest.raises(ModelError, match="not a valid ONNX model"):
        read_model(file)


def test_half_a_file_is_refused(tmp_path: Path) -> None:
    whole = network({"output": TABLE}).SerializeToString()
    file = tmp_path / "half.onnx"
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="not a valid ONNX model"):
        read_model(file)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        read_model(tmp_path / "none.onnx")
