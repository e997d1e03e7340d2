"""`rewatch models tensorrt`: what is written for Triton's ONNX Runtime backend, what is refused, what versions keep."""

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
from onnx import numpy_helper
from onnxruntime.quantization.CalTableFlatBuffers.TrtTable import TrtTable
from typer.testing import CliRunner

from cli.models import app
from tests.training.networks import write_network
from training.acceleration import Acceleration, accelerate, decelerate
from training.calibration_table import calibration_table
from training.contract import ModelError
from training.importing import import_detector
from training.int8 import read_served
from training.model_repository import CONFIG, load
from training.model_server import TritonServer
from training.onnx_config import parsed
from training.promotion import promote, roll_back
from training.quantization import Pixels
from training.tensorrt import Wish, accelerated, check_options, options_of
from training.triton_config import parse_config

RUN = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"})
NOBODY = TritonServer("127.0.0.1:1")
BUNDLED = Path(__file__).resolve().parents[2] / "triton_models"
NOTHING = "network/no_red"
GREYS = (10, 40, 200, 90, 30, 20, 60, 50)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """`mine`, with one version."""
    import_detector(write_network(tmp_path), "mine", "yolox", tmp_path / "models", labels=tmp_path / "labels.txt")
    return tmp_path / "models"


def pictures() -> Pixels:
    return np.stack([np.full((64, 64, 3), grey, np.uint8) for grey in GREYS])


def on(repository: Path, precision: str = "fp16", name: str = "mine", **more: str) -> Acceleration:
    return accelerate(
        repository, name, precision, NOBODY, engines="/engines", seen_as="/imported", pictures=pictures, more=more  # type: ignore[arg-type]
    )  # fmt: skip


def options(repository: Path, name: str = "mine") -> dict[str, str]:
    return options_of(parsed((repository / name / CONFIG).read_text()))


def tables(repository: Path) -> list[str]:
    return sorted(str(path.relative_to(repository)) for path in repository.rglob("*.flatbuffers"))


def test_half_precision_is_written_as_the_backend_wants_it(repository: Path) -> None:
    before = (repository / "mine" / CONFIG).read_text()
    done = on(repository)
    text = (repository / "mine" / CONFIG).read_text()
    assert options(repository) == done.options
    key = done.options["trt_engine_cache_path"].removeprefix("/engines/mine-")
    assert len(key) == 12
    assert done.options == {
        "precision_mode": "FP16",
        "max_workspace_size_bytes": "1073741824",
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": f"/engines/mine-{key}",
    }
    check_options(done.options)
    warmed = {sample.name: sample.batch_size for sample in parsed(text).model_warmup}
    assert warmed == {"grey": 1, "tensorrt 1": 1, "tensorrt 8": 8}
    assert parse_config(text) == parse_config(before)
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        line for line in before.splitlines() if line.startswith("#")
    ]
    assert "no Triton answers" in done.server
    on(repository)
    assert (repository / "mine" / CONFIG).read_text() == text, "twice is once"


def test_off_again_nothing_is_left_of_it(repository: Path) -> None:
    on(repository, "int8")
    assert len(tables(repository)) == 1
    assert decelerate(repository, "mine", NOBODY).options == {}
    assert "tensorrt" not in (repository / "mine" / CONFIG).read_text()
    assert tables(repository) == []
    assert not parsed((repository / "mine" / CONFIG).read_text()).HasField("optimization")


def test_every_bundled_model_in_float_takes_it_and_keeps_its_config(tmp_path: Path) -> None:
    for folder in sorted(BUNDLED.iterdir()):
        shutil.copytree(folder, tmp_path / folder.name)
        before = parsed((tmp_path / folder.name / CONFIG).read_text())
        if folder.name.endswith("-int8"):
            with pytest.raises(ModelError, match="-int8 is quantised for CPUs"):
                on(tmp_path, name=folder.name)
            assert (tmp_path / folder.name / CONFIG).read_bytes() == (folder / CONFIG).read_bytes()
            continue
        check_options(on(tmp_path, name=folder.name).options)
        after = parsed((tmp_path / folder.name / CONFIG).read_text())
        assert (after.input, after.output, after.max_batch_size) == (before.input, before.output, before.max_batch_size)


def test_eight_bits_come_with_the_ranges_of_what_was_seen(repository: Path) -> None:
    done = on(repository, "int8")
    (table,) = tables(repository)
    assert table.startswith("mine/1/calibration-")
    assert done.options["int8_calibration_table_name"] == f"/imported/{table}"
    assert (done.options["precision_mode"], done.options["int8_use_native_calibration_table"]) == ("INT8", "0")
    check_options(done.options)
    found = read(repository / table)
    assert len(found) == done.calibrated
    assert found == {**dict.fromkeys(map("network/{}".format, ("images", "mean", "means", "red")), 200.0), NOTHING: 0.0}
    assert "network/output" not in found, "boxes are made of it: it stays as exact as it is"
    on(repository, "fp16")
    assert tables(repository) == []


def read(table: Path) -> dict[str, float]:
    found = TrtTable.GetRootAsTrtTable(table.read_bytes(), 0)
    pairs = [found.Dict(at) for at in range(found.DictLength())]
    return {pair.Key().decode(): float(pair.Value()) for pair in pairs}


def test_a_range_is_a_magnitude(repository: Path) -> None:
    """What is only negative would have the range 0 by ONNX Runtime's own writer."""
    model = read_served(load(repository / "mine"))
    for one in model.graph.graph.initializer:
        if one.name == "network/nothing":
            one.CopyFrom(numpy_helper.from_array(np.full((1, 1, 1), -3, np.float32), one.name))
    _, ranges = calibration_table(model, pictures())
    assert ranges[NOTHING] == 600.0


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        (Wish("fp32", "/engines", "k"), "'fp32' is no precision of ours"),  # type: ignore[arg-type]
        (Wish("fp16", "engines", "k"), "'engines' is no absolute path"),
        (Wish("int8", "/engines", "k"), "int8 wants a calibration"),
        (Wish("fp16", "/engines", "k", "/table"), "nothing else does"),
        (Wish("fp16", "/engines", "k", more={"trt_magic": "1"}), "'trt_magic' is no option"),
        (Wish("fp16", "/engines", "k", more={"trt_cuda_graph_enable": "yes"}), "'yes' is no value of trt_cuda_graph"),
        (Wish("fp16", "/engines", "k", more={"trt_min_subgraph_size": "many"}), "'many' is no value"),
        (Wish("fp16", "/engines", "k", more={"precision_mode": "FP32"}), "follows from the precision"),
    ],
    ids=str,
)
def test_what_the_backend_could_not_read_is_refused(repository: Path, wish: Wish, why: str) -> None:
    with pytest.raises(ModelError, match=why):
        accelerated((repository / "mine" / CONFIG).read_text(), wish, (1,))


def test_further_options_are_passed_on(repository: Path) -> None:
    done = on(repository, trt_min_subgraph_size="5", max_workspace_size_bytes="2147483648")
    assert (done.options["trt_min_subgraph_size"], done.options["max_workspace_size_bytes"]) == ("5", "2147483648")


def test_versions_keep_it_but_neither_another_s_engines_nor_its_ranges(repository: Path, tmp_path: Path) -> None:
    on(repository, "int8")
    accelerated_once = options(repository)
    labels = tmp_path / "labels.txt"
    import_detector(write_network(tmp_path, 0.5), "mine", "yolox", repository, labels=labels, as_version=True)
    assert options(repository) == accelerated_once, "the new version is not served yet"
    promote(repository, "mine", 2, NOBODY)
    assert load(repository / "mine").served == (1, 2)
    both = {"precision_mode": "FP16", "trt_engine_cache_enable": "0"}
    assert {key: options(repository)[key] for key in both} == both
    assert not {"int8_calibration_table_name", "int8_use_native_calibration_table"} & set(options(repository))
    roll_back(repository, "mine", NOBODY)
    assert {key: options(repository)[key] for key in both} == both
    with pytest.raises(ModelError, match=r"serves the versions 1, 2, and a calibration is of one"):
        on(repository, "int8")
    assert on(repository, "fp16").options["trt_engine_cache_enable"] == "0"


def test_a_version_that_it_does_not_take_is_not_promoted(tmp_path: Path) -> None:
    shutil.copytree(BUNDLED / "junction-yolo", tmp_path / "junction-yolo")
    on(tmp_path, name="junction-yolo")
    shutil.copytree(BUNDLED / "junction-yolo-int8" / "1", tmp_path / "junction-yolo" / "2")
    with pytest.raises(ModelError, match="junction-yolo 2 is quantised for CPUs"):
        promote(tmp_path, "junction-yolo", 2, NOBODY)
    assert load(tmp_path / "junction-yolo").live == 1
    decelerate(tmp_path, "junction-yolo", NOBODY)
    assert promote(tmp_path, "junction-yolo", 2, NOBODY).live == 2


class Refusing(TritonServer):
    def swap(self, model: str, live: int) -> str:
        raise ModelError("Triton goes on as before: no memory left on the GPU")


def test_what_triton_refuses_leaves_all_as_it_was(repository: Path) -> None:
    on(repository, "int8")
    before = {path: path.read_bytes() for path in repository.rglob("*") if path.is_file()}
    refusing = Refusing("x")
    with pytest.raises(ModelError, match="no memory left"):
        decelerate(repository, "mine", refusing)
    with pytest.raises(ModelError, match="no memory left"):
        accelerate(
            repository, "mine", "int8", refusing, engines="/e", seen_as="/i", pictures=lambda: pictures() // 2
        )  # fmt: skip
    assert {path: path.read_bytes() for path in repository.rglob("*") if path.is_file()} == before


def test_as_a_person_types_it(repository: Path) -> None:
    where = ("--repository", str(repository), "--triton", "127.0.0.1:1")
    done = RUN.invoke(app, ["tensorrt", "mine", "--precision", "fp16", *where, "--json"])
    assert (done.exit_code, msgspec.json.decode(done.stdout)["options"]["precision_mode"]) == (0, "FP16")
    done = RUN.invoke(app, ["tensorrt", "mine", "--off", *where])
    assert (done.exit_code, "mine runs without TensorRT" in done.stdout) == (0, True)
    for words, why in (
        (["mine"], "say either --precision fp16, --precision int8 or --off"),
        (["mine", "--off", "--precision", "fp16"], "say either"),
        (["mine", "--precision", "fp8"], "'fp8' is no precision of ours"),
        (["mine", "--precision", "int8"], "no pictures"),
        (["mine", "--precision", "fp16", "--option", "x"], "KEY=VALUE"),
        (["nobody", "--precision", "fp16"], "holds no served model"),
        (["../mine", "--off"], "holds no served model"),
    ):
        done = RUN.invoke(app, ["tensorrt", *words, *where])
        assert done.exit_code == 1
        assert why in done.stderr
