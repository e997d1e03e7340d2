"""CPU time and memory of a stack's processes, children included."""

import msgspec
import psutil

from devstack.stack import Stack


class Usage(msgspec.Struct, frozen=True):
    cpu_seconds: float
    rss_bytes: int


def usage(stack: Stack) -> dict[str, Usage]:
    """By service: user and system time so far, and resident memory now."""
    found = {}
    for name, service in stack.services.items():
        if service.pid is None:
            continue
        parent = psutil.Process(service.pid)
        cpu, rss = 0.0, 0
        for process in [parent, *parent.children(recursive=True)]:
            try:
                times = process.cpu_times()
                cpu += times.user + times.system
                rss += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        found[name] = Usage(cpu, rss)
    return found
