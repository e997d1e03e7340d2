"""Records for the stores' tests."""

from typing import Any

import msgspec
from hypothesis import strategies as st

from processors.store import Record
from schemas.examples import RESULTS
from schemas.messages import AnalysisLedger, Box, Detections, EndLedger, Event, Flow, IngestLedger

T0 = 1_763_704_800_123_456_789
HOUR_NS = 3_600_000_000_000

EVERY_KIND: tuple[Record, ...] = tuple(
    record
    for record in RESULTS.values()
    if isinstance(record, Detections | Event | Flow | IngestLedger | AnalysisLedger | EndLedger)
)


def example(name: str, **changes: Any) -> Any:
    return msgspec.structs.replace(RESULTS[name], **changes)


def detections(number: int, **changes: Any) -> Detections:
    made: Detections = example("detections", **{"captured_ns": T0 + number * 40_000_000, **changes})
    return made


def event(name: str, **changes: Any) -> Event:
    made: Event = example("event", **{"id": name, "revision": 0, **changes})
    return made


_text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
_name = st.sampled_from(["a", "b-1", "c.2"])
_ns = st.sampled_from([T0, T0 + 1, T0 + HOUR_NS, 5])
_revision = st.integers(0, 2)
_float = st.floats(-1e6, 1e6).map(lambda value: round(value, 2) + 0.0)
_box = st.builds(Box, label=_text, score=_float, x1=_float, y1=_float, x2=_float, y2=_float, track=st.none() | _text)
_provenance = st.just(RESULTS["flow"].provenance)  # type: ignore[union-attr]
_detail = _text | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)

any_record: st.SearchStrategy[Record] = st.one_of(
    st.builds(
        Detections,
        camera=_name,
        captured_ns=_ns,
        session=_text,
        gop=st.integers(0, 2**40),
        pts=st.integers(-(2**62), 2**62),
        width=st.integers(1, 16384),
        height=st.integers(1, 16384),
        boxes=st.lists(_box, max_size=3).map(tuple),
        signals=st.dictionaries(_name, st.sampled_from(["red", "green"]), max_size=2),
        provenance=_provenance,
        revision=_revision,
    ),
    # what an event's identity is made of is the same in every revision
    st.builds(
        lambda number, **rest: Event(
            id=f"event-{number}", camera="abc"[number % 3], kind="crossed", captured_ns=T0 + number // 4, **rest
        ),
        number=st.integers(0, 11),
        rule=st.just(""),
        track=st.none() | _text,
        label=st.none() | _text,
        box=st.none() | _box,
        details=st.dictionaries(_text, _detail, max_size=3),
        provenance=_provenance,
        revision=_revision,
    ),
    st.builds(
        Flow,
        camera=_name,
        line=_name,
        minute_ns=_ns,
        label=st.sampled_from(["car", "traffic light, old", "a=b"]),
        direction=st.sampled_from(["forward", "backward"]),
        count=st.integers(0, 1000),
        mean_speed=st.none() | _float,
        provenance=_provenance,
        revision=_revision,
    ),
    st.builds(lambda gop: IngestLedger("a", "s", gop, T0 + gop // 2, 25, 24, 1, "lost"), gop=st.integers(0, 5)),
    st.builds(
        lambda gop, **rest: AnalysisLedger("a", "s", gop, T0 + gop // 2, 25, 25, 25, 0, 0, "frames", 0, gop, **rest),
        gop=st.integers(0, 5),
        reason=_text,
        revision=_revision,
    ),
    st.builds(lambda number: EndLedger("a", f"s{number}", 3, captured_ns=T0), number=st.integers(0, 3)),
)
