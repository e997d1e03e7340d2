import msgspec
import pytest

from ingest.camera_topic import Cameras, apply_record
from schemas.analysis import CameraSpec, Source

GATE = CameraSpec(id="gate", source=Source(url="rtsp://host/a"))


def test_set_change_remove() -> None:
    cameras: Cameras = {}
    apply_record(cameras, b"gate", msgspec.json.encode(GATE))
    assert cameras == {"gate": GATE}
    changed = msgspec.structs.replace(GATE, batch=True)
    apply_record(cameras, b"gate", msgspec.json.encode(changed))
    assert cameras == {"gate": changed}
    apply_record(cameras, b"gate", None)
    assert cameras == {}
    apply_record(cameras, b"gate", b"")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (None, msgspec.json.encode(GATE), "without a camera id"),
        (b"gate", b"{", "camera gate: "),
        (b"gate", b'{"id":"gate","source":{"url":""}}', r"source\.url"),
        (b"gate", b'{"id":"gate","source":{"url":"x"},"more":1}', "unknown field `more`"),
        (b"other", msgspec.json.encode(GATE), "camera other: the record is about gate"),
        (b"\xff", msgspec.json.encode(GATE), "the record is about gate"),
    ],
)
def test_what_is_no_camera_changes_nothing(key: bytes | None, value: bytes, message: str) -> None:
    cameras: Cameras = {"gate": GATE}
    with pytest.raises(ValueError, match=message):
        apply_record(cameras, key, value)
    assert cameras == {"gate": GATE}
