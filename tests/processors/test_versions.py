"""Another version of a model goes live in the middle of a camera's walk: every result names the one that gave it."""

from collections import Counter

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from processors.errors import NotServedError
from processors.ports import FakeDetector, FakePublisher
from processors.session import SessionPorts
from replay.named import Answered, Faithful, NamedVersions, VersionGoneError
from schemas.messages import Detections, End, Provenance
from tests.processors.walk import CONTRACT, Walk, clip, find_square, numbered

END = End("cam", "s1", 40)


class Swapped(FakeDetector):
    """Version 4 goes live with the 15th picture, in the middle of the second GOP; `gone`: and 3 is taken away."""

    def __init__(self, gone: bool) -> None:
        super().__init__(CONTRACT, self._answer_and_swap)
        self._gone, self._seen = gone, 0

    def _answer_and_swap(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        self._seen += 1
        if self._seen == 15:
            self.live, self.served = "4", {"4"} if self._gone else {"3", "4"}
        return find_square(image)


def versions(walk: Walk) -> list[list[str]]:
    """By GOP, in the order of capture."""
    found = [message for message in walk.of(Detections) if isinstance(message, Detections)]
    return [[m.provenance.model_version for m in found if m.gop == gop] for gop in range(4)]


async def test_a_gop_is_ended_with_the_version_that_began_it() -> None:
    walk = await Walk(detector=Swapped(gone=False)).run([*numbered(clip()), (900, END)])
    assert versions(walk)[:2] == [["3"] * 10, ["3"] * 10]
    assert versions(walk)[3] == ["4"] * 10


async def test_when_it_is_taken_away_not_a_frame_is_lost_and_each_names_who_has_answered() -> None:
    walk = await Walk(detector=Swapped(gone=True)).run([*numbered(clip()), (900, END)])
    assert [len(gop) for gop in versions(walk)] == [10] * 4
    assert versions(walk)[1] == ["3"] * 5 + ["4"] * 5
    assert versions(walk)[2:] == [["4"] * 10] * 2


async def test_looking_again_asks_every_frame_of_the_version_that_it_names() -> None:
    records = [*numbered(clip()), (900, END)]
    first = await Walk(detector=Swapped(gone=True)).run(records)
    seen = [message for message in first.of(Detections) if isinstance(message, Detections)]
    named = NamedVersions(Answered(m.captured_ns, m.provenance) for m in seen)
    detector = FakeDetector(CONTRACT, find_square)
    detector.live, detector.served = "5", {"3", "4", "5"}
    again = await Walk(detector=detector, named=named).run(records)
    assert again.table() == first.table()
    assert Counter(version for gop in versions(again) for version in gop) == {"3": 15, "4": 25}


async def test_a_version_that_nobody_serves_ends_looking_again_instead_of_failing_windows() -> None:
    detector = Faithful(FakeDetector(CONTRACT, find_square))
    with pytest.raises(VersionGoneError, match="version 2 of model square"):
        await detector.contract("square", "2")
    contract = msgspec.structs.replace(CONTRACT, version="2", exact=True)
    with pytest.raises(VersionGoneError, match="version 2 of model square"):
        await detector.infer(contract, [np.zeros((64, 96, 3), np.uint8)])
    with pytest.raises(NotServedError, match="model other"):
        await detector.contract("other")


def answered(captured_ns: int, version: str, model: str = "m", revision: int = 0) -> Answered:
    return Answered(captured_ns, Provenance("frames", 0, 0, 0, 0, model, version, ""), revision)


def test_what_has_no_result_is_asked_of_the_version_of_its_neighbours() -> None:
    named = NamedVersions([answered(30, "2"), answered(10, "1"), answered(20, "1"), answered(40, "2", "other")])
    assert [named("m", at) for at in (0, 10, 29, 30, 99)] == ["1", "1", "1", "2", "2"]
    assert (named("other", 0), named("none", 0), NamedVersions()("m", 0)) == ("2", "", "")


def test_of_a_frame_the_newest_revision_counts() -> None:
    named = NamedVersions([answered(10, "2", revision=1), answered(10, "1"), answered(20, "1")])
    assert (named("m", 10), named("m", 20)) == ("2", "1")


def test_live_video_is_asked_of_whichever_version_is_live() -> None:
    ports = SessionPorts(FakeDetector(CONTRACT, find_square), FakePublisher(), None, lambda: 0)  # type: ignore[arg-type]
    assert ports.named("square", 5) == ""
