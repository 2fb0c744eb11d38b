"""The toy pool with something wrong in it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aca_mcp.forwarding_pool import ForwardingPool, T
from aca_mcp.pool import FileDownload
from tests.support.toy_pool import ToyPool

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

    from aca_mcp.pool import SessionPool


class OddPool(ForwardingPool):
    """Raises an error in the operations that are named.

    Args:
        error: which.
        odd: the operations' names.
    """

    def __init__(self, error: Exception, *odd: str) -> None:
        self.error = error
        self.odd = set(odd)
        self.asked = 0
        self.toy = ToyPool()

    async def _perform(
        self, operation: str, identifier: str, act: Callable[[SessionPool], Awaitable[T]]
    ) -> T:
        self._check(operation)
        return await act(self.toy)

    @asynccontextmanager
    async def download_file(self, identifier: str, path: str) -> AsyncGenerator[FileDownload]:
        self._check("download_file")
        async with self.toy.download_file(identifier, path) as download:
            yield download

    def _check(self, operation: str) -> None:
        self.asked += 1
        if operation in self.odd:
            raise self.error


class BreakingPool(ToyPool):
    """Raises an error in the middle of each download."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    @asynccontextmanager
    async def download_file(self, identifier: str, path: str) -> AsyncGenerator[FileDownload]:
        async with super().download_file(identifier, path) as download:
            yield FileDownload(download.entry, self._breaking())

    async def _breaking(self) -> AsyncIterator[bytes]:
        yield b"ab"
        raise self._error
