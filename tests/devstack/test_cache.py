import threading
from pathlib import Path

import pytest

from devstack.cache import installed, is_installed


def test_builds_once(tmp_path: Path) -> None:
    target, calls = tmp_path / "servers" / "thing-1", []

    def build(folder: Path) -> None:
        calls.append(folder)
        (folder / "file").write_text("content")

    assert installed(target, build)
    assert not installed(target, build)
    assert calls == [target]
    assert (target / "file").read_text() == "content"


def test_an_interrupted_build_is_done_again_from_nothing(tmp_path: Path) -> None:
    target = tmp_path / "thing-1"

    def interrupted(folder: Path) -> None:
        (folder / "half").write_text("")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        installed(target, interrupted)
    assert not is_installed(target)
    assert installed(target, lambda folder: (folder / "whole").touch())
    assert is_installed(target)
    assert not (target / "half").exists()


def test_two_at_once_build_once(tmp_path: Path) -> None:
    target, calls = tmp_path / "thing-1", []
    inside, go_on = threading.Event(), threading.Event()

    def build(_: Path) -> None:
        calls.append(1)
        inside.set()
        go_on.wait(10)

    first = threading.Thread(target=installed, args=(target, build))
    first.start()
    assert inside.wait(10)
    second = threading.Thread(target=installed, args=(target, build))
    second.start()
    go_on.set()
    first.join()
    second.join()
    assert calls == [1]
