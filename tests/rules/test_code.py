"""What a look at the syntax trees can tell."""

import ast
from collections import Counter as Tally
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.topics import TOPICS
from tests.rules.repository import HOUSES, dotted, python_files, text, tree

SETTINGS = Path("runtime/config.py")
# These start servers and programs: they hand the whole environment on, and may look at PATH to find them.
PASSES_ENVIRONMENT_ON = {"devstack", "cli"}
KINDS_OF_METRIC = {"Counter", "Gauge", "Histogram", "Summary", "Info", "Enum"}


def _calls(path: Path) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.Call))


def _environment_readings(path: Path) -> Iterator[str]:
    """Where a file touches the environment, and whether it picks a variable or takes the whole."""
    if "environ" not in text(path) and "getenv" not in text(path):
        return
    module = tree(path)
    looking_for_programs = {
        id(call.func.value)
        for call in _calls(path)
        if isinstance(call.func, ast.Attribute)
        and call.args
        and isinstance(call.args[0], ast.Constant)
        and call.args[0].value == "PATH"
    }
    picked = {  # os.environ.get, os.environ["X"]
        id(node.value) for node in ast.walk(module) if isinstance(node, ast.Attribute | ast.Subscript)
    } - looking_for_programs
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            if {name.name for name in node.names} & {"environ", "environb", "getenv", "getenvb"}:
                yield f"{path}:{node.lineno} picks"
        elif isinstance(node, ast.Attribute) and dotted(node) in {"os.getenv", "os.getenvb"}:
            yield f"{path}:{node.lineno} picks"
        elif isinstance(node, ast.Attribute) and dotted(node) in {"os.environ", "os.environb"}:
            yield f"{path}:{node.lineno} {'picks' if id(node) in picked else 'passes on'}"


def test_only_the_settings_read_the_environment() -> None:
    strangers = [
        reading
        for path in python_files(*HOUSES)
        if path != SETTINGS
        for reading in _environment_readings(path)
        if reading.endswith("picks") or path.parts[0] not in PASSES_ENVIRONMENT_ON
    ]
    assert not strangers, "read it in runtime/config.py and pass the value"


def _metrics() -> list[tuple[Path, str]]:
    found = []
    for path in python_files(*HOUSES):
        module = tree(path)
        imported = {
            alias.asname or alias.name
            for node in ast.walk(module)
            if isinstance(node, ast.ImportFrom) and node.module == "prometheus_client"
            for alias in node.names
            if alias.name in KINDS_OF_METRIC
        }
        for call in _calls(path):
            name = dotted(call.func)
            if (name in imported or name.startswith("prometheus_client.")) and call.args:
                argument = call.args[0]
                found.append((path, str(argument.value) if isinstance(argument, ast.Constant) else "?"))
    return found


def test_each_metric_is_declared_once_and_in_one_place() -> None:
    declared = _metrics()
    assert declared
    assert {path for path, _ in declared} == {Path("runtime/metrics.py")}
    twice = [name for name, times in Tally(name for _, name in declared).items() if times > 1]
    assert not twice


def test_metric_names_follow_prometheus() -> None:
    for path in python_files("runtime"):
        for call in _calls(path):
            kind = dotted(call.func)
            if kind in KINDS_OF_METRIC and call.args and isinstance(call.args[0], ast.Constant):
                name = str(call.args[0].value)
                assert name.startswith("rewatch_"), name
                assert (kind == "Counter") == name.endswith("_total"), name


def _is_a_program(path: Path) -> bool:
    """Has an `if __name__ == "__main__":` at its end: run by itself, its output is its result."""
    last = tree(path).body[-1:]
    return bool(last) and isinstance(last[0], ast.If) and "__main__" in ast.dump(last[0].test)


def test_only_the_command_line_prints() -> None:
    prints = [
        f"{path}:{call.lineno}"
        for path in python_files(*(house for house in HOUSES if house != "cli"))
        if not _is_a_program(path)
        for call in _calls(path)
        if dotted(call.func) == "print"
    ]
    assert not prints, "use runtime.logging, or return the text to the command line"


CLOCKS = {
    "time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns", "time.perf_counter", "time.perf_counter_ns",
    "datetime.now", "datetime.utcnow", "datetime.datetime.now", "datetime.datetime.utcnow", "random.random",
    "uuid.uuid4", "uuid.uuid1",
}  # fmt: skip


def test_pure_code_asks_no_clock_and_no_chance() -> None:
    asked = [
        f"{path}:{call.lineno} {dotted(call.func)}"
        for path in python_files("vision", "schemas")
        for call in _calls(path)
        if dotted(call.func) in CLOCKS
    ]
    assert not asked, "time comes from the frame, chance from the record"


def test_topics_are_named_in_one_place() -> None:
    """Only names with a hyphen can be told from ordinary words; those must come from schemas/topics.py."""
    names = {topic.name for topic in TOPICS if "-" in topic.name}
    named = [
        f"{path}:{node.lineno} {node.value}"
        for path in python_files(*HOUSES)
        if path not in {Path("schemas/topics.py")}
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant) and node.value in names
    ]
    assert not named, "import the constant"


def test_topic_names_are_unique() -> None:
    assert len({topic.name for topic in TOPICS}) == len(TOPICS)


@pytest.mark.parametrize("house", HOUSES)
def test_no_application_is_made_at_import(house: str) -> None:
    """One composition root per process: nothing at module level builds a Faust or FastAPI application."""
    made = [
        f"{path}:{statement.lineno}"
        for path in python_files(house)
        for statement in tree(path).body
        if isinstance(statement, ast.Assign | ast.AnnAssign)
        and isinstance(statement.value, ast.Call)
        and dotted(statement.value.func).rpartition(".")[2] in {"App", "FastAPI", "Producer", "Consumer", "Settings"}
    ]
    assert not made
