"""Everything but training works without PyTorch; training says what is missing."""

import subprocess
import sys
from pathlib import Path

from tests.training import folders

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = (
    "import sys; sys.modules['torch'] = None; from cli.main import main; sys.argv = ['rewatch', *sys.argv[1:]]; main()"
)


def test_training_names_the_extra_that_is_missing(tmp_path: Path) -> None:
    folders.coco(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "train", str(tmp_path), "--name", "parts", "--repository", str(tmp_path / "m")],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert "needs the extra `train` (pip install 'rewatch[train]')" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "m").exists()
