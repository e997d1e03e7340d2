"""Another version of a model goes live: on the disk and, where one runs, in Triton; in both or in neither."""

from pathlib import Path

from msgspec import Struct

from training.contract import ModelError
from training.model_history import History, draft_history, history_file, promoted, read_history, rolled_back
from training.model_repository import CONFIG, GRAPH, draft_of, load, locked, read_config
from training.model_server import TritonServer
from training.onnx_config import parsed
from training.raw_network import read_model
from training.tensorrt import check_graph, options_of
from training.triton_config import with_versions


class Promotion(Struct, frozen=True):
    model: str
    live: int
    before: int
    served: tuple[int, ...]
    server: str
    """what became of it in Triton"""


def promote(repository: Path, name: str, version: int, server: TritonServer, also: tuple[int, ...] = ()) -> Promotion:
    """Makes a stored version live. The one before it stays served, and with it what is asked `also`: they answer what
    was begun with them, and replays of what names them.

    Raises ModelError, also when Triton refuses it, and OSError when it cannot be written: what was live then is.
    """
    with locked(repository):
        stored = load(repository / name)
        history = read_history(stored.folder, stored.live)
        after = history if version == stored.live else promoted(history, version)
        before = tuple(other for other in (after.lived[-2:-1] or (version,)) if other in stored.versions)
        return _serve(repository / name, after, (*before, *also), server)


def roll_back(repository: Path, name: str, server: TritonServer) -> Promotion:
    """Makes live what was live before; the version that is left stays served. Raises as `promote`."""
    with locked(repository):
        stored = load(repository / name)
        after = rolled_back(read_history(stored.folder, stored.live))
        return _serve(repository / name, after, (stored.live,), server)


def _serve(folder: Path, history: History, also: tuple[int, ...], server: TritonServer) -> Promotion:
    stored = load(folder)
    live = history.lived[-1]
    served = tuple(sorted({live, *also}))
    for version in served:
        if version not in stored.versions:
            raise ModelError(
                f"{folder / str(version) / GRAPH} is not there; {folder.name} has {_listed(stored.versions)}"
            )
    if options_of(parsed(read_config(folder))):
        for version in served:
            check_graph(f"{folder.name} {version}", read_model(folder / str(version) / GRAPH))
    told = draft_history(folder, history)
    try:
        said = reconfigured(folder, with_versions(read_config(folder), live, served), live, server)
    except BaseException:
        told.unlink()
        raise
    told.replace(history_file(folder))
    return Promotion(folder.name, live, stored.live, served, said)


def reconfigured(folder: Path, text: str, live: int, server: TritonServer) -> str:
    """Another config.pbtxt, in which `live` is marked as such, for a model: in Triton too or not at all; says what came
    of it there. Raises ModelError, OSError."""
    config = folder / CONFIG
    changed = draft_of(config, text.encode())
    kept = config.with_name(f".{CONFIG}.kept")
    kept.unlink(missing_ok=True)
    kept.hardlink_to(config)
    changed.replace(config)
    try:
        said = server.swap(folder.name, live)
    except BaseException:
        # Triton goes on with what it had; its next start must too
        kept.replace(config)
        raise
    kept.unlink()
    return said


def _listed(versions: tuple[int, ...]) -> str:
    return ", ".join(str(version) for version in versions)
