"""What crossed which line in each minute of capture time."""

from typing import Final, Literal

from msgspec import Struct

from vision.scene import Fact

_MINUTE_NS: Final = 60_000_000_000


class Cell(Struct, frozen=True):
    line: str
    label: str
    direction: Literal["forward", "backward"]
    count: int
    timed: int
    """of these, with a speed"""
    speeds: float
    """their sum, metres per second"""


class FlowState(Struct, frozen=True):
    minute_ns: int = 0
    cells: tuple[Cell, ...] = ()
    """sorted by line, label, direction"""


class FlowRow(Struct, frozen=True):
    line: str
    minute_ns: int
    """start of the minute"""
    label: str
    direction: Literal["forward", "backward"]
    count: int
    mean_speed: float | None
    """metres per second, to 0.01"""


def initial() -> FlowState:
    return FlowState()


def step(state: FlowState, facts: tuple[Fact, ...], captured_ns: int) -> tuple[FlowState, tuple[FlowRow, ...]]:
    """One frame on, with what crossed lines in it. Rows come when a minute is over, in the first frame after it;
    a minute in which nothing crossed has none. A crossing belongs to the minute in which it was decided."""
    minute_ns = captured_ns - captured_ns % _MINUTE_NS
    rows: tuple[FlowRow, ...] = ()
    if minute_ns > state.minute_ns:
        rows = close(state)
        state = FlowState(minute_ns)
    if facts:
        state = FlowState(state.minute_ns, _counted(state.cells, facts))
    return state, rows


def close(state: FlowState) -> tuple[FlowRow, ...]:
    """The rows of the open minute."""
    return tuple(
        FlowRow(
            line=cell.line,
            minute_ns=state.minute_ns,
            label=cell.label,
            direction=cell.direction,
            count=cell.count,
            mean_speed=round(cell.speeds / cell.timed, 2) if cell.timed else None,
        )
        for cell in state.cells
    )


def _counted(cells: tuple[Cell, ...], facts: tuple[Fact, ...]) -> tuple[Cell, ...]:
    table = {(cell.line, cell.label, cell.direction): cell for cell in cells}
    for fact in facts:
        direction: Literal["forward", "backward"] = "forward" if fact.details["direction"] == "forward" else "backward"
        key = fact.rule, fact.label, direction
        cell = table.get(key) or Cell(*key, 0, 0, 0.0)
        speed = fact.details.get("speed")
        if isinstance(speed, int | float):
            table[key] = Cell(*key, cell.count + 1, cell.timed + 1, round(cell.speeds + speed, 2))
        else:
            table[key] = Cell(*key, cell.count + 1, cell.timed, cell.speeds)
    return tuple(table[key] for key in sorted(table))
