"""The configurations of networks that carry state: they come back, and nothing else is taken for them."""

from pathlib import Path
from types import ModuleType

import pytest

import training.fusion.contract as fusion
import training.temporal.contract as temporal
import training.two_streams.contract as two_streams
from training.contract import ModelError
from training.model_repository import load
from training.stateful import Stateful

FUSION = fusion.Served("x", 96, 160, ("empty", "flowing"), 4.0, 114, 480)
TEMPORAL = temporal.Served("x", 128, 224, ("car", "van"), 8.0, 114, (2, 48, 16, 28), 50)
TWO_STREAMS = two_streams.Served("x", 128, 224, ("car", "van"), 8.0, 114, (64, 112, 16), 50)
each_contract = pytest.mark.parametrize(
    ("contract", "served"), [(fusion, FUSION), (temporal, TEMPORAL), (two_streams, TWO_STREAMS)]
)


@each_contract
def test_a_configuration_comes_back(contract: ModuleType, served: Stateful) -> None:
    assert contract.parse_config(contract.config_text(served)) == served


@each_contract
@pytest.mark.parametrize("text", ["", "nonsense {", 'parameters { key: "role" value { string_value: "screen" } }'])
def test_what_is_no_network_with_state_is_refused(contract: ModuleType, served: Stateful, text: str) -> None:
    with pytest.raises(ModelError, match=r"config\.pbtxt"):
        contract.parse_config(text)


@pytest.mark.parametrize(
    ("contract", "served", "was", "becomes"),
    [
        (fusion, FUSION, "dims: 480", "dims: 481"),
        (fusion, FUSION, '"next_h"', '"other"'),
        (fusion, FUSION, '"fusion"', '"temporal"'),
        (temporal, TEMPORAL, "dims: 48", "dims: 47"),
        (temporal, TEMPORAL, '"next_memory"', '"other"'),
        (temporal, TEMPORAL, '"temporal"', '"fusion"'),
        (two_streams, TWO_STREAMS, '"flow"', '"other"'),
        (two_streams, TWO_STREAMS, "dims: 6\n", "dims: 7\n"),
        (two_streams, TWO_STREAMS, '"two-streams"', '"temporal"'),
    ],
)
def test_what_does_not_fit_together_is_refused(contract: ModuleType, served: Stateful, was: str, becomes: str) -> None:
    text = contract.config_text(served)
    assert was in text
    with pytest.raises(ModelError, match=r"config\.pbtxt"):
        contract.parse_config(text.replace(was, becomes, 1))


@each_contract
def test_none_is_taken_for_a_detector_that_sees_a_picture_alone(
    contract: ModuleType, served: Stateful, tmp_path: Path
) -> None:
    (tmp_path / "x" / "1").mkdir(parents=True)
    (tmp_path / "x" / "config.pbtxt").write_text(contract.config_text(served))
    (tmp_path / "x" / "1" / "model.onnx").write_bytes(b"")
    with pytest.raises(ModelError, match="not a served detector"):
        load(tmp_path / "x")


def test_flow_goes_in_as_signed_bytes() -> None:
    text = two_streams.config_text(TWO_STREAMS)
    assert [line.split()[1] for line in text.splitlines() if "data_type" in line] == [
        "TYPE_UINT8",
        "TYPE_INT8",
        "TYPE_FP32",
    ]
