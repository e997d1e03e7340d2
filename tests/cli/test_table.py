import io

from rich.console import Console

from cli.table import table


def printed(width: int) -> str:
    shown = table("camera", "frames", numbers=("frames",), title="what came")
    shown.add_row("junction-north-entrance", "1234")
    into = io.StringIO()
    Console(file=into, width=width).print(shown)
    return into.getvalue()


def test_numbers_stand_on_the_right() -> None:
    assert "│ junction-north-entrance │   1234 │" in printed(60)


def test_nothing_is_cut_off() -> None:
    lines = [line.split("│")[1].strip() for line in printed(24).splitlines() if line.startswith("│")]
    assert "".join(lines) == "junction-north-entrance"
