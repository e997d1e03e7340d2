"""What became of the GOPs that failed or were shed, as the topics `failed-windows` and `ledger` tell it."""

from typing import Final, Literal, get_args

from msgspec import Struct

from schemas.messages import AnalysisLedger, FailedWindow

State = Literal["waiting", "repaired", "given up", "shed", "backfilled", "behind"]
"""behind: it is done, but not yet what was said after it"""
STATES: Final[tuple[State, ...]] = get_args(State)
OPEN: Final[tuple[State, ...]] = ("waiting", "shed", "behind")
"""somebody is going to look at them again"""

_Key = tuple[str, int, int]


class WindowState(Struct, frozen=True):
    state: State
    window: FailedWindow
    """the latest attempt"""


class Windows:
    """Takes all windows first, then the ledger: of that it keeps only what concerns them."""

    def __init__(self) -> None:
        self._latest: dict[_Key, FailedWindow] = {}
        self._ledger: dict[_Key, AnalysisLedger] = {}

    def failed(self, window: FailedWindow) -> None:
        key = window.topic, window.partition, window.keyframe_offset
        if key not in self._latest or window.attempt >= self._latest[key].attempt:
            self._latest[key] = window

    def analysed(self, entry: AnalysisLedger) -> None:
        """In the order of the log: a worker may do what another, that was killed, had left out."""
        key = entry.topic, entry.partition, entry.keyframe_offset
        if key not in self._latest:
            return
        if key not in self._ledger or entry.revision >= self._ledger[key].revision:
            self._ledger[key] = entry

    def states(self) -> list[WindowState]:
        """By camera and offset."""
        keys = sorted(self._latest, key=lambda key: (self._latest[key].camera, key))
        return [WindowState(_state(self._latest[key], self._ledger.get(key)), self._latest[key]) for key in keys]


def _state(window: FailedWindow, entry: AnalysisLedger | None) -> State:
    if window.shed and window.attempt > 0 and not window.given_up:
        return "behind"
    if window.shed and entry is not None and not entry.shed:
        return "backfilled"
    if not window.shed and entry is not None and entry.revision > 0 and entry.failed == 0:
        return "repaired"
    if window.given_up:
        return "given up"
    return "shed" if window.shed else "waiting"
