"""The outermost layer of a session pool: only ``SessionPoolError`` and cancellation leave it.

Whatever else an inner layer raises is a fault of ours or of a library. It is told to the caller as
one sentence with its kind, and logged by its kind alone: messages of foreign errors may carry code,
paths or identifiers. The caller's own errors, from the content of an upload or from the block that
reads a download, pass as they are. Knows nothing of what pools do.
"""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, cast

from aca_mcp.errors import (
    ExecutionOutcomeUnknownError,
    PoolUnavailableError,
    SessionPoolError,
)
from aca_mcp.pool import FileDownload

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Sequence

    from aca_mcp.pool import (
        Execution,
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

_logger = logging.getLogger(__name__)


class ErrorBoundary:
    """Implements ``SessionPool`` by another one, whose errors it maps, totally and once."""

    def __init__(self, pool: SessionPool) -> None:
        """Put a boundary around a pool, which stays the caller's to close."""
        self._pool = pool

    async def execute(
        self,
        identifier: str,
        code: str,
        *,
        timeout_seconds: float,
        on_output: OutputCallback | None = None,
    ) -> Execution:
        """See ``SessionPool``. Of code that met a foreign error it is not known whether it ran."""
        with _mapped("execute"):
            return await self._pool.execute(
                identifier, code, timeout_seconds=timeout_seconds, on_output=on_output
            )

    async def interrupt(self, identifier: str) -> bool:
        """See ``SessionPool``."""
        with _mapped("interrupt"):
            return await self._pool.interrupt(identifier)

    async def list_files(
        self, identifier: str, directory: str = "", *, recursive: bool = False
    ) -> FileListing:
        """See ``SessionPool``."""
        with _mapped("list_files"):
            return await self._pool.list_files(identifier, directory, recursive=recursive)

    async def upload_file(
        self,
        identifier: str,
        path: str,
        content: AsyncIterable[bytes],
        *,
        overwrite: bool = True,
    ) -> FileEntry:
        """See ``SessionPool``."""
        source = _Source(content)
        with _mapped("upload_file", source):
            return await self._pool.upload_file(identifier, path, source, overwrite=overwrite)

    @asynccontextmanager
    async def download_file(self, identifier: str, path: str) -> AsyncGenerator[FileDownload]:
        """See ``SessionPool``."""
        reader = _Caller()
        with _mapped("download_file", reader):
            async with self._pool.download_file(identifier, path) as download:
                try:
                    yield FileDownload(download.entry, _mapped_chunks(download.chunks))
                except Exception as error:
                    reader.failure = error
                    raise

    async def delete_file(self, identifier: str, path: str) -> None:
        """See ``SessionPool``."""
        with _mapped("delete_file"):
            await self._pool.delete_file(identifier, path)

    async def list_packages(self, identifier: str) -> tuple[Package, ...]:
        """See ``SessionPool``."""
        with _mapped("list_packages"):
            return await self._pool.list_packages(identifier)

    async def install_packages(self, identifier: str, requirements: Sequence[str]) -> Installation:
        """See ``SessionPool``."""
        with _mapped("install_packages"):
            return await self._pool.install_packages(identifier, requirements)

    async def get_session(self, identifier: str) -> SessionInfo | None:
        """See ``SessionPool``."""
        with _mapped("get_session"):
            return await self._pool.get_session(identifier)

    async def keep_alive(self, identifier: str) -> bool:
        """See ``SessionPool``."""
        with _mapped("keep_alive"):
            return await self._pool.keep_alive(identifier)

    async def undo(self, identifier: str) -> Rollback:
        """See ``SessionPool``."""
        with _mapped("undo"):
            return await self._pool.undo(identifier)

    async def stop_session(self, identifier: str) -> bool:
        """See ``SessionPool``."""
        with _mapped("stop_session"):
            return await self._pool.stop_session(identifier)

    async def metadata(self) -> PoolMetadata:
        """See ``SessionPool``."""
        with _mapped("metadata"):
            return await self._pool.metadata()


class _Caller:
    """The side of an operation that is not the pool's."""

    failure: Exception | None = None
    """What it raised: its own affair."""


class _Source(_Caller):
    """The content of an upload, which may raise what its caller likes."""

    def __init__(self, content: AsyncIterable[bytes]) -> None:
        self._chunks = aiter(content)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._chunks)
        except StopAsyncIteration:
            raise
        except Exception as error:
            self.failure = error
            raise


@contextmanager
def _mapped(operation: str, caller: _Caller | None = None) -> Generator[None]:
    try:
        yield
    except Exception as error:
        if caller is not None and caller.failure is not None:
            if error is caller.failure:
                raise
            raise caller.failure from error  # whatever the pool or a library made of it
        if isinstance(error, SessionPoolError):
            raise
        raise _own_error(operation, error) from error


def _own_error(operation: str, error: Exception) -> SessionPoolError:
    if (known := _find_known(error)) is not None:
        return known
    kind = type(error).__name__
    _logger.error("The session pool's %s met an error of an unexpected kind: %s", operation, kind)
    if operation == "execute":
        return ExecutionOutcomeUnknownError(
            f"Something unexpected went wrong while the code was under way ({kind}): it may have "
            "run, wholly, partly or not at all. It was not sent again. Look at the session's "
            "variables and files before running it again."
        )
    return PoolUnavailableError(
        f"Something unexpected went wrong in the session pool ({kind}), and the operation may have "
        "been done or not. Other sessions go on. Try again; if it stays, it is a fault of aca-mcp "
        "to be reported."
    )


def _find_known(error: Exception) -> SessionPoolError | None:
    """An error of the tree that a task group wrapped, or None."""
    if isinstance(error, SessionPoolError):
        return error
    if not isinstance(error, ExceptionGroup):
        return None
    group = cast("ExceptionGroup[Exception]", error)
    return next(filter(None, map(_find_known, group.exceptions)), None)


async def _mapped_chunks(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    with _mapped("download_file"):
        async for chunk in chunks:
            yield chunk
