"""What became of GOPs that failed or were left out, from the windows and the ledger."""

import msgspec
import pytest

from schemas.messages import AnalysisLedger, FailedWindow
from schemas.windows import State, Windows

WINDOW = FailedWindow("c", "s1", 3, "frames", 1, 45, 45, 59, "shed: every second frame", shed=True)
ENTRY = AnalysisLedger("c", "s1", 3, 0, 15, 15, 15, 0, 0, "frames", 1, 45)
LEFT_OUT = msgspec.structs.replace(ENTRY, inferred=8, skipped=7, reason="shed: every second frame")


@pytest.mark.parametrize(
    ("window", "entries", "state"),
    [
        (WINDOW, [], "shed"),
        (WINDOW, [LEFT_OUT], "shed"),
        (WINDOW, [LEFT_OUT, msgspec.structs.replace(ENTRY, revision=1)], "backfilled"),
        # the worker that left it out was killed, and the next one had the time
        (WINDOW, [ENTRY], "backfilled"),
        (WINDOW, [LEFT_OUT, ENTRY], "backfilled"),
        (WINDOW, [ENTRY, LEFT_OUT], "shed"),
        (msgspec.structs.replace(WINDOW, attempt=2), [msgspec.structs.replace(ENTRY, revision=1)], "behind"),
        (msgspec.structs.replace(WINDOW, shed=False), [ENTRY], "waiting"),
        (msgspec.structs.replace(WINDOW, shed=False), [msgspec.structs.replace(ENTRY, revision=1)], "repaired"),
        (msgspec.structs.replace(WINDOW, shed=False, given_up=True), [ENTRY], "given up"),
    ],
)
def test_state(window: FailedWindow, entries: list[AnalysisLedger], state: State) -> None:
    found = Windows()
    found.failed(window)
    for entry in entries:
        found.analysed(entry)
    (only,) = found.states()
    assert (only.state, only.window) == (state, window)


def test_what_concerns_no_window_is_not_kept() -> None:
    found = Windows()
    found.analysed(ENTRY)
    found.failed(WINDOW)
    (only,) = found.states()
    assert only.state == "shed"
