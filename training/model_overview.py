"""A line for every bundled network: what it reaches, what a simpler way reaches, what it costs. From the cards."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from training.fusion.report import Int8Report
from training.fusion.report import Report as FusionReport
from training.hard_clips.gain import ALL, Compared
from training.inspection.judging import Report
from training.int8_variant import QUANTIZATION, REFUSED, SUFFIX, Int8Trial
from training.model_card import ModelCard
from training.pose.judging import PoseReport
from training.quantization import Quantization
from training.temporal.report import Report as TemporalReport
from training.two_streams.report import OCCLUDED
from training.two_streams.report import Report as TwoStreamsReport


class Overview(Struct, frozen=True):
    """None: its card does not say. Milliseconds are of one picture on one thread, both measured in turns."""

    network: str
    judged_on: str | None = None
    """pictures that it has not learnt from"""
    metric: str | None = None
    value: float | None = None
    baseline: float | None = None
    """what the simpler way reaches ..."""
    baseline_is: str | None = None
    """... and which that is"""
    float32_ms: float | None = None
    int8_ms: float | None = None
    int8_lost: float | None = None
    """of what the INT8 variant is judged by"""
    int8_refused: bool = False
    """it does not pay, and is not served"""
    float32_bytes: int | None = None
    int8_bytes: int | None = None

    @property
    def gain(self) -> float | None:
        return None if self.value is None or self.baseline is None else round(self.value - self.baseline, 4)

    @property
    def times_faster(self) -> float | None:
        return round(self.float32_ms / self.int8_ms, 2) if self.float32_ms and self.int8_ms else None


Facts = Mapping[str, msgspec.Raw]


def overviews(cards: Mapping[str, ModelCard], sizes: Mapping[str, int]) -> list[Overview]:
    """`sizes`: bytes, by model. An INT8 variant stands in its network's line. Raises msgspec.DecodeError."""
    lines = []
    for name, card in cards.items():
        if name.removesuffix(SUFFIX) in cards and name.endswith(SUFFIX):
            continue
        quick = cards.get(name + SUFFIX)
        line = Overview(name, float32_bytes=sizes[name], int8_bytes=sizes.get(name + SUFFIX))
        if read := _READERS.get(card.family):
            line = msgspec.structs.replace(line, **read(card.facts, quick.facts if quick else {}))
        lines.append(line)
    return lines


def table(lines: list[Overview]) -> str:
    """In Markdown."""
    rows = "".join(
        f"| `{each.network}` | {_or_dash(each.judged_on)} | {_or_dash(each.metric)} | {_number(each.value, '.3f')}"
        f" | {_baseline(each)} | {_number(each.gain, '+.3f')} | {_number(each.float32_ms, '.2f')}"
        f" | {_number(each.int8_ms, '.2f')} | {_number(each.times_faster, '.2f')} | {_lost(each)}"
        f" | {_megabytes(each)} |\n"
        for each in lines
    )
    return f"""
What each reaches on what it hasn't learnt from, and what a picture costs on one thread, in float32 and in INT8; more
below. Lost: by INT8, of the metric (of `junction-two-streams`, mAP50 of all pictures). A dash: its card does not say,
or there is none.

| network | judged on | metric | value | baseline | gain | float32, ms | INT8, ms | times as fast | lost | size, MB |
|---|---|---|---|---|---|---|---|---|---|---|
{rows}"""


def for_programs(lines: list[Overview]) -> list[dict[str, Any]]:
    return [{**msgspec.to_builtins(each), "gain": each.gain, "times_faster": each.times_faster} for each in lines]


def _detector(facts: Facts, quick: Facts) -> dict[str, Any]:
    result = msgspec.json.decode(facts["result"])
    told = {"judged_on": f"{result['pictures']} pictures", "metric": "mAP50-95", "value": result["map50_95"]}
    if QUANTIZATION in quick:
        trial = msgspec.json.decode(quick[QUANTIZATION], type=Quantization)
        told |= {
            "float32_ms": trial.milliseconds_before,
            "int8_ms": trial.milliseconds_after,
            "int8_lost": _difference(trial.before, trial.after),
        }
    return told


def _temporal(facts: Facts, quick: Facts) -> dict[str, Any]:
    report = msgspec.json.decode(facts["result"], type=TemporalReport)
    told = _of_hard_clips(report.parts[ALL], "made hard", "single pictures")
    return {**told, "float32_ms": report.milliseconds[0], **_in_int8(facts, quick)}


def _two_streams(facts: Facts, quick: Facts) -> dict[str, Any]:
    report = msgspec.json.decode(facts["result"], type=TwoStreamsReport)
    told = _of_hard_clips(report.parts[OCCLUDED], "with hidden objects", "appearance alone")
    return {**told, "float32_ms": report.milliseconds[0], **_in_int8(facts, quick)}


def _of_hard_clips(part: Compared, which: str, baseline_is: str) -> dict[str, Any]:
    value, baseline = part.map50
    return {
        "judged_on": f"{part.pictures} pictures {which}",
        "metric": "mAP50",
        "value": value,
        "baseline": baseline,
        "baseline_is": baseline_is,
    }


def _fusion(facts: Facts, quick: Facts) -> dict[str, Any]:
    report = msgspec.json.decode(facts["result"], type=FusionReport)
    told = {
        "judged_on": f"{report.pictures} pictures",
        "metric": "accuracy",
        "value": report.fusion.accuracy,
        "baseline": report.baseline.accuracy,
        "baseline_is": "without LSTM",
    }
    if QUANTIZATION in quick:
        trial = msgspec.json.decode(quick[QUANTIZATION], type=Int8Report)
        told |= {"float32_ms": trial.whole.float32_ms, "int8_ms": trial.whole.int8_ms, "int8_lost": trial.lost}
    return told


def _screen(facts: Facts, quick: Facts) -> dict[str, Any]:
    report = msgspec.json.decode(facts["result"], type=Report)
    return {
        "judged_on": f"{report.parts[0]} good parts",
        "metric": "share passed at once",
        "value": report.cascade.passed,
        "baseline": report.background_difference.passed,
        "baseline_is": "difference to the background",
        "float32_ms": report.screen_ms,
        **_in_int8(facts, quick),
    }


def _locator(facts: Facts, quick: Facts) -> dict[str, Any]:
    report = msgspec.json.decode(facts["result"], type=Report)
    return {
        "judged_on": f"{report.parts[1]} defective parts",
        "metric": "overlap of pixels",
        "value": report.localisation.iou,
        "baseline": report.plain_iou,
        "baseline_is": "difference to the background",
        "float32_ms": report.locator_ms,
        **_in_int8(facts, quick),
    }


def _pose(facts: Facts, quick: Facts) -> dict[str, Any]:
    report = msgspec.json.decode(facts["result"], type=PoseReport)
    return {
        "judged_on": f"{report.people} people",
        "metric": "OKS, mean of .50 to .95",
        "value": report.network.oks,
        "baseline": report.baseline.oks,
        "baseline_is": "mean pose",
        "float32_ms": report.milliseconds,
        **_in_int8(facts, quick),
    }


def _in_int8(facts: Facts, quick: Facts) -> dict[str, Any]:
    """Both times are of the trial, where they took turns."""
    raw = quick.get(QUANTIZATION) or facts.get(REFUSED)
    if raw is None:
        return {}
    trial = msgspec.json.decode(raw, type=Int8Trial)
    return {
        "float32_ms": trial.speed.float32_ms,
        "int8_ms": trial.speed.int8_ms,
        "int8_lost": _difference(trial.before, trial.after),
        "int8_refused": QUANTIZATION not in quick,
    }


_READERS: Final[Mapping[str, Callable[[Facts, Facts], dict[str, Any]]]] = {
    "sides": _detector,
    "temporal": _temporal,
    "two-streams": _two_streams,
    "fusion": _fusion,
    "inspection-screen": _screen,
    "inspection-locator": _locator,
    "shop-pose": _pose,
}
"""by family; a network of another one has dashes"""


def _difference(before: float, after: float) -> float:
    return round(before - after, 4)


def _or_dash(text: str | None) -> str:
    return text or "–"


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _baseline(line: Overview) -> str:
    return "–" if line.baseline is None else f"{line.baseline:.3f} ({line.baseline_is})"


def _lost(line: Overview) -> str:
    return _number(line.int8_lost, ".3f") + (", not served" if line.int8_refused else "")


def _megabytes(line: Overview) -> str:
    sizes = [size for size in (line.float32_bytes, line.int8_bytes) if size]
    return ", INT8 ".join(f"{size / 1e6:.2f}" for size in sizes) or "–"
