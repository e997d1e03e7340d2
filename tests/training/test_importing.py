"""A file becomes a served model, or nothing at all."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.training.tables import network
from training.contract import INPUT, OUTPUT, ModelError
from training.importing import import_detector
from training.label_file import COCO, read_labels
from training.model_card import digest, read_card
from training.model_repository import load, models
from training.trial import pictures, session


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    file = tmp_path / "labels.txt"
    file.write_text("car\nbus\n\n")
    return file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return saved(tmp_path / "network.onnx")


def saved(path: Path, tied: bool = False) -> Path:
    table = np.zeros((84, 7), np.float32)
    table[19] = [0.5, 0.25, 0.7, 1.1, 0.9, 0.1, 0.8]
    onnx.save(network({"output": table}, tied=tied), path)
    return path


def left_in(repository: Path) -> list[str]:
    return sorted(p.name for p in repository.iterdir()) if repository.exists() else []


def test_the_model_s_folder(tmp_path: Path, file: Path, labels: Path) -> None:
    folder = import_detector(file, "mine", "yolox", tmp_path / "models", labels=labels, licence="MIT")
    assert sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()) == [
        "1/model.onnx",
        "card.json",
        "config.pbtxt",
        "labels.txt",
    ]
    assert read_labels(folder / "labels.txt") == ("car", "bus")
    stored = load(folder)
    assert (stored.detector.width, stored.detector.max_batch_size, stored.detector.labels) == (64, 8, ("car", "bus"))
    card = read_card(folder / "card.json")
    assert (card.sha256, card.served_sha256) == (digest(file), digest(folder / "1" / "model.onnx"))
    assert (card.origin, card.licence) == ("network.onnx", "MIT")
    images = pictures(stored.detector, 2)
    rows = session(str(folder / "1" / "model.onnx")).run([OUTPUT], {INPUT: images})[0]
    assert np.asarray(rows).shape == (2, 100, 6)
    assert [m.detector.name for m in models(tmp_path / "models")] == ["mine"]


def test_the_same_file_gives_the_same_bytes(tmp_path: Path, file: Path, labels: Path) -> None:
    folders = [import_detector(file, "mine", "yolox", tmp_path / name, labels=labels) for name in ("a", "b")]
    for name in ("1/model.onnx", "config.pbtxt", "card.json"):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()


def test_a_network_tied_to_one_picture_is_served_without_batching(tmp_path: Path, labels: Path) -> None:
    file = saved(tmp_path / "tied.onnx", tied=True)
    folder = import_detector(file, "tied", "yolox", tmp_path / "models", labels=labels)
    stored = load(folder)
    assert stored.detector.max_batch_size == 1
    assert stored.detector.width == 64
    assert "dynamic_batching" not in (folder / "config.pbtxt").read_text()
    assert stored.card is not None
    assert "without batching" in stored.card.notes[0]


def test_a_taken_name_is_kept_unless_told_otherwise(tmp_path: Path, file: Path, labels: Path) -> None:
    repository = tmp_path / "models"
    folder = import_detector(file, "mine", "yolox", repository, labels=labels)
    before = (folder / "card.json").read_bytes()
    with pytest.raises(ModelError, match="--replace"):
        import_detector(file, "mine", "yolox", repository, labels=labels, licence="other")
    assert (folder / "card.json").read_bytes() == before
    import_detector(file, "mine", "yolox", repository, labels=labels, licence="other", replace=True)
    assert read_card(folder / "card.json").licence == "other"
    assert left_in(repository) == ["mine"]


def test_what_fails_leaves_nothing_and_keeps_what_was(tmp_path: Path, file: Path, labels: Path) -> None:
    repository = tmp_path / "models"
    folder = import_detector(file, "mine", "yolox", repository, labels=labels)
    before = (folder / "1" / "model.onnx").read_bytes()
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(file.read_bytes()[:200])
    for wrong in (broken, tmp_path / "none.onnx", labels):
        with pytest.raises(ModelError):
            import_detector(wrong, "mine", "yolox", repository, labels=labels, replace=True)
    with pytest.raises(ModelError, match="knows 2 classes, but there are 80 labels"):
        import_detector(file, "other", "yolox", repository, labels=COCO)
    assert left_in(repository) == ["mine"]
    assert (folder / "1" / "model.onnx").read_bytes() == before


def test_a_graph_that_only_onnx_runtime_finds_wrong(tmp_path: Path, labels: Path) -> None:
    """An operator of nobody's domain is valid ONNX and can't be run."""
    model = onnx.load(saved(tmp_path / "odd.onnx"))
    model.graph.node[-1].output[0] = "sum"
    model.graph.node.append(helper.make_node("Twist", ["sum"], ["output"], domain="nobody"))
    model.opset_import.append(helper.make_opsetid("nobody", 1))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 84, 7]))
    onnx.save(model, tmp_path / "odd.onnx")
    with pytest.raises(ModelError):
        import_detector(tmp_path / "odd.onnx", "odd", "yolox", tmp_path / "models", labels=labels)
    assert left_in(tmp_path / "models") == []


@pytest.mark.parametrize("name", ["", "Upper", "a/b", "../x", ".hidden", "a" * 65])
def test_names_that_cameras_could_not_use(tmp_path: Path, file: Path, labels: Path, name: str) -> None:
    with pytest.raises(ModelError, match="no model name"):
        import_detector(file, name, "yolox", tmp_path / "models", labels=labels)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"car\ncar\n", "'car' is there twice"),
        (b"car, red\n", "line 1"),
        (b"car\n\nbus\n", "line 2"),
        (b"\xff\xfe", "labels"),
    ],
)
def test_label_files(tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "labels.txt"
    file.write_bytes(content)
    with pytest.raises(ModelError, match=says):
        read_labels(file)
    with pytest.raises(ModelError, match="No such file"):
        read_labels(tmp_path / "none.txt")


def test_coco_has_eighty_labels() -> None:
    labels = read_labels(COCO)
    assert (len(labels), labels[0], labels[2], labels[79]) == (80, "person", "car", "toothbrush")


def test_folders_that_are_no_models_are_passed_over(tmp_path: Path, file: Path, labels: Path) -> None:
    import_detector(file, "mine", "yolox", tmp_path, labels=labels)
    (tmp_path / "other" / "1").mkdir(parents=True)
    (tmp_path / "other" / "config.pbtxt").write_text('name: "other" backend: "python"')
    (tmp_path / "broken" / "1").mkdir(parents=True)
    (tmp_path / "broken" / "config.pbtxt").write_text("{{{")
    assert [m.detector.name for m in models(tmp_path)] == ["mine"]
    with pytest.raises(ModelError, match=r"config\.pbtxt"):
        load(tmp_path / "broken")
    with pytest.raises(ModelError, match="holds no served model"):
        load(tmp_path / "none")
