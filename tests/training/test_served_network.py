"""Models of a contract of their own, listed and shown."""

import shutil
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from cli.models import app
from training.contract import ModelError
from training.served_network import load, networks

RUN = CliRunner()
BUNDLED = Path(__file__).resolve().parents[2] / "triton_models"
OPTIONS = ["--repository", str(BUNDLED)]


def test_every_bundled_model_is_listed_once() -> None:
    names = sorted(folder.name for folder in BUNDLED.iterdir() if (folder / "config.pbtxt").is_file())
    listed = msgspec.json.decode(RUN.invoke(app, ["list", "--json", *OPTIONS]).stdout)
    assert sorted(each["name"] for each in listed["stored"]) == names
    for columns in ("200", "80"):
        shown = RUN.invoke(app, ["list", *OPTIONS], env={"COLUMNS": columns}).output
        assert all(f" {name} " in shown for name in names), "no name is folded"


def test_what_goes_in_and_comes_out_is_shown() -> None:
    shown = RUN.invoke(app, ["show", "junction-temporal", *OPTIONS], env={"COLUMNS": "200"}).output
    for line in ("memory: fp32 [2, 64, 8, 14]", "detections: fp32 [50, 6]", "image: uint8 [128, 224, 3]", "Apache-2.0"):
        assert line in shown
    told = msgspec.json.decode(RUN.invoke(app, ["show", "inspection-screen", "--json", *OPTIONS]).stdout)
    assert told["contract"]["outputs"] == {"score": {"kind": "FP32", "shape": [1]}}
    assert 0 < float(told["contract"]["parameters"]["threshold"]) < 1
    assert told["versions"][0]["card"]["served_sha256"]


def test_detectors_and_poses_are_none_of_them() -> None:
    found = {each.name for each in networks(BUNDLED)}
    assert not found & {"junction-yolo", "junction-yolo-int8", "shop-pose"}
    with pytest.raises(ModelError, match="another contract"):
        load(BUNDLED / "junction-yolo")


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        ("card.json", b"{", "holds no model of ours"),
        ("card.json", None, "holds no model of ours"),
        ("1/model.onnx", None, "holds no model of ours"),
        ("config.pbtxt", b'name: "x" nonsense', "config.pbtxt"),
        ("config.pbtxt", b'name: "x"', "takes no picture"),
    ],
)
def test_a_folder_that_is_broken_is_passed_over(
    tmp_path: Path, file: str, content: bytes | None, complaint: str
) -> None:
    shutil.copytree(BUNDLED / "inspection-screen", tmp_path / "inspection-screen")
    broken = tmp_path / "inspection-screen" / file
    broken.unlink()
    if content is not None:
        broken.write_bytes(content)
    assert list(networks(tmp_path)) == []
    with pytest.raises(ModelError, match=complaint):
        load(tmp_path / "inspection-screen")
