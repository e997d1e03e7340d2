"""The configurations of networks that carry state: they come back, and nothing else is taken for them."""

from types import ModuleType

import pytest

import training.fusion.contract as fusion
import training.temporal.contract as temporal
from training.contract import ModelError
from training.stateful import Stateful

FUSION = fusion.Served("x", 96, 160, ("empty", "flowing"), 4.0, 114, 480)
TEMPORAL = temporal.Served("x", 128, 224, ("car", "van"), 8.0, 114, (2, 48, 16, 28), 50)
each_contract = pytest.mark.parametrize(("contract", "served"), [(fusion, FUSION), (temporal, TEMPORAL)])


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
    ],
)
def test_what_does_not_fit_together_is_refused(contract: ModuleType, served: Stateful, was: str, becomes: str) -> None:
    text = contract.config_text(served)
    assert was in text
    with pytest.raises(ModelError, match=r"config\.pbtxt"):
        contract.parse_config(text.replace(was, becomes, 1))
