"""Any command as a service, so that a stack can run our own processes beside the servers."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from devstack.service import Service


class Process(Service):
    """`argv` with `env` added to the environment; `ready` raises until the process serves (default: it runs)."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        directory: Path,
        env: Mapping[str, str] | None = None,
        ready: Callable[[], None] | None = None,
        address: str = "",
        timeout: float = 60.0,
    ) -> None:
        super().__init__(name, directory)
        self._argv, self._env, self._ready, self._address = tuple(argv), dict(env or {}), ready, address
        self.timeout = timeout

    @property
    def address(self) -> str:
        return self._address

    def command(self) -> Sequence[str]:
        return self._argv

    def environment(self) -> Mapping[str, str]:
        return self._env

    def probe(self) -> None:
        if self._ready is not None:
            self._ready()
