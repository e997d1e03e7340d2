"""Versions of a stored model: the next one appears whole or not at all, and only a promotion makes it live."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from cli.models import app
from tests.training.networks import write_network
from training.contract import ModelError
from training.importing import import_detector
from training.model_card import digest
from training.model_history import read_history
from training.model_repository import CONFIG, card_of, load
from training.model_server import TritonServer
from training.promotion import promote, roll_back

RUN = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"})
NOBODY = TritonServer("127.0.0.1:1")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """`mine`, with one version."""
    import_detector(write_network(tmp_path), "mine", "yolox", tmp_path / "models", labels=tmp_path / "labels.txt")
    return tmp_path / "models"


def add(repository: Path, score: float = 0.5, name: str = "mine") -> int:
    here = repository.parent
    file = write_network(here, score)
    return int(import_detector(file, name, "yolox", repository, labels=here / "labels.txt", as_version=True).name)


def files(repository: Path) -> dict[str, bytes]:
    return {str(p.relative_to(repository)): p.read_bytes() for p in sorted(repository.rglob("*")) if p.is_file()}


def test_a_new_version_is_stored_with_its_card_and_is_not_live(repository: Path) -> None:
    first = files(repository)
    assert add(repository, 0.5) == 2
    assert add(repository, 0.4) == 3
    stored = load(repository / "mine")
    assert (stored.live, stored.served, stored.versions) == (1, (1,), (1, 2, 3))
    for version in (1, 2, 3):
        card = card_of(stored.folder, version)
        assert card is not None
        assert card.served_sha256 == digest(stored.folder / str(version) / "model.onnx")
    assert {name: files(repository)[name] for name in first if not name.endswith(CONFIG)} == {
        name: content for name, content in first.items() if not name.endswith(CONFIG)
    }


@pytest.mark.parametrize(
    ("classes", "size", "tied", "says"),
    [
        (3, 64, False, "its labels would be car, bus, van instead of car, bus"),
        (2, 96, False, "its width would be 96 instead of 64; its height would be 96 instead of 64"),
        (2, 64, True, "its max batch size would be 1 instead of 8"),
    ],
)
def test_a_version_of_another_contract_is_refused_with_what_differs(
    repository: Path, classes: int, size: int, tied: bool, says: str
) -> None:
    before = files(repository)
    file = write_network(repository.parent, 0.5, classes, size, tied)
    labels = repository.parent / "labels.txt"
    with pytest.raises(ModelError, match=f"no version of mine: {says}"):
        import_detector(file, "mine", "yolox", repository, labels=labels, as_version=True)
    with pytest.raises(ModelError, match="letterbox would be center"):
        import_detector(
            write_network(repository.parent), "mine", "yolox", repository, labels=labels, letterbox="center",
            as_version=True,
        )  # fmt: skip
    assert files(repository) == before


def test_a_version_of_a_model_that_is_not_there_is_refused(repository: Path) -> None:
    with pytest.raises(ModelError, match="holds no served model"):
        add(repository, name="other")


def test_promotions_and_rollbacks_are_remembered(repository: Path) -> None:
    add(repository, 0.5)
    add(repository, 0.4)
    done = promote(repository, "mine", 2, NOBODY)
    assert (done.live, done.before, done.served) == (2, 1, (1, 2))
    assert done.server == "no Triton answers at 127.0.0.1:1: the next one to start serves version 2"
    assert promote(repository, "mine", 3, NOBODY).served == (2, 3)
    assert promote(repository, "mine", 3, NOBODY, also=(1,)).served == (1, 2, 3)
    assert (roll_back(repository, "mine", NOBODY).live, load(repository / "mine").served) == (2, (2, 3))
    assert roll_back(repository, "mine", NOBODY).live == 1
    with pytest.raises(ModelError, match="version 1 is the first that was live"):
        roll_back(repository, "mine", NOBODY)
    changes = read_history(repository / "mine", 1).changes
    assert [(change.action, change.before, change.live) for change in changes] == [
        ("promote", 1, 2),
        ("promote", 2, 3),
        ("rollback", 3, 2),
        ("rollback", 2, 1),
    ]


def test_a_version_that_is_not_there_is_not_promoted(repository: Path) -> None:
    add(repository)
    before = files(repository)
    with pytest.raises(ModelError, match=r"4.model\.onnx is not there; mine has 1, 2"):
        promote(repository, "mine", 4, NOBODY)
    with pytest.raises(ModelError, match=r"7.model\.onnx is not there"):
        promote(repository, "mine", 2, NOBODY, also=(7,))
    assert files(repository) == before


def test_a_spoilt_history_is_named_and_a_missing_one_begins_with_what_is_live(repository: Path) -> None:
    add(repository)
    (repository / "mine" / "history.json").write_text("{{")
    with pytest.raises(ModelError, match=r"history\.json"):
        promote(repository, "mine", 2, NOBODY)
    (repository / "mine" / "history.json").unlink()
    assert promote(repository, "mine", 2, NOBODY).before == 1


def test_a_model_with_versions_is_not_replaced(repository: Path) -> None:
    add(repository)
    with pytest.raises(ModelError, match="--as-version"):
        import_detector(
            write_network(repository.parent), "mine", "yolox", repository,
            labels=repository.parent / "labels.txt", replace=True,
        )  # fmt: skip


def test_versions_that_are_published_at_once_get_a_number_each(repository: Path) -> None:
    labels = repository.parent / "labels.txt"
    networks = [write_network(repository.parent, score) for score in (0.1, 0.2, 0.3, 0.4)]
    with ThreadPoolExecutor(4) as pool:
        added = list(
            pool.map(
                lambda file: import_detector(file, "mine", "yolox", repository, labels=labels, as_version=True),
                networks,
            )
        )
    assert sorted(folder.name for folder in added) == ["2", "3", "4", "5"]
    cards = [card_of(repository / "mine", number) for number in (2, 3, 4, 5)]
    assert len({card.served_sha256 for card in cards if card}) == 4


def test_of_two_models_that_are_published_at_once_one_wins(repository: Path) -> None:
    labels = repository.parent / "labels.txt"
    networks = [write_network(repository.parent, score) for score in (0.1, 0.2)]

    def publish(file: Path) -> str:
        try:
            import_detector(file, "new", "yolox", repository, labels=labels)
        except ModelError as error:
            return str(error)
        return "stored"

    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(publish, networks))
    assert said.count("stored") == 1
    assert sum("exists already" in answer for answer in said) == 1
    assert load(repository / "new").versions == (1,)


def limited(size: int) -> Callable[[], None]:
    """Every file that the process writes ends here, as on a full disk; the error is EFBIG instead of ENOSPC."""

    def limit() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


@pytest.mark.parametrize(
    "words",
    [
        ["import", "{file}", "--name", "mine", "--family", "yolox", "--labels", "{labels}", "--as-version"],
        ["import", "{file}", "--name", "new", "--family", "yolox", "--labels", "{labels}"],
        ["promote", "mine", "2", "--triton", "127.0.0.1:1"],
        ["rollback", "mine", "--triton", "127.0.0.1:1"],
    ],
    ids=lambda words: words[0],
)
def test_a_full_disk_changes_nothing(repository: Path, words: list[str]) -> None:
    add(repository)
    if words[0] == "rollback":
        promote(repository, "mine", 2, NOBODY)
    before = files(repository)
    here = repository.parent
    filled = [word.format(file=write_network(here, 0.3), labels=here / "labels.txt") for word in words]
    done = subprocess.run(
        [sys.executable, "-B", "-m", "cli.main", "models", *filled, "--repository", str(repository)],
        cwd=ROOT, capture_output=True, text=True, preexec_fn=limited(100),
    )  # fmt: skip
    assert done.returncode == 1, done.stdout
    assert "OSError" in done.stderr
    assert "Traceback" not in done.stderr
    assert files(repository) == before
    assert load(repository / "mine").live == (2 if words[0] == "rollback" else 1)


def test_the_commands(repository: Path) -> None:
    here, options = repository.parent, ["--repository", str(repository)]
    labels = ["--labels", str(here / "labels.txt")]
    file = str(write_network(here, 0.5))
    imported = RUN.invoke(
        app, ["import", file, "--name", "mine", "--family", "yolox", "--as-version", *labels, *options]
    )
    assert "rewatch models promote mine 2" in imported.output
    both = RUN.invoke(app, ["import", file, "--name", "mine", "--family", "yolox", "--as-version", "--replace"])
    assert both.exit_code == 2
    server = ["--triton", "127.0.0.1:1"]
    done = RUN.invoke(app, ["promote", "mine", "2", *options, *server])
    assert "version 2 is live; served too: 1" in done.output
    assert "no Triton answers" in done.output
    for columns in ("200", "80"):
        assert "2 of 1, 2" in RUN.invoke(app, ["list", *options], env={"COLUMNS": columns}).output
    shown = RUN.invoke(app, ["show", "mine", *options]).output
    assert "version 2 of 1, 2; served: 1, 2" in shown
    assert "promote 1 -> 2" in shown
    back = msgspec.json.decode(RUN.invoke(app, ["rollback", "mine", "--json", *options, *server]).output)
    assert (back["live"], back["before"], back["served"]) == (1, 2, [1, 2])
    told = msgspec.json.decode(RUN.invoke(app, ["show", "mine", "--json", *options]).output)
    assert [each["version"] for each in told["versions"]] == [1, 2]
    assert told["history"]["lived"] == [1]
    listed = msgspec.json.decode(RUN.invoke(app, ["list", "--json", *options]).output)
    assert listed["stored"][0]["name"] == "mine"
    assert "yolox-nano" in listed["to_pull"]
    wrong = RUN.invoke(app, ["promote", "mine", "9", *options, *server])
    assert wrong.exit_code == 1
    assert len(wrong.stderr.strip().splitlines()) == 1
