"""Writes docs/models.md and build/models.json from the cards of the bundled models: `make models-report`."""

from pathlib import Path
from typing import Any, Final

import msgspec

from simulator.line.defect import KINDS
from training import model_overview
from training.fusion.report import Int8Report, Scores
from training.fusion.report import Report as FusionReport
from training.hard_clips.gain import ALL, Compared
from training.inspection.judging import Rates, Report
from training.int8_variant import SUFFIX
from training.model_card import ModelCard, read_card
from training.pose.judging import PoseFigures, PoseReport
from training.speed import Speed
from training.temporal.report import AIM
from training.temporal.report import Report as TemporalReport
from training.two_streams.report import OCCLUDED
from training.two_streams.report import Report as TwoStreamsReport

_ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = _ROOT / "docs" / "models.md"
_REPORT: Final = _ROOT / "build" / "models.json"
_AIMS: Final = (("passed", 0.9), ("missed", 0.005), ("milliseconds", 30.0))
_TIMES_FASTER: Final = 2.0
_RESNET_TIMES_FASTER: Final = 3.0
_MOST_LOST: Final = 0.01
_HEAD: Final = """\
# Bundled models

Written by `make models-report` from the cards in [triton_models/](../triton_models); do not edit. All have
learnt from pictures that the repository renders itself, and are under Apache-2.0.

| model | what | size | sha256 begins |
|---|---|---|---|
"""
_WHAT: Final = {
    "sides": "detector of junctions: picture in, boxes out",
    "fusion": "activity of junctions: picture and state in, probabilities and state out",
    "inspection-screen": "screen of parts: picture in, confidence out",
    "inspection-locator": "locator of defects: picture in, a confidence for each pixel out",
    "temporal": "detector of junctions with a memory: picture and maps in, boxes and maps out",
    "two-streams": "detector of junctions that sees movement: picture and flow in, boxes out",
    "shop-pose": "pose of one person in a shop: crop in, 18 keypoints out",
}


def page(repository: Path) -> str:
    """The whole page, from every bundled model's card. Raises OSError, msgspec.DecodeError."""
    cards = _cards(repository)
    rows = [_row(card, _size(repository, name)) for name, card in cards.items()]
    overview = model_overview.table(_overviews(repository, cards))
    sections = (_detectors, _temporal, _two_streams, _fusion, _inspection, _pose)
    return _HEAD + "".join(rows) + overview + "".join(section(cards) for section in sections)


def report(repository: Path) -> dict[str, Any]:
    """The same for programs: by model its size in bytes and its card's figures, and the table under `overview`. Raises
    OSError, msgspec.DecodeError."""
    cards = _cards(repository)
    by_model = {
        name: {"bytes": _size(repository, name), "sha256": card.served_sha256, **card.facts}
        for name, card in cards.items()
    }
    return {**by_model, "overview": model_overview.for_programs(_overviews(repository, cards))}


def _overviews(repository: Path, cards: dict[str, ModelCard]) -> list[model_overview.Overview]:
    return model_overview.overviews(cards, {name: _size(repository, name) for name in cards})


def _cards(repository: Path) -> dict[str, ModelCard]:
    return {file.parent.name: read_card(file) for file in sorted(repository.glob("*/card.json"))}


def _size(repository: Path, name: str) -> int:
    return (repository / name / "1" / "model.onnx").stat().st_size


def _row(card: ModelCard, size: int) -> str:
    what = "the same in INT8" if card.name.endswith(SUFFIX) else _WHAT[card.family]
    return f"| `{card.name}` | {what} | {size / 1e6:.2f} MB | `{card.served_sha256[:12]}` |\n"


def _detectors(cards: dict[str, ModelCard]) -> str:
    result: dict[str, Any] = msgspec.json.decode(cards["junction-yolo"].facts["result"])
    quick: dict[str, Any] = msgspec.json.decode(cards["junction-yolo-int8"].facts["quantization"])
    rows = "".join(
        f"| {variant} | {figures['map50']:.3f} | {figures['map50_95']:.3f} |\n"
        for variant, figures in (*result["by_variant"].items(), ("all", result))
    )
    return f"""
## junction-yolo

Judged on {result["pictures"]} pictures with {result["objects"]} objects, of scenes that it hasn't learnt from, by
COCO's rules.

| variant | mAP50 | mAP50-95 |
|---|---|---|
{rows}
`junction-yolo-int8` is the same in INT8 ([ADR 16](adr/0016-int8.md)):

| | float32 | INT8 |
|---|---|---|
| {quick["judged_by"]} | {quick["before"]:.3f} | {quick["after"]:.3f} |
| ms a picture, one thread | {quick["milliseconds_before"]:.1f} | {quick["milliseconds_after"]:.1f} |
| size, MB | {quick["bytes_before"] / 1e6:.2f} | {quick["bytes_after"] / 1e6:.2f} |

- The aim of {_TIMES_FASTER:g} times as fast is {_met(quick["times_faster"] >= _TIMES_FASTER)}: \
{quick["times_faster"]:.2f} times.
- The aim of less than 0.01 lost is {_met(quick["before"] - quick["after"] < 0.01)}.
"""


def _temporal(cards: dict[str, ModelCard]) -> str:
    if "junction-temporal" not in cards:
        return ""
    report = msgspec.json.decode(cards["junction-temporal"].facts["result"], type=TemporalReport)
    everything = report.parts[ALL]
    return f"""
## junction-temporal

The frozen first stages of `junction-yolo`, a Transformer block that attends to what it kept of the last pictures, and a
head ([ADR 24](adr/0024-temporal.md)); 224x128 pixels, 8 pictures a second. Judged on {everything.pictures} pictures of
{report.scenes} junctions that it hasn't learnt from, each watched from its first picture on, made hard: things pass in
front, motion blurs, contrast fades, noise everywhere. Objects at least 10 pixels high, hidden ones too. In brackets the
baseline: the same network on single pictures, learnt from the same ones with the same recipe. `junction-yolo` itself is
shown the same pictures at the size that it takes; it has not learnt from such.

{_compared(report.parts, report.plain50)}
Occluded: an object is at least half behind something that passes. A picture can be of several kinds.

- The aim of {AIM:.0%} more mAP50 than the baseline is {_met(everything.gain50.share >= AIM)}: \
{_gained(everything.gain50.share)}.
- The aim of more by more than chance is {_met(everything.gain50.low > 0)}.

A picture takes {report.milliseconds[0]:.1f} ms on one thread, the baseline's {report.milliseconds[1]:.1f}. mAP50-95 by
class: {_classes(report.by_class)}.
"""


def _two_streams(cards: dict[str, ModelCard]) -> str:
    if "junction-two-streams" not in cards:
        return ""
    report = msgspec.json.decode(cards["junction-two-streams"].facts["result"], type=TwoStreamsReport)
    everything, occluded = report.parts[ALL], report.parts[OCCLUDED]
    return f"""
## junction-two-streams

Appearance and optical flow, joined for what is occluded: the frozen first stages of `junction-yolo`, a small network
over the flow of the camera's last second (`vision/optical_flow.py`), and a head on both
([ADR 25](adr/0025-two-streams.md)); 224x128 pixels, 8 pictures a second. Judged on {everything.pictures} pictures of
{report.scenes} junctions that it hasn't learnt from, made hard as for `junction-temporal`; flow is of the hard ones. In
brackets the baseline, appearance alone: the same network without flow, learnt from the same pictures with the same
recipe.

{_compared(report.parts, report.plain50)}
Occluded: an object is at least half behind something that passes. Hidden objects alone: of the same pictures, nothing
wanted but such objects. A picture can be of several kinds.

- The aim of more mAP50 in occluded pictures than by appearance alone, by more than chance, is \
{_met(occluded.gain50.low > 0)}: {_gained(occluded.gain50.share)}.
- The aim of more in all pictures, by more than chance, is {_met(everything.gain50.low > 0)}: \
{_gained(everything.gain50.share)}.

Given no flow, the two streams' mAP50 of all pictures is {report.still50:.3f}. A picture takes
{report.milliseconds[0]:.1f} ms on one thread, its flow {report.milliseconds[1]:.1f}. mAP50-95 by class: \
{_classes(report.by_class)}.
"""


def _compared(parts: dict[str, Compared], plain50: dict[str, float]) -> str:
    """A table with a line for each kind of picture."""
    rows = "".join(
        f"| {name} | {part.pictures} | {part.objects} | {_pair(part.map50)} | {_pair(part.map50_95)} |"
        f" {_gained(part.gain50.share)} | {_gained(part.gain50.low)} to {_gained(part.gain50.high)} |"
        f" {_known(plain50, name)} |\n"
        for name, part in parts.items()
    )
    return f"""\
| pictures | count | objects | mAP50 | mAP50-95 | mAP50 gained | 95% interval over scenes | `junction-yolo`, mAP50 |
|---|---|---|---|---|---|---|---|
{rows}"""


def _known(figures: dict[str, float], name: str) -> str:
    return f"{figures[name]:.3f}" if name in figures else "–"


def _classes(figures: dict[str, tuple[float, float]]) -> str:
    return ", ".join(f"{name} {first:.3f} ({second:.3f})" for name, (first, second) in figures.items())


def _pair(figures: tuple[float, float]) -> str:
    return f"{figures[0]:.3f} ({figures[1]:.3f})"


def _gained(share: float) -> str:
    return f"{100 * share:+.1f}%"


def _fusion(cards: dict[str, ModelCard]) -> str:
    if "junction-activity-int8" not in cards:
        return ""
    facts = cards["junction-activity-int8"].facts
    report = msgspec.json.decode(facts["result"], type=FusionReport)
    quick = msgspec.json.decode(facts["quantization"], type=Int8Report)
    states = list(report.states)
    gained = report.gain
    counts = ", ".join(f"{count} {state}" for state, count in report.states.items())
    rows = (
        ("with LSTM", report.fusion),
        ("with LSTM, ResNet in INT8", quick.scores),
        ("baseline: the same without LSTM", report.baseline),
    )
    speeds = (("ResNet alone", quick.resnet), ("whole network", quick.whole))
    return f"""
## Fusion of space and time

`junction-activity` says what a junction is doing: a ResNet's features of the current picture go into an LSTM, whose
output joins the features again ([ADR 21](adr/0021-fusion.md)). Judged on {report.pictures} pictures ({counts}) of
{report.scenes} junctions that it hasn't learnt from, each watched from its first picture on; by F1 for each state:

| network | accuracy | macro F1 | {" | ".join(states)} |
|---|---|---|{"---|" * len(states)}
{"".join(_judged(name, scores, states) for name, scores in rows)}
The LSTM gains {100 * gained.accuracy:.1f} points of accuracy (95% interval over scenes: {100 * gained.low:.1f} to
{100 * gained.high:.1f}) and {100 * gained.macro_f1:.1f} of macro F1.

- The aim of a better accuracy than the baseline's, by more than chance, is {_met(gained.low > 0)}.

`junction-activity-int8` has the ResNet in INT8, {quick.bytes_after / 1e6:.2f} MB instead of \
{quick.bytes_before / 1e6:.2f}. Milliseconds a picture, one thread:

| | float32 | INT8 | times as fast |
|---|---|---|---|
{"".join(_speed(name, speed) for name, speed in speeds)}
- The aim of {_RESNET_TIMES_FASTER:g} times as fast (ResNet) is \
{_met(quick.resnet.times_faster >= _RESNET_TIMES_FASTER)}: {quick.resnet.times_faster:.2f} times.
- The aim of at most {_MOST_LOST:g} of accuracy lost is {_met(quick.lost <= _MOST_LOST)}: {quick.lost:.4f}.

How the ratio depends on size: such ResNets with weights by chance, by channels of the first stage and blocks a stage:

| ResNet | float32 | INT8 | times as fast |
|---|---|---|---|
{"".join(_speed(name, speed) for name, speed in quick.sizes.items())}"""


def _judged(name: str, scores: Scores, states: list[str]) -> str:
    figures = (scores.accuracy, scores.macro_f1, *(scores.f1.get(state, 0.0) for state in states))
    return f"| {name} | {' | '.join(f'{figure:.3f}' for figure in figures)} |\n"


def _speed(name: str, speed: Speed) -> str:
    return f"| {name} | {speed.float32_ms:.2f} | {speed.int8_ms:.2f} | {speed.times_faster:.2f} |\n"


def _inspection(cards: dict[str, ModelCard]) -> str:
    facts = cards["inspection-screen"].facts
    report = msgspec.json.decode(facts["result"], type=Report)
    calibration: dict[str, Any] = msgspec.json.decode(facts["calibration"])
    good, bad = report.parts
    where = report.localisation
    sizes = "".join(
        f"| {size} mm | {' | '.join(_percent(found[kind]) if kind in found else '–' for kind in KINDS)} |\n"
        for size, found in report.by_size.items()
    )
    found = ", ".join(f"{kind} {_percent(share)}" for kind, share in report.by_kind.items())
    return f"""
## The inspection cascade

`inspection-screen` sees every part, `inspection-locator` those that the screen does not pass
([ADR 19](adr/0019-inspection-cascade.md)). Both have learnt from simulated lines; for real parts they must learn from
real parts.

The threshold {calibration["threshold"]:.4f} was chosen on {calibration["count"]} defective parts of other lines, of
which {calibration["misses"]} fall below: with {calibration["confidence"]:.0%} confidence at most
{calibration["bound"]:.2%} of all such parts are missed. Judged on {good} good and {bad} defective parts of lines that
were neither learnt from nor calibrated on; each way has a threshold of its own, chosen alike on the same parts:

| way | good parts: passed at once | good parts: called defective | defective parts: missed | at most | ms |
|---|---|---|---|---|---|
{_rates("the cascade", report.cascade)}{_rates("the locator alone", report.locator_alone)}\
{_rates("difference to the background", report.background_difference)}
Passed at once: without the locator. At most: the upper bound of the share missed (Clopper-Pearson, 95%).
Milliseconds are of one core, one part in ten being defective: the screen takes {report.screen_ms:.2f}, the locator
{report.locator_ms:.2f}.

{_verdicts(report.cascade)}

Defects keep off the print there. Where they may lie on it {_percent(report.missed_anywhere)} of the defective parts are
missed: what touches a letter or a data matrix looks like ink, and is left to the inspection of the print.

Of the defects in parts that were found {_percent(where.found)} have a find on them. Their pixels overlap by
{where.iou:.3f} (intersection over union, mean of parts; the difference to the background, by the level that suited the
calibration's parts best, by {report.plain_iou:.3f}); centres lie {where.centre_mm_median:.3f} mm apart in the
median, {where.centre_mm_p95:.3f} mm in 19 of 20. Found of all defects: {found}.

Where the camera's scale (12.8 pixels a millimetre) ends, parts found whose defects all have one size (of scratches the
width):

| size | {" | ".join(KINDS)} |
|---|{"---|" * len(KINDS)}
{sizes}"""


def _rates(name: str, rates: Rates) -> str:
    shares = " | ".join(_percent(share) for share in (rates.passed, rates.alarms, rates.missed, rates.bound))
    return f"| {name} | {shares} | {rates.milliseconds:.2f} |\n"


def _verdicts(rates: Rates) -> str:
    """Each aim, met or missed: by the figures."""
    passed, missed, milliseconds = (aim for _, aim in _AIMS)
    said = (
        (f"{passed:.0%} of good parts passed at once", rates.passed >= passed),
        (f"less than {missed:.1%} missed", rates.missed < missed),
        (f"{milliseconds:.0f} ms a part", rates.milliseconds <= milliseconds),
    )
    return "\n".join(f"- The aim of {aim} is {_met(met)}." for aim, met in said)


def _pose(cards: dict[str, ModelCard]) -> str:
    if "shop-pose" not in cards:
        return ""
    report = msgspec.json.decode(cards["shop-pose"].facts["result"], type=PoseReport)
    keypoints = ", ".join(f"{name.replace('_', ' ')} {_percent(share)}" for name, share in report.by_keypoint.items())
    return f"""
## shop-pose

Sees one person's crop of 64x96 pixels ([ADR 22](adr/0022-poses.md)). It has learnt from simulated shops; for real ones
it must learn from real ones. Judged on {report.people} people, of shops that it hasn't learnt from, boxes being known
but for a jitter of 6%; the baseline is the mean pose of what was learnt from, placed into the box:

| | OKS, mean of .50 to .95 | at .50 | at .75 | median error, pixels | near | near, of those seen |
|---|---|---|---|---|---|---|
{_figures("shop-pose", report.network)}{_figures("mean pose", report.baseline)}
OKS: the share of people whose similarity to the truth (COCO's 17 keypoints, hidden ones too, an outline of half the
box) reaches a threshold. Near: the share of the 18 keypoints within a tenth of the box's diagonal.

Whether a keypoint is seen is said rightly of {_percent(report.seen)}; what is commoner for each would be right of
{_percent(report.seen_baseline)}. A person takes {report.milliseconds:.1f} ms on one thread.

Near, by keypoint: {keypoints}.
"""


def _figures(name: str, figures: PoseFigures) -> str:
    shares = " | ".join(f"{value:.3f}" for value in (figures.oks, figures.oks50, figures.oks75))
    near = f"{_percent(figures.near)} | {_percent(figures.near_seen)}"
    return f"| {name} | {shares} | {figures.pixels:.2f} | {near} |\n"


def _met(met: bool) -> str:
    return "met" if met else "**missed**"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%" if share >= 0.0995 or share == 0 else f"{100 * share:.2f}%"


if __name__ == "__main__":
    PAGE.write_text(page(_ROOT / "triton_models"), encoding="utf-8")
    _REPORT.parent.mkdir(exist_ok=True)
    _REPORT.write_bytes(msgspec.json.format(msgspec.json.encode(report(_ROOT / "triton_models"))) + b"\n")
