"""The outermost layer of a session pool: only ``SessionPoolError`` and cancellation leave it.

Whatever else an inner layer raises is a fault of ours or of a library. It is told to the caller as
one sentence with its kind, and logged by its kind alone: messages of foreign errors may carry code,
paths or identifiers. The caller's own errors, from the content of an upload, from the block that
reads a download or from what hears the output of code, pass as they are. Knows nothing of what
pools do.
"""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, cast

from aca_mcp.errors import ExecutionOutcomeUnknownError, PoolUnavailableError, SessionPoolError
from aca_mcp.forwarding_pool import ForwardingPool, T
from aca_mcp.pool import FileDownload

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterable,
        AsyncIterator,
        Awaitable,
        Callable,
        Generator,
    )

    from aca_mcp.pool import Execution, FileEntry, OutputCallback, OutputChunk, SessionPool

_logger = logging.getLogger(__name__)


def within_boundary(pool: SessionPool) -> SessionPool:
    """A pool with a boundary around it, which is the same if it is one."""
    return pool if isinstance(pool, ErrorBoundary) else ErrorBoundary(pool)


class ErrorBoundary(ForwardingPool):
    """Implements ``SessionPool`` by another one, whose errors it maps, totally and once.

    Of code that met a foreign error it is not known whether it ran. The pool stays the caller's to
    close.
    """

    def __init__(self, pool: SessionPool) -> None:
        self._pool = pool

    async def _perform(
        self, operation: str, identifier: str, act: Callable[[SessionPool], Awaitable[T]]
    ) -> T:
        with _mapped(operation):
            return await act(self._pool)

    async def execute(
        self,
        identifier: str,
        code: str,
        *,
        timeout_seconds: float,
        on_output: OutputCallback | None = None,
    ) -> Execution:
        listener = None if on_output is None else _Listener(on_output)
        with _mapped("execute", listener):
            return await self._pool.execute(
                identifier, code, timeout_seconds=timeout_seconds, on_output=listener
            )

    async def upload_file(
        self,
        identifier: str,
        path: str,
        content: AsyncIterable[bytes],
        *,
        overwrite: bool = True,
    ) -> FileEntry:
        source = _Source(content)
        with _mapped("upload_file", source):
            return await self._pool.upload_file(identifier, path, source, overwrite=overwrite)

    @asynccontextmanager
    async def download_file(self, identifier: str, path: str) -> AsyncGenerator[FileDownload]:
        reader = _Caller()
        with _mapped("download_file", reader):
            async with self._pool.download_file(identifier, path) as download:
                try:
                    yield FileDownload(download.entry, _mapped_chunks(download.chunks))
                except Exception as error:
                    reader.failure = error
                    raise


class _Caller:
    """The side of an operation that is not the pool's."""

    failure: Exception | None = None
    """What it raised: its own affair."""


class _Listener(_Caller):
    """What hears the output of code, and may raise what its caller likes."""

    def __init__(self, on_output: OutputCallback) -> None:
        self._on_output = on_output

    def __call__(self, chunk: OutputChunk) -> None:
        try:
            self._on_output(chunk)
        except Exception as error:
            self.failure = error
            raise


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
