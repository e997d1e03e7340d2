"""Runs a Faust app as the process's main task."""

from typing import NoReturn

import faust

from processors.app import ProgressApp


def run(app: ProgressApp) -> NoReturn:
    """Until a signal or a crash; the exit status is 1 after a crash."""
    worker = faust.Worker(app, loglevel="WARNING", redirect_stdouts=False, quiet=True)
    # The start-up spinner turns with every log message and sets the root logger to DEBUG for that: from then on
    # aiokafka makes a log record of every partition at every fetch, half of the CPU time of a quiet consumer.
    worker.spinner = None
    worker.execute_from_commandline()
    raise AssertionError("execute_from_commandline exits")
