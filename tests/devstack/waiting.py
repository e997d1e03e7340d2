"""Waiting for what must become true."""

import time
from collections.abc import Callable

import psutil


def until(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    """True as soon as the condition holds; False when it doesn't within the time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def gone(pid: int) -> bool:
    """A zombie that nobody has reaped yet counts as gone."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
