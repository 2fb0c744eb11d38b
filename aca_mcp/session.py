"""One session of a session pool, as Python programs and the server's tools use it.

A ``PythonSession`` gives its session an identifier that nobody can guess, remembers whether the
session has been used, so that a loss is said aloud, and stops the session when it is closed. It
knows the port alone: not which pool it is, and nothing of MCP.

    async with PythonSession(pool) as session:
        await session.upload("sales.csv", Path("sales.csv"))
        execution = await session.execute("import pandas; pandas.read_csv('sales.csv').sum()")
        plot = await session.download("plot.png")
"""

from __future__ import annotations

import contextlib
import secrets
import time
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Self

import anyio

from aca_mcp.code_blocks import CodeBlock, imported_names
from aca_mcp.errors import (
    ExecutionOutcomeUnknownError,
    InvalidRequestError,
    NotSupportedError,
    SessionLostError,
    SessionPoolError,
)
from aca_mcp.pool import (
    Execution,
    ExecutionStatus,
    FileDownload,
    FileEntry,
    FileListing,
    Installation,
    OutputCallback,
    Package,
    Rollback,
    SessionPool,
    check_identifier,
    environment_of,
    identifier_in,
)
from aca_mcp.state_loss import HeldState
from aca_mcp.uploads import Content as Content
from aca_mcp.uploads import chunks_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

_FIND = """
import importlib.util, sys
importlib.invalidate_caches()
for name in {names!r}:
    if name not in sys.modules and importlib.util.find_spec(name) is None:
        print(name)
"""
_LOOK_SECONDS = 5
STOP_SECONDS = 10
"""How long ending a session may take before it is left to the pool's cooldown."""


class PythonSession:
    """One session of a pool, with its variables and its work directory.

    An async context manager: the session is stopped when the block ends. The session itself is
    allocated by the first operation. Safe to use from several tasks; the pool runs one piece of
    code at a time. Every method may raise any ``SessionPoolError``.

    Args:
        pool: where the session comes from. It is not closed with the session.
        identifier: the session's, by default a new one with 256 random bits. Whoever knows
            an identifier can use its session.
        existing: the session was used before, elsewhere; if it turns out to be new, what was
            in it is lost, and the result says so.
        before_allocating: called before a new session is asked for. It may raise.

    Raises:
        InvalidRequestError: the identifier is not one that pools take.
    """

    def __init__(
        self,
        pool: SessionPool,
        *,
        identifier: str | None = None,
        existing: bool = False,
        before_allocating: Callable[[], None] = lambda: None,
    ) -> None:
        self._pool = pool
        self._identifier = check_identifier(identifier or _new_identifier())
        # The pool has been asked for the session: there may be one to stop.
        self._touched = existing
        self._before_allocating = before_allocating
        self._state = HeldState(exists=existing)
        self._survived_cancelling = True
        self._cancelling_took_back: Rollback | None = None
        self._running = 0
        self._closed = False
        self._used_at = time.monotonic()

    @property
    def identifier(self) -> str:
        """The session's identifier. Keep it secret."""
        return self._identifier

    @property
    def is_allocated(self) -> bool:
        """The pool has been asked for the session, so that there probably is one."""
        return self._touched

    @property
    def idle_seconds(self) -> float:
        """Time since code stopped running in it, or the last other operation began."""
        return 0 if self._running else time.monotonic() - self._used_at

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def execute(
        self,
        code: str,
        *,
        timeout_seconds: float = 60,
        on_output: OutputCallback | None = None,
    ) -> Execution:
        """Run code in the session; variables, imports and files are there for the next call.

        Exceptions of the code are in the result. When a session that was used before had to be
        replaced by a new one, ``lost_before`` of the result says why, also where the pool cannot.

        Args:
            code: Python, or IPython (magics, ``!`` and top-level ``await``).
            timeout_seconds: when to interrupt the code. Its state is kept if it stops.
            on_output: called with what the code prints, as it appears.

        Raises:
            InvalidRequestError: the pool allows no such timeout.
            PoolFullError: the pool has no session left.
            ExecutionOutcomeUnknownError: the answer was lost; the code may have run.
        """
        identifier, use = self._use(), self._state.enter()
        self._running += 1
        try:
            execution = await self._pool.execute(
                identifier, code, timeout_seconds=timeout_seconds, on_output=on_output
            )
        except anyio.get_cancelled_exc_class():
            # The code may have run or not, and the session be there, be gone, or never have been.
            await self._look_after_cancelling(identifier, use)
            raise
        except ExecutionOutcomeUnknownError:
            self._state.seen(use)  # the code was sent
            raise
        finally:
            self._running -= 1
            self._used_at = time.monotonic()
        lost = self._state.ran(
            use, in_new_session=execution.started_session, why_ended=execution.lost_before
        )
        if lost == execution.lost_before:
            return execution
        return execution._replace(lost_before=lost)

    async def execute_code_blocks(
        self,
        blocks: Sequence[CodeBlock],
        *,
        timeout_seconds: float = 60,
        on_output: OutputCallback | None = None,
        check_packages: bool = False,
    ) -> tuple[Execution, ...]:
        """Run code blocks one after the other, until one does not succeed.

        Args:
            blocks: all in Python; nothing is run if one is not.
            timeout_seconds: for each block.
            on_output: as for ``execute``.
            check_packages: see first that everything the blocks import is there. Costs one more
                execution.

        Returns:
            An execution for each block that was run. Fewer than blocks if one did not succeed,
            which is then the last.

        Raises:
            NotSupportedError: a block is in another language.
            InvalidRequestError: the session lacks something that the blocks import.
        """
        for block in blocks:
            if not block.is_python:
                raise NotSupportedError(
                    f"A session runs Python, and a code block is in {block.language!r}. "
                    "Nothing was executed."
                )
        if check_packages:
            missing = await self.missing_modules("\n".join(block.code for block in blocks))
            if missing:
                raise InvalidRequestError(
                    f"The session cannot import {', '.join(missing)}. Nothing was executed. "
                    "Install what is missing, where sessions have a network, or do without."
                )
        done: list[Execution] = []
        for block in blocks:
            done.append(
                await self.execute(block.code, timeout_seconds=timeout_seconds, on_output=on_output)
            )
            if done[-1].status is not ExecutionStatus.SUCCEEDED:
                break
        return tuple(done)

    async def missing_modules(self, code: str) -> tuple[str, ...]:
        """What code imports and this session cannot, by top-level name, sorted.

        Costs one execution if the code imports anything. Imports inside of strings and magics are
        not seen, and code with a syntax error imports nothing.
        """
        names = imported_names(code)
        if not names:
            return ()
        look = _FIND.format(names=names)
        execution = await self.execute(f"exec({look!r}, {{}})")
        return tuple(execution.stdout.text.split())

    async def interrupt(self) -> bool:
        """Interrupt the code that is running, as Ctrl-C would. True if there was some.

        Raises:
            NotSupportedError: the pool cannot.
        """
        return await self._pool.interrupt(self._identifier)

    @property
    def survived_cancelling(self) -> bool:
        """Whether the session was there after ``execute`` was last cancelled: some pools end it."""
        return self._survived_cancelling

    @property
    def cancelling_took_back(self) -> Rollback | None:
        """By which variables went back as ``execute`` was last cancelled, if they did."""
        return self._cancelling_took_back

    async def upload(self, path: str, content: Content, *, overwrite: bool = True) -> FileEntry:
        """Write a file of the session. It appears whole or not at all.

        Args:
            path: where, relative to the work directory. Missing directories are made.
            content: bytes, text, the path of a file of this machine, or a stream of bytes.
            overwrite: replace a file that is there.

        Raises:
            InvalidPathError: the path leaves the work directory.
            FileExistsInSessionError: it is there, and ``overwrite`` is false.
            FileTooLargeError: it is larger than the pool takes.
            StorageFullError: the session has no room for it.
            OSError: the file of this machine cannot be read.
        """
        identifier, use = self._use(), self._state.enter()
        async with contextlib.aclosing(chunks_of(content)) as chunks:
            entry = await self._pool.upload_file(identifier, path, chunks, overwrite=overwrite)
        self._state.seen(use)
        return entry

    async def download(self, path: str) -> bytes:
        """The content of a file. Use ``open_file`` for one that memory should not hold.

        Raises:
            FileMissingError: no such file.
            InvalidPathError: the path leaves the work directory, or is not a regular file.
            FileTooLargeError: it is larger than the pool gives.
        """
        async with self.open_file(path) as file:
            return b"".join([chunk async for chunk in file.chunks])

    def open_file(self, path: str) -> AbstractAsyncContextManager[FileDownload]:
        """Open a file for reading as a stream of chunks. Raises as ``download`` does."""
        return self._pool.download_file(self._use(), path)

    async def list_files(self, directory: str = "", *, recursive: bool = False) -> FileListing:
        """List a directory, by default the work directory.

        Raises:
            FileMissingError: no such directory.
            InvalidPathError: the path leaves the work directory.
        """
        identifier, use = self._use(), self._state.enter()
        listing = await self._pool.list_files(identifier, directory, recursive=recursive)
        self._state.seen(use)
        return listing

    async def delete_file(self, path: str) -> None:
        """Delete a file, or an empty directory.

        Raises:
            FileMissingError: no such file.
            InvalidPathError: the path leaves the work directory, or the directory is not empty.
        """
        await self._pool.delete_file(self._use(), path)

    async def list_packages(self) -> tuple[Package, ...]:
        """The installed packages, sorted by name."""
        return await self._pool.list_packages(self._use())

    async def install_packages(self, *requirements: str) -> Installation:
        """Let the session import further packages; as ``SessionPool.install_packages``."""
        return await self._pool.install_packages(self._use(), requirements)

    async def undo(self) -> Rollback:
        """Bring back the variables from before the last execution. As ``SessionPool.undo``."""
        return await self._pool.undo(self._use())

    async def restart(self) -> None:
        """Begin anew: variables, files and running code are gone.

        The session gets a new identifier, and the old one is never used again. The new session
        is there even where stopping the old one fails.
        """
        self._use(allocates=False)
        old, touched = self._identifier, self._touched
        self._identifier = _new_identifier(self._identifier)
        self._touched = False
        self._state.restart()
        if touched:
            await self._stop(old, STOP_SECONDS)

    async def keep_alive(self) -> bool:
        """Begin the pool's cooldown anew without using the session. False if there is none."""
        return self._touched and await self._pool.keep_alive(self._identifier)

    async def release(self, reason: str) -> None:
        """Stop the session while nobody uses it; the next use begins a new one, and says so.

        Args:
            reason: a clause, for the ``lost_before`` of the next execution.
        """
        if self._touched:
            old, self._identifier = self._identifier, _new_identifier(self._identifier)
            self._touched = False
            self._state.release(reason)
            await self._stop(old, STOP_SECONDS)

    async def close(self, *, within_seconds: float = STOP_SECONDS) -> None:
        """Stop the session, whatever runs in it.

        Errors of the pool are ignored, and so is one that takes too long: the pool's cooldown
        ends what is left.
        """
        self._closed = True
        if self._touched:
            self._touched = False
            await self._stop(self._identifier, within_seconds)

    def _use(self, *, allocates: bool = True) -> str:
        if self._closed:
            raise SessionLostError("This session was closed. Open a new one.")
        if allocates and not self._touched:
            self._before_allocating()
        self._touched |= allocates
        self._used_at = time.monotonic()
        return self._identifier

    async def _look_after_cancelling(self, identifier: str, use: int) -> None:
        self._survived_cancelling = True  # nothing says otherwise: if not, the next result does
        self._cancelling_took_back = None
        with anyio.move_on_after(_LOOK_SECONDS, shield=True), contextlib.suppress(SessionPoolError):
            try:
                found = await self._pool.get_session(identifier)
            except NotSupportedError:
                self._survived_cancelling = (await self._pool.metadata()).can_interrupt
                return
            self._survived_cancelling = found is not None
            if found is not None:
                self._cancelling_took_back = found.went_back
                self._state.seen(use)

    async def _stop(self, identifier: str, within_seconds: float) -> None:
        with anyio.move_on_after(within_seconds, shield=True):
            with contextlib.suppress(SessionPoolError):
                await self._pool.stop_session(identifier)


def _new_identifier(old: str = "") -> str:
    """A new one, for a session of the same environment."""
    return identifier_in(environment_of(old), secrets.token_urlsafe(32))
