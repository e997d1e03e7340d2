"""What people at a terminal are told."""

import io

from rich.console import Console

from training.audience import Terminal


def test_lines_are_told_as_they_are_and_the_bar_says_how_far_it_is() -> None:
    shown = io.StringIO()
    with Terminal("screen", Console(file=shown, width=60)) as audience:
        audience.step(25, 900)
        audience.say("step 25 of 900: [bold] " + "and so on " * 9)
    line, bar = shown.getvalue().splitlines()
    assert line == "screen: step 25 of 900: [bold] " + "and so on " * 9
    assert bar.startswith("screen ")
    assert "25/900" in bar


def test_no_bar_is_shown_before_the_first_step() -> None:
    shown = io.StringIO()
    with Terminal(console=Console(file=shown)) as audience:
        audience.say("reading pictures")
    assert shown.getvalue().split() == ["reading", "pictures"]
