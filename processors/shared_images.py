"""Images for Triton in system shared memory: 519 KB cost 0.85 ms this way and 3.1 ms inside the request."""

import asyncio
import contextlib
import os
import secrets
from multiprocessing.shared_memory import SharedMemory

import msgspec
import numpy as np
import tritonclient.grpc.aio as triton
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException


class Slot(msgspec.Struct, frozen=True):
    region: str
    index: int
    offset: int
    """bytes from the region's start"""


class SharedImages:
    """A region of equal slots. It is made at the first image, and made anew when a larger image comes."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._memory: SharedMemory | None = None
        self._region = ""
        self._size = 0
        self._registered = False
        self._free: asyncio.Queue[Slot] = asyncio.Queue()
        self._registering = asyncio.Lock()

    async def place(self, client: triton.InferenceServerClient, image: NDArray[np.uint8]) -> Slot:
        """Copies the image; waits while all slots are taken. Raises what registering raises."""
        await self._ensure(client, image.nbytes)
        slot = await self._free.get()
        while slot.region != self._region:
            slot = await self._free.get()
        assert self._memory is not None
        np.ndarray(image.shape, np.uint8, self._memory.buf, slot.offset)[:] = image
        return slot

    def release(self, slot: Slot) -> None:
        if slot.region == self._region:
            self._free.put_nowait(slot)

    def forget(self) -> None:
        """The server does not know the region any more: register it again before the next use."""
        self._registered = False

    async def stop(self, client: triton.InferenceServerClient) -> None:
        if self._registered:
            with contextlib.suppress(InferenceServerException):
                await client.unregister_system_shared_memory(self._region)
        self._drop()

    async def _ensure(self, client: triton.InferenceServerClient, size: int) -> None:
        if self._registered and size <= self._size:
            return
        async with self._registering:
            if self._memory is None or size > self._size:
                self._drop()
                self._region = f"rewatch-{os.getpid()}-{secrets.token_hex(4)}"
                self._memory = SharedMemory(self._region, create=True, size=size * self._slots)
                self._size, self._registered = size, False
                self._free = asyncio.Queue()
                for index in range(self._slots):
                    self._free.put_nowait(Slot(self._region, index, index * size))
            if not self._registered:
                with contextlib.suppress(InferenceServerException):
                    await client.unregister_system_shared_memory(self._region)
                await client.register_system_shared_memory(self._region, f"/{self._region}", self._size * self._slots)
                self._registered = True

    def _drop(self) -> None:
        if self._memory is not None:
            memory, self._memory = self._memory, None
            memory.close()
            memory.unlink()
