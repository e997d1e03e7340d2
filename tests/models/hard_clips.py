"""What holds of every bundled network that has learnt from hard clips."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest

from training.hard_clips.gain import ALL, Compared
from training.model_card import digest, read_card


def agree(home: Path, names: Sequence[str], shapes: Mapping[str, tuple[int, ...]], most_bytes: int) -> None:
    """Graph and card. `names`: its inputs, then its outputs; their shapes are without the batch."""
    card, served = read_card(home / "card.json"), home / "1" / "model.onnx"
    assert card.served_sha256 == digest(served)
    assert card.licence == "Apache-2.0"
    assert {"recipes", "learnt_from", "judged_on", "features", "result", "commit"} <= set(card.facts)
    assert served.stat().st_size < most_bytes
    graph = onnx.load(served).graph
    found = {value.name: value.type.tensor_type.shape.dim for value in (*graph.input, *graph.output)}
    assert tuple(found) == tuple(names)
    assert {name: tuple(d.dim_value for d in dims)[1:] for name, dims in found.items()} == shapes


def fit(
    facts: Mapping[str, msgspec.Raw], parts: Mapping[str, Compared], by_class: Mapping[str, tuple[float, float]]
) -> None:
    """The card's figures, together."""
    learnt, judged = (msgspec.json.decode(facts[name])["rendering"]["seed"] for name in ("learnt_from", "judged_on"))
    assert abs(learnt - judged) > 1000, "seeds far apart"
    everything = parts[ALL]
    for name, part in parts.items():
        assert part.pictures <= everything.pictures, name
        assert part.objects <= everything.objects, name
        first, second = part.map50
        rounded = 1e-4 * (1 + first / second) / second
        assert part.gain50.share == pytest.approx(first / second - 1, abs=rounded + 1e-4), name
        assert part.gain50.low <= part.gain50.high, name
        assert all(more >= less for more, less in zip(part.map50, part.map50_95, strict=True)), name
    means = np.mean(list(by_class.values()), axis=0)
    assert tuple(means) == pytest.approx(everything.map50_95, abs=2e-4)
