"""Tables for people. Whatever the terminal's width, no cell is cut off: half an id or a time helps nobody."""

from collections.abc import Collection

from rich.table import Column, Table


def table(*columns: str, numbers: Collection[str] = (), whole: Collection[str] = (), title: str | None = None) -> Table:
    """`numbers`: those of the columns that stand on the right; `whole`: those that the others make room for."""
    shown = (
        Column(name, justify="right" if name in numbers else "left", overflow="fold", no_wrap=name in whole)
        for name in columns
    )
    return Table(*shown, title=title, title_justify="left")
