"""Learning curves as a picture."""

import io
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from matplotlib.figure import Figure

Curve = Sequence[tuple[int, float]]
"""values by step"""


def losses(curve: Sequence[tuple[int, Mapping[str, float]]]) -> dict[str, Curve]:
    """What a trainer keeps, loss by loss."""
    names = curve[0][1] if curve else ()
    return {name: [(step, means[name]) for step, means in curve] for name in names}


def curves_of(states: Mapping[str, Mapping[str, Any]]) -> dict[str, Curve]:
    """Of several networks' checkpoints by name."""
    return {
        f"{part}, {name}": curve for part, state in states.items() for name, curve in losses(state["curve"]).items()
    }


def drawn(name: str, curves: Mapping[str, Curve], judged: Mapping[int, float] = MappingProxyType({})) -> bytes:
    """PNG; the same bytes for the same figures. `curves`: losses by name; `judged`: mAP50 on the validation part."""
    figure = Figure(figsize=(6, 3.4), layout="tight")
    axes = figure.subplots()
    for part, curve in curves.items():
        axes.plot([step for step, _ in curve], [loss for _, loss in curve], linewidth=1, label=part)
    axes.set(xlabel="step", ylabel="loss", title=name, yscale="log")
    lines, legend = axes.get_lines(), axes
    if judged:
        legend = axes.twinx()
        legend.plot(sorted(judged), [judged[step] for step in sorted(judged)], "k.-", label="mAP50, validation")
        legend.set(ylabel="mAP50", ylim=(0, 1))
        lines = [*lines, *legend.get_lines()]
    legend.legend(lines, [str(line.get_label()) for line in lines], fontsize="small")
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=80, metadata={"Software": None})
    return content.getvalue()
