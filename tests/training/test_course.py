# ruff: noqa: E402 - what needs PyTorch can only be imported after asking for it
"""From labelled pictures to a live model, in a few steps: enough to see that every part is there, not to be good."""

import contextlib
import json
import resource
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch", reason="the extra `train` (PyTorch) isn't installed")

from cli.main import build
from tests.training import folders
from tests.training.test_model_versions import NOBODY, files
from training.audience import Listener
from training.contract import ModelError
from training.course.delivery import Product, produce, publish
from training.course.learning import begin, learn, served
from training.course.order import Order
from training.course.preparation import FLOAT_GRAPH, prepare, trainer_of
from training.course.record import RunError, alone
from training.course.run import run
from training.curves import drawn, losses
from training.model_card import digest
from training.model_repository import card_of, load
from training.network import JunctionYolo
from training.rebuilding import rebuild
from training.trainer import LossError, to_tensor

pytestmark = pytest.mark.timeout(240)
RUN = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"})
BOXES: folders.Boxes = {name: [("bolt", 2, 3, 12, 13), ("nut", 20, 10, 40, 30)] for name in "abcdefghijklmnop"}
QUICK = ["--steps", "3", "--batch", "2", "--size", "64x64", "--threads", "1", "--at-least", "0"]
SMALL = {"size": (64, 64), "steps": 3, "batch": 2, "threads": 1, "at_least": 0.0, "every": 2}


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten pictures, each of a source of its own (too few to calibrate INT8 with, which saves time), and `parts`, made
    of them."""
    folder = tmp_path_factory.mktemp("once")
    folders.coco(folder / "pictures", dict(list(BOXES.items())[:10]))
    trained(folder / "pictures")
    return folder


@pytest.fixture
def pictures(tmp_path: Path, once: Path) -> Path:
    """Nothing is trained from them yet."""
    shutil.copytree(once / "pictures", tmp_path / "pictures")
    return tmp_path / "pictures"


@pytest.fixture
def stored(pictures: Path, once: Path) -> Path:
    """The same, and `parts` is stored."""
    for name in ("models", "work"):
        shutil.copytree(once / name, pictures.parent / name)
    return pictures


@pytest.fixture
def more_pictures(tmp_path: Path) -> Path:
    folders.coco(tmp_path / "pictures", BOXES)
    return tmp_path / "pictures"


def order(pictures: Path, **more: Any) -> Order:
    return Order("parts", pictures, **{**SMALL, **more})


def trained(pictures: Path, listener: Listener | None = None, place: str = "", **more: Any) -> Path:
    """The folder of the version that comes of an order."""
    here = pictures.parent
    outcome = run(
        order(pictures, **more), here / f"models{place}", here / f"work{place}", NOBODY, listener or Listener()
    )
    return Path(outcome.folder)


def product_of(pictures: Path) -> Product:
    here = pictures.parent
    prepared, listener = prepare(order(pictures), here / "models", here / "work"), Listener()
    trainer, record = learn(prepared, here / "work", begin(prepared, here / "work", False), listener)
    return produce(prepared, trainer, record, listener)


def command(*words: object) -> Any:
    return RUN.invoke(build("train"), ["train", *map(str, words), "--triton", "127.0.0.1:1"])


def test_one_command_from_pictures_to_a_live_version_and_again_to_the_next(more_pictures: Path) -> None:
    here = more_pictures.parent
    words = [more_pictures, "--name", "parts", *QUICK, "--times-faster", "0", "--kept", "0"]
    words += ["--repository", here / "models", "--work", here / "work"]
    done = command(*words, "--json")
    assert done.exit_code == 0, done.output
    told = msgspec.json.decode(done.stdout)
    assert (told["version"], told["promotion"]["live"], told["classes"]) == (1, 1, ["bolt", "nut"])
    assert sum(told["pictures"].values()) == 16
    folder = here / "models" / "parts"
    card = card_of(folder, 1)
    assert card is not None
    assert card.served_sha256 == digest(folder / "1" / "model.onnx")
    assert card.sha256 == digest(folder / "1" / FLOAT_GRAPH)
    assert {"data", "basis", "recipe", "commit", "curve", "result", "quantization"} <= card.facts.keys()
    assert (folder / "1" / "curves.png").read_bytes().startswith(b"\x89PNG")

    again = command(*words)
    assert "published before, as version 1" in again.output
    assert load(folder).versions == (1,)

    anew = command(*words, "--anew")
    assert "version 2 is live" in anew.output
    assert (load(folder).live, load(folder).served) == (2, (1, 2))
    assert (folder / "1" / FLOAT_GRAPH).read_bytes() == (folder / "2" / FLOAT_GRAPH).read_bytes()


def test_stopped_it_goes_on_and_comes_to_the_same_and_with_nothing_else(pictures: Path) -> None:
    straight = trained(pictures, place="a")
    with pytest.raises(KeyboardInterrupt):
        trained(pictures, Listener(2), place="b")
    checkpoint, changed = pictures.parent / "workb" / "checkpoint.pt", pictures / "images" / "a.png"
    kept, picture = checkpoint.read_bytes(), changed.read_bytes()
    assert cv2.imwrite(str(changed), folders.picture(99))
    with pytest.raises(RunError, match=r"differs in data \([0-9a-f]{12}, now [0-9a-f]{12}\)"):
        trained(pictures, place="b")
    changed.write_bytes(picture)
    checkpoint.write_bytes(b"nonsense")
    with pytest.raises(RunError, match=r"checkpoint\.pt: .*--anew"):
        trained(pictures, place="b")
    checkpoint.write_bytes(kept)
    other = Listener()
    with pytest.raises(RunError, match=r"differs in .*seed \(1, now 2\); --anew begins again"):
        trained(pictures, place="b", steps=4, seed=2)
    with pytest.raises(RunError, match="is at step 2 already, behind 1"):
        trained(pictures, place="b", steps=1)
    stopped = trained(pictures, other, place="b")
    assert "going on from step 2 of 3" in other.said
    assert (straight / "model.onnx").read_bytes() == (stopped / "model.onnx").read_bytes()
    assert (straight / "curves.png").read_bytes() == (stopped / "curves.png").read_bytes()
    assert any("served in float32: 7 pictures to calibrate with" in line for line in other.said)


def test_of_two_trainings_in_one_folder_one_is_refused(pictures: Path) -> None:
    with alone(pictures.parent / "work"), pytest.raises(RunError, match="another training is going on"):
        trained(pictures)


def no_pictures(folder: Path) -> None:
    (folder / "annotations" / "instances.json").write_text('{"images": [], "annotations": [], "categories": []}')


def a_box_outside(folder: Path) -> None:
    path = folder / "annotations" / "instances.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["bbox"][2] = 60
    path.write_text(json.dumps(content))


def an_unknown_class(folder: Path) -> None:
    path = folder / "annotations" / "instances.json"
    path.write_text(path.read_text().replace('"category_id": 2', '"category_id": 7'))


def a_corrupt_picture(folder: Path) -> None:
    (folder / "images" / "c.png").write_bytes((folder / "images" / "c.png").read_bytes()[:60])


def too_few_sources(folder: Path) -> None:
    rows = [f"images/{name}.png,belt,\n" for name in "abcdefghij"]
    (folder / "sources.csv").write_text("".join(["file,source,time_s\n", *rows]))


def no_labels(folder: Path) -> None:
    (folder / "annotations" / "instances.json").unlink()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (no_pictures, "the dataset is empty"),
        (a_box_outside, "lies outside of images/a.png, 40x30 pixels"),
        (an_unknown_class, "annotations[1].category_id: unknown class 7"),
        (a_corrupt_picture, "images/c.png: cannot be decoded"),
        (too_few_sources, "three sources, or 50 pictures of one with their times, are needed"),
        (no_labels, "holds no labels"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused_and_nothing_changes(
    pictures: Path, spoil: Callable[[Path], None], says: str
) -> None:
    spoil(pictures)
    models = pictures.parent / "models"
    done = command(pictures, "--name", "parts", *QUICK, "--repository", models, "--work", pictures.parent / "work")
    assert done.exit_code == 1
    assert says in done.stderr
    assert "Traceback" not in done.output
    assert not models.exists()


def test_a_loss_that_is_no_number_leaves_the_old_version_live(stored: Path) -> None:
    before = files(stored.parent / "models")
    with pytest.raises(LossError, match="the loss is no number any more"):
        trained(stored, peak_rate=1e30, steps=8)
    assert files(stored.parent / "models") == before


def test_what_finds_too_little_is_not_published(pictures: Path) -> None:
    with pytest.raises(ModelError, match=r"less than 0\.9: not published"):
        trained(pictures, at_least=0.9)
    assert not (pictures.parent / "models").exists()


def test_what_could_not_be_published_is_refused_before_it_is_learnt(stored: Path) -> None:
    with pytest.raises(ModelError, match="its width would be 96 instead of 64"):
        trained(stored, size=(96, 64))
    with pytest.raises(ModelError, match="multiples of 32"):
        trained(stored, size=(100, 64))
    listed = stored / "annotations" / "instances.json"
    listed.write_text(listed.read_text().replace('"nut"', '"washer"'))
    with pytest.raises(ModelError, match="its labels would be bolt, washer instead of bolt, nut"):
        trained(stored)


@contextlib.contextmanager
def full_disk(size: int) -> Iterator[None]:
    """Every file that is written ends here, as on a full disk; the error is EFBIG instead of ENOSPC."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_old_version_live_and_room_lets_it_go_on(stored: Path) -> None:
    """Once where the checkpoint is written, once where the model is."""
    here = stored.parent
    before = files(here / "models")
    words = [stored, "--name", "parts", *QUICK, "--seed", "2"]
    words += ["--repository", here / "models", "--work", here / "other"]
    with full_disk(1_000_000):
        done = command(*words)
        assert "File too large" in done.stderr
        assert done.exit_code == 1
    assert not list((here / "other").glob("checkpoint.*"))
    assert command(*words, "--at-least", "0.99").exit_code == 1
    assert (here / "other" / "checkpoint.pt").exists()
    with full_disk(1_000_000):
        assert "File too large" in command(*words).stderr
    assert files(here / "models") == before
    done = command(*words)
    assert "going on from step 3 of 3" in done.stderr
    assert "at least 8 are needed" in done.stdout
    assert load(here / "models" / "parts").live == 2


def test_two_that_publish_at_once_get_a_version_each(pictures: Path) -> None:
    product, models = product_of(pictures), pictures.parent / "others"
    with ThreadPoolExecutor(3) as pool:
        versions = list(pool.map(lambda _: publish(models, product), range(3)))
    assert sorted(versions) == [1, 2, 3]
    assert load(models / "parts").live == 1


def test_a_network_rebuilt_from_its_graph_computes_the_same(pictures: Path) -> None:
    prepared = prepare(order(pictures), pictures.parent / "models", pictures.parent / "work")
    first = trainer_of(prepared).network
    shown = np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3)).astype(np.uint8)
    first.train()
    for _ in range(20):
        first(to_tensor(shown))  # moves the norms' statistics away from 0 and 1
    graph = served(first, prepared).graph
    second = JunctionYolo(3)
    rebuild(second, ("nut", "washer", "bolt"), graph, prepared.classes, shown)
    with torch.no_grad():
        wanted, got = first.eval()(to_tensor(shown)), second.eval()(to_tensor(shown))
        torch.testing.assert_close(got[..., [2, 0, 3, 4, 5, 6]], wanted, atol=1e-3, rtol=1e-3)
        # and while learning, when norms go by the batch: what was measured is what they see
        torch.testing.assert_close(second.train()(to_tensor(shown)), got, atol=0.05, rtol=0.05)
    graph.graph.node.remove(next(node for node in graph.graph.node if node.op_type == "Conv"))
    with pytest.raises(ModelError, match="it is another one"):
        rebuild(JunctionYolo(2), prepared.classes, graph, prepared.classes, shown)


def test_going_on_from_a_model_with_old_pictures_rehearsed(more_pictures: Path) -> None:
    here = more_pictures.parent
    old = trained(more_pictures, times_faster=0.0, kept=0.0)
    folders.coco(here / "new", {f"new-{name}": boxes for name, boxes in list(BOXES.items())[:10]})
    for number, path in enumerate(sorted((here / "new" / "images").iterdir())):
        assert cv2.imwrite(str(path), folders.picture(100 + number))
    words = [here / "new", "--name", "parts", *QUICK, "--repository", here / "models", "--work", here / "on"]
    words += ["--from", "parts", "--rehearse", more_pictures, "--rehearse-share", "0.5", "--times-faster", "1000"]
    done = command(*words, "--json")
    assert done.exit_code == 0, done.output
    told = msgspec.json.decode(done.stdout)
    assert told["version"] == 2
    assert all(told["result"][part] for part in ("test", "start", "rehearsed_start", "rehearsed"))
    card = card_of(old.parent, 2)
    assert card is not None
    assert msgspec.json.decode(card.facts["started_from"])["sha256"] == digest(old / FLOAT_GRAPH)
    assert "published before" in command(*words).output
    other = command(here / "new", "--name", "x", *QUICK, "--from", "inspection-screen", "--work", here / "x")
    assert other.exit_code == 1


def test_curves_are_the_same_for_the_same_figures() -> None:
    curve = [(1, {"classes": 2.0, "boxes": 1.0}), (2, {"classes": 1.0, "boxes": 0.5})]
    assert drawn("parts", losses(curve), {2: 0.5}) == drawn("parts", losses(curve), {2: 0.5})


@pytest.mark.shared_data
def test_steel_defects_of_a_public_set(tmp_path: Path, shared_data: Path) -> None:
    """Sixty photographs of six defects, labelled in VOC's layout."""
    steel = tmp_path / "steel"
    shutil.copytree(shared_data / "labelled" / "NEU-DET", steel)
    options = [*QUICK, "--repository", tmp_path / "models", "--work", tmp_path / "work", "--times-faster", "1000"]
    by_name = command(steel, "--name", "steel", *options)
    assert by_name.exit_code == 1
    assert "no box of the class" in by_name.stderr
    # two of them show nearly the same spot
    spot = {"pitted_surface_8": "pitted_surface_6"}
    rows = [f"{p.relative_to(steel)},{spot.get(p.stem, p.stem)},\n" for p in sorted(steel.rglob("*.jpg"))]
    (steel / "sources.csv").write_text("".join(["file,source,time_s\n", *rows]))
    done = command(steel, "--name", "steel", *options, "--json")
    assert done.exit_code == 0, done.output
    told = msgspec.json.decode(done.stdout)
    assert told["pictures"] == {"train": 42, "validation": 12, "test": 6}
    assert len(told["classes"]) == 6
