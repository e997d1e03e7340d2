"""Which models can be asked for: a port, and its adapter to Triton's HTTP interface (KServe v2 with its extensions)."""

from collections.abc import Collection
from typing import Final, Protocol
from urllib.parse import quote

import httpx
import msgspec

_TIMEOUT_SECONDS: Final = 5.0
_LOAD_SECONDS: Final = 60.0
DETECTIONS: Final = "detections"
"""the output by which a detector is known"""


class ModelsUnavailable(Exception):
    """The model server does not answer now."""


class ModelRefused(Exception):
    """The model server cannot load a model; says why."""


class Models(Protocol):
    async def names(self) -> Collection[str] | None:
        """What is in the model repository, loaded or not; None where nobody knows. Raises ModelsUnavailable."""

    async def outputs(self, name: str) -> Collection[str] | None:
        """What a model answers with; None where nobody knows. Loads it, as a worker would that is to use it. Raises
        ModelsUnavailable, ModelRefused."""

    async def close(self) -> None: ...


class _Listed(msgspec.Struct):
    name: str


class _Metadata(msgspec.Struct):
    outputs: list[_Listed] = []


class _Refusal(msgspec.Struct):
    error: str = "without a reason"


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

    async def outputs(self, name: str) -> Collection[str]:
        where = quote(name, safe="")
        try:
            answer = await self._client.get(f"/v2/models/{where}")
            if answer.is_client_error:
                loaded = await self._client.post(f"/v2/repository/models/{where}/load", json={}, timeout=_LOAD_SECONDS)
                if loaded.is_client_error:
                    raise ModelRefused(msgspec.json.decode(loaded.content, type=_Refusal).error)
                loaded.raise_for_status()
                answer = await self._client.get(f"/v2/models/{where}")
            answer.raise_for_status()
            return {output.name for output in msgspec.json.decode(answer.content, type=_Metadata).outputs}
        except (httpx.HTTPError, msgspec.MsgspecError) as error:
            raise ModelsUnavailable(f"{type(error).__name__}: {error}") from error

    async def close(self) -> None:
        await self._client.aclose()


class AnyModel:
    """Where no model server is configured: what a worker does not know it refuses itself."""

    async def names(self) -> None:
        return None

    async def outputs(self, name: str) -> None:
        return None

    async def close(self) -> None:
        return None


class KnownModels:
    """The fake."""

    def __init__(self, *names: str) -> None:
        self._names = set(names)
        self.away = False
        self.others: dict[str, set[str]] = {}
        """outputs of those that are no detectors"""
        self.broken: set[str] = set()

    async def names(self) -> Collection[str]:
        if self.away:
            raise ModelsUnavailable("away")
        return self._names

    async def outputs(self, name: str) -> Collection[str]:
        if self.away:
            raise ModelsUnavailable("away")
        if name in self.broken:
            raise ModelRefused(f"failed to load '{name}'")
        return self.others.get(name, {DETECTIONS})

    async def close(self) -> None:
        return None
