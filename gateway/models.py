"""Which models can be asked for: a port, and its adapter to Triton's HTTP interface (KServe v2 with its extensions)."""

from collections.abc import Collection
from typing import Final, Protocol

import httpx
import msgspec

_TIMEOUT_SECONDS: Final = 5.0


class ModelsUnavailable(Exception):
    """The model server does not answer now."""


class Models(Protocol):
    async def names(self) -> Collection[str] | None:
        """What is in the model repository, loaded or not; None where nobody knows. Raises ModelsUnavailable."""

    async def close(self) -> None: ...


class _Listed(msgspec.Struct):
    name: str


class TritonModels:
    def __init__(self, address: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._client = httpx.AsyncClient(base_url=address, timeout=_TIMEOUT_SECONDS, transport=transport)

    async def names(self) -> Collection[str]:
        try:
            answer = await self._client.post("/v2/repository/index", json={})
            answer.raise_for_status()
            return {listed.name for listed in msgspec.json.decode(answer.content, type=list[_Listed])}
        except (httpx.HTTPError, msgspec.MsgspecError) as error:
            raise ModelsUnavailable(f"{type(error).__name__}: {error}") from error

    async def close(self) -> None:
        await self._client.aclose()


class AnyModel:
    """Where no model server is configured: what a worker does not know it refuses itself."""

    async def names(self) -> None:
        return None

    async def close(self) -> None:
        return None


class KnownModels:
    """The fake."""

    def __init__(self, *names: str) -> None:
        self._names = set(names)
        self.away = False

    async def names(self) -> Collection[str]:
        if self.away:
            raise ModelsUnavailable("away")
        return self._names

    async def close(self) -> None:
        return None
