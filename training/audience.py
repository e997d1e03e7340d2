"""Who is told how far a training is; people at a terminal, mostly."""

from types import TracebackType
from typing import Protocol, Self

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Audience(Protocol):
    def say(self, line: str) -> None: ...

    def step(self, done: int, of: int) -> None: ...


class Terminal:
    """Lines, and a bar below them. Where several networks learn, `part` says which one this is."""

    def __init__(self, part: str = "", console: Console | None = None) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=console)
        self._task = self._bar.add_task(part or "learning", total=None, visible=False)
        self._before = f"{part}: " if part else ""

    def say(self, line: str) -> None:
        self._bar.console.print(self._before + line, highlight=False, soft_wrap=True, markup=False)

    def step(self, done: int, of: int) -> None:
        self._bar.update(self._task, completed=done, total=of, visible=True)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()


class Listener:
    """Remembers what is said, and stops the training when it has gone so far: for tests."""

    def __init__(self, until: int = 1_000_000) -> None:
        self.said: list[str] = []
        self._until = until

    def say(self, line: str) -> None:
        self.said.append(line)

    def step(self, done: int, of: int) -> None:
        if done >= self._until:
            raise KeyboardInterrupt


def say_figures(figures: object, objection: str | None = None) -> None:
    """What was measured, as JSON; and on stderr why it is not published."""
    typer.echo(msgspec.json.format(msgspec.json.encode(figures), indent=2).decode())
    if objection:
        typer.echo(f"not published: {objection}", err=True)
