"""Which results belong to a stretch that is looked at again."""

from collections.abc import Callable
from typing import cast

import msgspec
import pytest

from replay.past import Outcome, lies_in
from replay.span import Span
from schemas.examples import RESULTS
from schemas.messages import AnalysisLedger, Detections, Event, Flow

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
KEYFRAME, KEYFRAME_NS = 500, 1000 * MINUTE_NS

BEGIN = Span("c", "frames", 3, KEYFRAME, KEYFRAME_NS, KEYFRAME_NS // 10**6, KEYFRAME_NS, KEYFRAME_NS + 1)
"""the keyframe is the first frame of a minute"""
MIDDLE = msgspec.structs.replace(BEGIN, from_ns=KEYFRAME_NS + SECOND_NS, to_ns=KEYFRAME_NS + 2 * SECOND_NS)

Made = Callable[[int, int], Outcome]


def detections(keyframe: int, captured_ns: int) -> Outcome:
    return _at(cast(Detections, RESULTS["detections"]), keyframe, captured_ns=captured_ns)


def event(keyframe: int, captured_ns: int) -> Outcome:
    return _at(cast(Event, RESULTS["event"]), keyframe, captured_ns=captured_ns)


def flow(keyframe: int, end_ns: int) -> Outcome:
    return _at(cast(Flow, RESULTS["flow"]), keyframe, minute_ns=end_ns - MINUTE_NS)


def ledger(keyframe: int, captured_ns: int) -> Outcome:
    entry = cast(AnalysisLedger, RESULTS["analysis-ledger"])
    return msgspec.structs.replace(entry, keyframe_offset=keyframe, captured_ns=captured_ns)


def _at(message: Detections | Event | Flow, keyframe: int, **changed: int) -> Outcome:
    provenance = msgspec.structs.replace(message.provenance, keyframe_offset=keyframe)
    found: Outcome = msgspec.structs.replace(message, provenance=provenance, **changed)
    return found


@pytest.mark.parametrize("made", [detections, event, flow, ledger])
def test_a_look_from_a_keyframe_on_holds_all_that_comes_out_of_its_gop(made: Made) -> None:
    assert lies_in(made(KEYFRAME, KEYFRAME_NS), BEGIN), "also the row of the minute that has just ended"
    assert lies_in(made(KEYFRAME, KEYFRAME_NS - SECOND_NS // 10), BEGIN), "and pictures shown before the keyframe"
    assert lies_in(made(KEYFRAME + 15, KEYFRAME_NS + SECOND_NS), BEGIN)
    assert not lies_in(made(KEYFRAME - 15, KEYFRAME_NS), BEGIN), "what was said before, whatever its time"


@pytest.mark.parametrize("made", [detections, event, flow, ledger])
def test_a_look_that_begins_within_a_gop_goes_by_time(made: Made) -> None:
    assert not lies_in(made(KEYFRAME, KEYFRAME_NS + SECOND_NS // 2), MIDDLE)
    assert lies_in(made(KEYFRAME, KEYFRAME_NS + SECOND_NS + 1), MIDDLE)
    assert not lies_in(made(KEYFRAME - 15, KEYFRAME_NS + SECOND_NS + 1), MIDDLE)
