"""docs/models.md is what the cards say."""

import msgspec

from tests.rules.repository import ROOT
from training.fusion.report import Int8Report
from training.fusion.report import Report as FusionReport
from training.hard_clips.gain import ALL
from training.inspection.judging import Report
from training.int8_variant import QUANTIZATION, REFUSED, Int8Trial
from training.model_card import read_card
from training.model_overview import Overview, overviews, table
from training.model_page import PAGE, page, report
from training.speed import Speed
from training.temporal.report import AIM
from training.temporal.report import Report as TemporalReport
from training.two_streams.report import OCCLUDED
from training.two_streams.report import Report as TwoStreamsReport


def test_the_page_is_made_of_the_cards() -> None:
    assert PAGE.read_text() == page(ROOT / "triton_models"), "run `make models-report`"


def test_a_missed_aim_is_called_missed() -> None:
    facts = read_card(ROOT / "triton_models/inspection-screen/card.json").facts
    rates = msgspec.json.decode(facts["result"], type=Report).cascade
    missed = (rates.passed < 0.9) + (rates.missed >= 0.005) + (rates.milliseconds > 30)
    quick = msgspec.json.decode(read_card(ROOT / "triton_models/junction-yolo-int8/card.json").facts["quantization"])
    missed += (quick["times_faster"] < 2) + (quick["before"] - quick["after"] >= 0.01)
    fusion = ROOT / "triton_models/junction-activity-int8/card.json"
    if fusion.exists():
        facts = read_card(fusion).facts
        fused = msgspec.json.decode(facts["result"], type=FusionReport)
        int8 = msgspec.json.decode(facts["quantization"], type=Int8Report)
        missed += (fused.gain.low <= 0) + (int8.resnet.times_faster < 3) + (int8.lost > 0.01)
    temporal = ROOT / "triton_models/junction-temporal/card.json"
    if temporal.exists():
        found = msgspec.json.decode(read_card(temporal).facts["result"], type=TemporalReport).parts[ALL].gain50
        missed += (found.share < AIM) + (found.low <= 0)
    streams = ROOT / "triton_models/junction-two-streams/card.json"
    if streams.exists():
        parts = msgspec.json.decode(read_card(streams).facts["result"], type=TwoStreamsReport).parts
        missed += (parts[OCCLUDED].gain50.low <= 0) + (parts[ALL].gain50.low <= 0)
    assert PAGE.read_text().count("is **missed**") == missed


def test_every_network_has_a_line_with_its_int8_variant_in_it() -> None:
    home = ROOT / "triton_models"
    told = report(home)
    lines = {each["network"]: each for each in told["overview"]}
    names = {path.parent.name for path in home.glob("*/card.json")}
    assert set(lines) == {name for name in names if name.removesuffix("-int8") == name}
    quick = msgspec.json.decode(read_card(home / "junction-yolo-int8/card.json").facts["quantization"])
    line = lines["junction-yolo"]
    assert (line["float32_ms"], line["int8_ms"]) == (quick["milliseconds_before"], quick["milliseconds_after"])
    assert line["times_faster"] == quick["times_faster"]
    assert (line["float32_bytes"], line["int8_bytes"]) == (quick["bytes_before"], quick["bytes_after"])
    assert line["value"] == quick["before"]
    pose = lines["shop-pose"]
    assert pose["gain"] == round(pose["value"] - pose["baseline"], 4)
    trial = msgspec.json.decode(read_card(home / "shop-pose-int8/card.json").facts[QUANTIZATION], type=Int8Trial)
    assert (pose["float32_ms"], pose["int8_ms"]) == (trial.speed.float32_ms, trial.speed.int8_ms)
    assert pose["int8_lost"] == round(trial.before - trial.after, 4)
    assert all(each["int8_ms"] for each in lines.values()), "what INT8 gains is measured of every network"


def test_an_int8_variant_that_does_not_pay_is_in_the_table_too() -> None:
    card = read_card(ROOT / "triton_models/shop-pose/card.json")
    trial = Int8Trial(64, "OKS", 0.722, 0.7, Speed(2.0, 1.9, 1.05), 1000, 400)
    noted = msgspec.structs.replace(card, facts={**card.facts, REFUSED: msgspec.Raw(msgspec.json.encode(trial))})
    (line,) = overviews({"shop-pose": noted}, {"shop-pose": 1_230_000})
    assert (line.float32_ms, line.int8_ms, line.int8_lost, line.int8_refused) == (2.0, 1.9, 0.022, True)
    assert "| 2.00 | 1.90 | 1.05 | 0.022, not served | 1.23 |" in table([line])


def test_what_a_card_does_not_say_is_a_dash() -> None:
    card = msgspec.structs.replace(read_card(ROOT / "triton_models/shop-pose/card.json"), family="unheard-of", facts={})
    lines = overviews({"new": card}, {"new": 1_230_000})
    assert lines == [Overview("new", float32_bytes=1_230_000)]
    assert "| `new` | – | – | – | – | – | – | – | – | – | 1.23 |\n" in table(lines)
