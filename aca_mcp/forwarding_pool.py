"""A session pool that is made of others: each operation is one of theirs, with something around it.

Knows nothing of what that is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from aca_mcp.pool import (
        Execution,
        FileDownload,
        FileEntry,
        FileListing,
        Installation,
        OutputCallback,
        Package,
        PoolMetadata,
        Rollback,
        SessionInfo,
        SessionPool,
    )

T = TypeVar("T")


class ForwardingPool(ABC):
    """Implements ``SessionPool``; all of its methods are described there."""

    @abstractmethod
    async def _perform(
        self, operation: str, identifier: str, act: Callable[[SessionPool], Awaitable[T]]
    ) -> T:
        """Do an operation.

        Args:
            operation: its name.
            identifier: the session's; empty where it is about none.
            act: does it with the pool that it is given.
        """

    @abstractmethod
    def download_file(
        self, identifier: str, path: str
    ) -> AbstractAsyncContextManager[FileDownload]: ...

    async def execute(
        self,
        identifier: str,
        code: str,
        *,
        timeout_seconds: float,
        on_output: OutputCallback | None = None,
    ) -> Execution:
        return await self._perform(
            "execute",
            identifier,
            lambda pool: pool.execute(
                identifier, code, timeout_seconds=timeout_seconds, on_output=on_output
            ),
        )

    async def interrupt(self, identifier: str) -> bool:
        return await self._perform("interrupt", identifier, lambda pool: pool.interrupt(identifier))

    async def list_files(
        self, identifier: str, directory: str = "", *, recursive: bool = False
    ) -> FileListing:
        return await self._perform(
            "list_files",
            identifier,
            lambda pool: pool.list_files(identifier, directory, recursive=recursive),
        )

    async def upload_file(
        self,
        identifier: str,
        path: str,
        content: AsyncIterable[bytes],
        *,
        overwrite: bool = True,
    ) -> FileEntry:
        return await self._perform(
            "upload_file",
            identifier,
            lambda pool: pool.upload_file(identifier, path, content, overwrite=overwrite),
        )

    async def delete_file(self, identifier: str, path: str) -> None:
        await self._perform(
            "delete_file", identifier, lambda pool: pool.delete_file(identifier, path)
        )

    async def list_packages(self, identifier: str) -> tuple[Package, ...]:
        return await self._perform(
            "list_packages", identifier, lambda pool: pool.list_packages(identifier)
        )

    async def install_packages(self, identifier: str, requirements: Sequence[str]) -> Installation:
        return await self._perform(
            "install_packages",
            identifier,
            lambda pool: pool.install_packages(identifier, requirements),
        )

    async def get_session(self, identifier: str) -> SessionInfo | None:
        return await self._perform(
            "get_session", identifier, lambda pool: pool.get_session(identifier)
        )

    async def keep_alive(self, identifier: str) -> bool:
        return await self._perform(
            "keep_alive", identifier, lambda pool: pool.keep_alive(identifier)
        )

    async def undo(self, identifier: str) -> Rollback:
        return await self._perform("undo", identifier, lambda pool: pool.undo(identifier))

    async def stop_session(self, identifier: str) -> bool:
        return await self._perform(
            "stop_session", identifier, lambda pool: pool.stop_session(identifier)
        )

    async def metadata(self) -> PoolMetadata:
        return await self._perform("metadata", "", lambda pool: pool.metadata())
