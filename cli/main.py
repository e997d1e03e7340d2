"""The `rewatch` command: wiring only. Each command imports what it needs when it is called, so that help is quick."""

import importlib
import sys
from typing import Final

import typer

from runtime.logging import configure

_COMMANDS: Final = {
    # name: (module, attribute, what it does)
    "up": ("cli.stack", "up", "Start servers and processes on this machine."),
    "down": ("cli.stack", "down", "Stop what `up` started."),
    "status": ("cli.stack", "status", "What runs, where, since when, how large."),
    "doctor": ("cli.stack", "doctor", "What is missing on this machine, and the command that mends it."),
    "setup": ("cli.stack", "setup", "Install the servers, once, outside the checkout."),
    "demo": ("cli.demo.command", "demo", "Two simulated cameras through everything, held against the truth."),
    "analyze": ("cli.analyze", "analyze", "Analyse a video file."),
    "simulate": ("cli.simulate", "simulate", "Render a junction or a production line with exact ground truth."),
    "cameras": ("cli.ingest", "cameras", "Add, change, list and remove cameras."),
    "models": ("cli.models", "app", "Import, pull, quantize, promote, list and show models."),
    "train": ("cli.train", "train", "From a folder of labelled pictures to a live model."),
    "tune": ("cli.tune", "tune", "Which hyperparameters train best on a folder of labelled pictures."),
    "dataset": ("cli.dataset", "app", "Check and split labelled pictures."),
    "topics": ("cli.topics", "app", "Create and list the topics."),
    "query": ("cli.query", "app", "Ask the store."),
    "replay": ("cli.replay", "replay", "Look again at a stretch of the log; differences become revisions."),
    "backtest": ("cli.replay", "backtest", "What another model or other rules would have made of the past."),
    "ab": ("cli.ab", "app", "Two models compared: on the same frames, or on shares of the cameras."),
    "ledger": ("cli.ledger", "ledger", "Where every frame is, and why one is missing."),
    "windows": ("cli.windows", "windows", "Failed windows: repaired, waiting, given up."),
    "verify": ("cli.replay", "verify", "Derive an event from the log again."),
    "ingest": ("cli.ingest", "ingest", "Process: cameras to Kafka."),
    "worker": ("cli.worker", "worker", "Process: access units to results."),
    "recorder": ("cli.recorder", "recorder", "Process: results to the store."),
    "replayer": ("cli.replayer", "replayer", "Process: failed windows, once more; requested replays."),
    "gateway": ("cli.gateway", "gateway", "Process: REST, WebSocket and the page."),
}


def build(wanted: str) -> typer.Typer:
    """The whole command tree; only the module behind `wanted` is imported, the others are names with a summary."""
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        help="Real-time video analytics on Kafka that can watch any moment again.",
    )
    for name, (module, attribute, summary) in _COMMANDS.items():
        if name != wanted:
            app.command(name, help=summary)(_not_called)
            continue
        target = getattr(importlib.import_module(module), attribute)
        if isinstance(target, typer.Typer):
            app.add_typer(target, name=name)
        else:
            app.command(name)(target)
    return app


def _not_called() -> None:
    raise AssertionError("only the wanted command is ever called")


def main() -> None:
    # on stderr, also of commands that are no processes: their stdout is for programs
    configure("info", as_json=False)
    build(next((word for word in sys.argv[1:] if not word.startswith("-")), ""))()


if __name__ == "__main__":
    main()
