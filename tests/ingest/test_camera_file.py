from pathlib import Path

import pytest

from ingest.camera_file import CameraFileError, load_cameras

GOOD = """\
cameras:
  - id: gate
    source:
      url: rtsp://viewer:secret@10.0.0.7/stream
      transport: udp
    analysis:
      model: yolox-nano
      rules:
        - {kind: line, name: in, start: [0.1, 0.5], end: [0.9, 0.5]}
  - id: yard
    source: {url: /data/yard.mp4, loop: true}
"""


def load(tmp_path: Path, text: str) -> str:
    path = tmp_path / "cameras.yaml"
    path.write_text(text)
    with pytest.raises(CameraFileError) as caught:
        load_cameras(path)
    return str(caught.value).replace(f"{path}", "FILE")


def test_a_good_file(tmp_path: Path) -> None:
    path = tmp_path / "cameras.yaml"
    path.write_text(GOOD)
    gate, yard = load_cameras(path)
    assert (gate.id, gate.source.transport, gate.analysis.rules[0].name) == ("gate", "udp", "in")
    assert yard.source.loop


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("udp", "quic"), "FILE:5: cameras[0].source.transport: Invalid enum value 'quic'"),
        (("[0.1, 0.5]", "[0.1, 1.5]"), "FILE:9: cameras[0].analysis.rules[0].start[1]: Expected `float` <= 1.0"),
        (("loop: true", "loop: often"), "FILE:11: cameras[1].source.loop: Expected `bool`, got `str`"),
        (("loop: true", "lop: true"), "FILE:11: cameras[1].source.lop: Object contains unknown field `lop`"),
        (("id: yard", "id: gate"), "FILE:10: cameras[1].id: gate is there twice"),
        (("id: yard", "id: 'y ard'"), "FILE:10: cameras[1].id: Expected `str` matching regex"),
        (("    source: {url: /data", "    sauce: {url: /data"), "FILE:11: cameras[1].sauce"),
        (("kind: line", "kind: curve"), "FILE:9: cameras[0].analysis.rules[0].kind: Invalid value 'curve'"),
        (("cameras:", "cams:"), "FILE:1: cameras: expected a list"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    assert change[0] in GOOD
    assert load(tmp_path, GOOD.replace(*change)).startswith(message)


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("udp", "quic").replace("loop: true", "loop: often") + "extra: 1\n"
    said = load(tmp_path, text).splitlines()
    assert [line.partition(": ")[0] for line in said] == ["FILE:12", "FILE:5", "FILE:11"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cameras:\n  - id: [\n", "FILE:3: not YAML: "),
        ("cameras:\n\t- id: x\n", "FILE:2: not YAML: "),
        ("", "FILE:1: cameras: expected a list with at least one camera"),
        ("- 1\n- 2\n", "FILE:1: cameras: expected a list"),
        ("cameras: []\n", "FILE:1: cameras: expected a list"),
        ("cameras:\n  - 7\n", "FILE:2: cameras[0]: Expected `object`, got `int`"),
    ],
)
def test_no_camera_file_at_all(tmp_path: Path, text: str, message: str) -> None:
    assert load(tmp_path, text).startswith(message)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(CameraFileError, match="No such file"):
        load_cameras(tmp_path / "nowhere.yaml")
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"cameras: \xff")
    with pytest.raises(CameraFileError, match="not UTF-8"):
        load_cameras(path)


def test_no_password_in_an_error(tmp_path: Path) -> None:
    said = load(tmp_path, GOOD.replace("transport: udp", "transport: [rtsp://viewer:secret@10.0.0.7]"))
    assert "secret" not in said
