import time

import pytest
import typer

from cli.moment import nanoseconds

SECOND_NS = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2025-11-21T06:00", 1_763_704_800 * SECOND_NS),
        ("2025-11-21T07:00:00.25+01:00", 1_763_704_800 * SECOND_NS + SECOND_NS // 4),
        ("1763704800000000001", 1_763_704_800_000_000_001),
    ],
)
def test_a_moment(text: str, ns: int) -> None:
    assert nanoseconds(text, "--from") == ns


@pytest.mark.parametrize(("text", "seconds"), [("now", 0), ("-90s", 90), ("-15m", 900), ("-2d", 172_800)])
def test_before_now(text: str, seconds: int) -> None:
    before = time.time_ns()
    found = nanoseconds(text, "--from")
    assert before <= found + seconds * SECOND_NS <= time.time_ns()


@pytest.mark.parametrize("text", ["", "yesterday", "-15", "-15x", "--5m", "2025-13-01", "12:00"])
def test_no_moment(text: str) -> None:
    with pytest.raises(typer.BadParameter) as refused:
        nanoseconds(text, "--from")
    assert "-15m" in str(refused.value)
