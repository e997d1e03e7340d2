"""What looking again has found, against what was published."""

from collections import Counter
from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec import Struct

from replay.past import Key, Outcome, time_of
from schemas.messages import AnalysisLedger, Detections, Event, Flow
from schemas.results import retracted, to_json

Change = Literal["gained", "lost", "changed"]


class Difference(Struct, frozen=True):
    change: Change
    key: Key
    before: Outcome | None
    after: Outcome | None


class Comparison(Struct, frozen=True):
    same: dict[str, int]
    """results by kind"""
    differences: tuple[Difference, ...]
    """in the order of the capture"""

    def counts(self) -> dict[str, dict[str, int]]:
        """By kind: same, gained, lost, changed."""
        kinds = (Detections, Event, Flow, AnalysisLedger)
        found = {kind.__name__: {"same": 0, "gained": 0, "lost": 0, "changed": 0} for kind in kinds}
        for kind, count in self.same.items():
            found[kind]["same"] = count
        for difference in self.differences:
            found[difference.key.kind][difference.change] += 1
        return found


def compare(before: Mapping[Key, Outcome], after: Mapping[Key, Outcome]) -> Comparison:
    """By identity; revisions apart, one byte of difference is a difference."""
    same: Counter[str] = Counter()
    differences = []
    for key in [*after, *(key for key in before if key not in after)]:
        old, new = before.get(key), after.get(key)
        if old is not None and new is not None and content(old) == content(new):
            same[key.kind] += 1
            continue
        change: Change = "gained" if old is None else "lost" if new is None else "changed"
        if change == "lost" and old is not None and _gone(old):
            same[key.kind] += 1
            continue
        differences.append(Difference(change, key, old, new))
    return Comparison(dict(same), tuple(sorted(differences, key=_time)))


def revisions(comparison: Comparison) -> list[Outcome]:
    """What has to be published so that the newest revisions are what looking again has found.

    A worker says everything at revision 0, and what it says late or once more, after a crash, must not replace what
    was found here: what is new gets revision 1, what replaces something the next one. A lost event or a lost crossing
    is published once more, retracted; lost detections become an empty frame. What a worker once said of a GOP stays
    said.
    """
    found: list[Outcome] = []
    for difference in comparison.differences:
        if difference.after is not None:
            revision = 1 if difference.before is None else difference.before.revision + 1
            found.append(msgspec.structs.replace(difference.after, revision=revision))
        elif difference.before is not None and not isinstance(difference.before, AnalysisLedger):
            found.append(_taken_back(difference.before))
    return found


def content(message: Outcome) -> bytes:
    """The message as JSON at revision 0."""
    return to_json(msgspec.structs.replace(message, revision=0))


def _time(difference: Difference) -> int:
    message = difference.after or difference.before
    assert message is not None
    return time_of(message)


def _gone(message: Outcome) -> bool:
    """An earlier replay has taken it back."""
    return not message.boxes if isinstance(message, Detections) else retracted(message)


def _taken_back(message: Detections | Event | Flow) -> Outcome:
    revision = message.revision + 1
    match message:
        case Event():
            return msgspec.structs.replace(message, details={**message.details, "retracted": 1}, revision=revision)
        case Flow():
            return msgspec.structs.replace(message, count=0, mean_speed=None, revision=revision)
        case Detections():
            return msgspec.structs.replace(message, boxes=(), revision=revision)
