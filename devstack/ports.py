"""Free loopback ports."""

import random
import socket
import threading

# Below Linux's range for outgoing connections (32768…): a port handed out here can't be taken by somebody's
# connection before its server binds it, nor while that server is being restarted.
_LOWEST, _HIGHEST = 15000, 32000
_handed_out: set[int] = set()
_lock = threading.Lock()
_random = random.SystemRandom()


def is_free(port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> bool:
    """True if 127.0.0.1:port can be bound now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:  # servers set this too: connections in TIME_WAIT don't count
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A loopback port that is free now and wasn't handed out before by this process."""
    with _lock:
        for _ in range(1000):
            port = _random.randint(_LOWEST, _HIGHEST)
            if port not in _handed_out and is_free(port):
                _handed_out.add(port)
                return port
    raise OSError("no free loopback port found")
