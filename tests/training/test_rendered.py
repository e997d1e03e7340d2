"""What is rendered to learn from is rendered once, and wholly."""

from pathlib import Path

import pytest

from training.rendered import Facts, rendered, simulator_commit


class Counted(Facts, frozen=True):
    pictures: int


def test_it_is_rendered_once_unless_it_was_not_finished(tmp_path: Path) -> None:
    home, done = tmp_path / "folder" / "clips", list[Path]()

    def render(folder: Path) -> Counted:
        (folder / "pixels.npy").write_bytes(b"pixels")
        done.append(folder)
        if len(done) == 1:
            raise KeyboardInterrupt
        return Counted(simulator_commit(), "abc", 3)

    with pytest.raises(KeyboardInterrupt):
        rendered(home, render, Counted)
    assert [file.name for file in home.iterdir()] == ["pixels.npy"]
    first = rendered(home, render, Counted)
    assert (first.sha256, first.pictures) == ("abc", 3)
    assert rendered(home, render, Counted) == first
    assert done == [home, home]
