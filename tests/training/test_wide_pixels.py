"""A first convolution over wide pixels gives what the one over pixels gives."""

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from training.contract import INPUT
from training.trial import session
from training.wide_pixels import widened

HEIGHT = 12


def network(
    weights: NDArray[np.float32],
    width: int,
    strides: tuple[int, int],
    pads: tuple[int, int, int, int],
    factor: NDArray[np.float32],
    before: str = "Mul",
    **more: Any,
) -> ModelProto:
    """Bytes [N, HEIGHT, width, 3] times a factor into one convolution."""
    nodes = [
        helper.make_node("Transpose", [INPUT], ["planes"], name="served/before/planes", perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["planes"], ["numbers"], name="served/before/numbers", to=TensorProto.FLOAT),
        helper.make_node(before, ["numbers", "factor"], ["scaled"], name="served/before/scaled"),
        helper.make_node(
            "Conv", ["scaled", "w"], ["out"], name="network/first", strides=strides, pads=pads,
            kernel_shape=weights.shape[2:], **more,
        ),
    ]  # fmt: skip
    constants = [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(factor, "factor")]
    shape: list[str | int | None] = ["N", HEIGHT, width, 3]
    graph = helper.make_graph(
        nodes,
        "beginning",
        [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["N", len(weights), None, None])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def answer(model: ModelProto, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.asarray(session(model.SerializeToString()).run(None, {INPUT: pictures})[0])


def whole(dice: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Numbers whose sums float32 holds exactly, in whatever order they are added."""
    return dice.integers(-9, 10, shape).astype(np.float32)


@settings(max_examples=60)
@given(st.data())
def test_the_same_comes_out(data: st.DataObject) -> None:
    dice = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    group = data.draw(st.integers(2, 4))
    width = group * data.draw(st.integers(3, 6))
    left, right = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))
    # no kernel is wider than what it looks at
    rows, columns = data.draw(st.integers(1, 4)), data.draw(st.integers(1, min(7, left + width + right)))
    pads = (data.draw(st.integers(0, 1)), left, data.draw(st.integers(0, 1)), right)
    factor = whole(dice, data.draw(st.sampled_from([(1, 3, 1, 1), (3, 1, 1), (1,)])))
    model = network(whole(dice, (5, 3, rows, columns)), width, (2, group), pads, factor)
    wide = widened(model)
    pictures = dice.integers(0, 256, (2, HEIGHT, width, 3), dtype=np.uint8)
    np.testing.assert_array_equal(answer(wide, pictures), answer(model, pictures))
    told = {one.name: helper.get_attribute_value(one) for one in wide.graph.node[-1].attribute}
    if wide is not model:
        assert told["strides"] == [2, 1]


def test_what_detectors_begin_with_is_widened() -> None:
    """Three or six pixels square, every second or fourth of them."""
    dice = np.random.default_rng(1)
    for size, stride in ((3, 2), (6, 2), (6, 4)):
        pads = (1, 1, 1, 1) if size == 3 or stride == 4 else (2, 2, 2, 2)
        model = network(whole(dice, (8, 3, size, size)), 24, (stride, stride), pads, whole(dice, (1,)))
        wide = widened(model)
        assert wide is not model
        assert wide.graph.node[0].op_type == "Reshape"
        assert wide.graph.initializer[0].dims[1] == 3 * stride


@pytest.mark.parametrize(
    ("width", "strides", "more"),
    [(24, (1, 1), {}), (25, (2, 2), {}), (24, (2, 2), {"dilations": [2, 2]})],
    ids=["every pixel", "a pixel left over", "pixels apart"],
)
def test_other_beginnings_are_left_alone(width: int, strides: tuple[int, int], more: dict[str, Any]) -> None:
    dice = np.random.default_rng(1)
    model = network(whole(dice, (8, 3, 3, 3)), width, strides, (1, 1, 1, 1), whole(dice, (1,)), **more)
    assert widened(model) is model
