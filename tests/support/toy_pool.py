"""A whole session pool in this process: small, but every operation of the port really happens.

Code runs as a coroutine in the event loop, so it can be interrupted where it awaits. There is no
isolation at all. ``show(mime_type, data)`` displays, ``end(reason)`` makes the session die.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import time
import traceback
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anyio

from aca_mcp.errors import (
    FileExistsInSessionError,
    FileMissingError,
    FileTooLargeError,
    InvalidRequestError,
    NotSupportedError,
    PackagesNotInstalledError,
    PoolFullError,
    SessionPoolError,
)
from aca_mcp.paths import parse_path
from aca_mcp.pool import (
    Execution,
    ExecutionError,
    ExecutionStatus,
    FileDownload,
    FileEntry,
    FileListing,
    Installation,
    Output,
    OutputCallback,
    OutputChunk,
    Package,
    PoolMetadata,
    Rollback,
    SessionInfo,
    StreamText,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Sequence

MAX_FILE_BYTES = 8 << 20


class _EndedError(BaseException):
    pass


@dataclass
class ToySession:
    """What one identifier stands for."""

    variables: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    lock: anyio.Lock = field(default_factory=anyio.Lock)
    scope: anyio.CancelScope | None = None
    stopped: bool = False
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    kept_alive: int = 0


class ToyPool:
    """Implements ``SessionPool``. What tests look at is public."""

    def __init__(self, *, max_sessions: int = 10) -> None:
        self.sessions: dict[str, ToySession] = {}
        self.lost: dict[str, str | None] = {}
        self.refuse_uploads = False
        self.packages = (Package("numpy", "2.3.0"), Package("scikit-learn", "1.7.0"))
        self._max_sessions = max_sessions
        self._ids = itertools.count(1)

    def lose(self, reason: str | None) -> None:
        """End every session as a cooldown would."""
        for identifier in list(self.sessions):
            self.lost[identifier] = reason
            del self.sessions[identifier]

    async def execute(
        self,
        identifier: str,
        code: str,
        *,
        timeout_seconds: float,
        on_output: OutputCallback | None = None,
    ) -> Execution:
        if not 0 < timeout_seconds <= 600:
            raise InvalidRequestError("A timeout is at most 600 seconds. Nothing was executed.")
        started = identifier not in self.sessions
        session = self._session(identifier)
        async with session.lock:
            return await self._run(
                identifier,
                session,
                code,
                timeout_seconds,
                on_output,
                started,
            )

    async def _run(
        self,
        identifier: str,
        session: ToySession,
        code: str,
        timeout_seconds: float,
        on_output: OutputCallback | None,
        started: bool,
    ) -> Execution:
        printed: list[str] = []
        outputs: list[Output] = []
        error: ExecutionError | None = None
        status = ExecutionStatus.SUCCEEDED
        session_lost: str | None = None

        def write(*values: object, sep: str = " ", end: str = "\n", flush: bool = False) -> None:
            text = sep.join(map(str, values)) + end
            printed.append(text)
            if on_output is not None:
                on_output(OutputChunk("stdout", text))

        def show(mime_type: str, data: str | bytes) -> None:
            outputs.append(Output("display", {mime_type: data}))

        def end(reason: str) -> None:
            raise _EndedError(reason)

        begun = time.perf_counter()
        session.variables |= {"print": write, "show": show, "end": end, "files": session.files}
        with anyio.move_on_after(timeout_seconds) as scope:
            session.scope = scope
            try:
                value = await _evaluate(code, session.variables)
                if value is not None:
                    outputs.append(Output("result", {"text/plain": repr(value)}))
            except _EndedError as ended:
                session_lost = str(ended)
                status = ExecutionStatus.FAILED
                self.sessions.pop(identifier, None)
            except Exception as raised:
                text = "".join(traceback.format_exception_only(raised))
                error = ExecutionError(type(raised).__name__, str(raised), text)
                status = ExecutionStatus.FAILED
        session.scope = None
        if scope.cancelled_caught:
            late = time.perf_counter() - begun >= timeout_seconds
            status = ExecutionStatus.TIMED_OUT if late else ExecutionStatus.CANCELED
        if session.stopped:
            session_lost = "it was stopped"
        stdout = "".join(printed)
        return Execution(
            execution_id=str(next(self._ids)),
            status=status,
            stdout=StreamText(stdout, total_bytes=len(stdout.encode())),
            stderr=StreamText(),
            outputs=tuple(outputs),
            error=error,
            duration_seconds=time.perf_counter() - begun,
            started_session=started,
            lost_before=self.lost.pop(identifier, None),
            session_lost=session_lost,
        )

    async def interrupt(self, identifier: str) -> bool:
        session = self.sessions.get(identifier)
        if session is None or session.scope is None:
            return False
        session.scope.cancel()
        return True

    async def list_files(
        self, identifier: str, directory: str = "", *, recursive: bool = False
    ) -> FileListing:
        prefix = f"{_checked(directory)}/" if directory else ""
        files = self._session(identifier).files
        found = [
            _entry(path, content)
            for path, content in sorted(files.items())
            if path.startswith(prefix) and (recursive or "/" not in path[len(prefix) :])
        ]
        if directory and not found:
            raise FileMissingError("There is no such directory.")
        return FileListing(tuple(found), truncated=False)

    async def upload_file(
        self,
        identifier: str,
        path: str,
        content: AsyncIterable[bytes],
        *,
        overwrite: bool = True,
    ) -> FileEntry:
        if self.refuse_uploads:
            raise SessionPoolError("There is no room.")
        path, files = _checked(path), self._session(identifier).files
        if path in files and not overwrite:
            raise FileExistsInSessionError(f"{path} is there already.")
        collected = b"".join([chunk async for chunk in content])
        if len(collected) > MAX_FILE_BYTES:
            raise FileTooLargeError(f"{path} is larger than {MAX_FILE_BYTES:,} bytes.")
        files[path] = collected
        return _entry(path, collected)

    @asynccontextmanager
    async def download_file(self, identifier: str, path: str) -> AsyncGenerator[FileDownload]:
        path, files = _checked(path), self._session(identifier).files
        if path not in files:
            raise FileMissingError(f"There is no file {path!r}.")
        yield FileDownload(_entry(path, files[path]), _chunks(files[path]))

    async def delete_file(self, identifier: str, path: str) -> None:
        if self._session(identifier).files.pop(_checked(path), None) is None:
            raise FileMissingError(f"There is no file {path!r}.")

    async def list_packages(self, identifier: str) -> tuple[Package, ...]:
        self._session(identifier)
        return self.packages

    async def install_packages(self, identifier: str, requirements: Sequence[str]) -> Installation:
        self._session(identifier)
        if "no-such-package" in requirements:
            raise PackagesNotInstalledError("The index has no package. Nothing was installed.")
        new = tuple(Package(name, "1.0") for name in requirements)
        self.packages += new
        return Installation(new, (), 2_000_000, 0.5)

    async def get_session(self, identifier: str) -> SessionInfo | None:
        session = self.sessions.get(identifier)
        if session is None:
            return None
        now = datetime.now(UTC)
        return SessionInfo(identifier, session.created_at, now, None, session.scope is not None)

    async def keep_alive(self, identifier: str) -> bool:
        if (session := self.sessions.get(identifier)) is None:
            return False
        session.kept_alive += 1
        return True

    async def undo(self, identifier: str) -> Rollback:
        raise NotSupportedError(f"There is nothing to undo in {identifier!r}.")

    async def stop_session(self, identifier: str) -> bool:
        session = self.sessions.pop(identifier, None)
        if session is None:
            return False
        session.stopped = True
        if session.scope is not None:
            session.scope.cancel()
        return True

    async def metadata(self) -> PoolMetadata:
        return PoolMetadata(
            kind="local",
            runtime="Python",
            packages=self.packages,
            work_directory="/mnt/data",
            max_timeout_seconds=600,
            max_file_bytes=MAX_FILE_BYTES,
            network=None,
            isolation="none",
        )

    def _session(self, identifier: str) -> ToySession:
        if identifier not in self.sessions:
            if len(self.sessions) >= self._max_sessions:
                raise PoolFullError("The pool is full. Nothing was executed.")
            self.sessions[identifier] = ToySession()
        return self.sessions[identifier]


async def _evaluate(code: str, variables: dict[str, Any]) -> object:
    """Run code as a notebook does: the value is that of a last expression."""
    body = ast.parse(code).body
    value: object = None
    for statement in body:
        last = statement is body[-1] and isinstance(statement, ast.Expr)
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        if last and isinstance(statement, ast.Expr):
            compiled = compile(ast.Expression(statement.value), "<code>", "eval", flags=flags)
        else:
            module = ast.Module([statement], [])
            compiled = compile(module, "<code>", "exec", flags=flags)
        value = eval(compiled, variables)
        if inspect.iscoroutine(value):
            value = await value
    return value


def _entry(path: str, content: bytes) -> FileEntry:
    return FileEntry(path, "file", len(content), datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


async def _chunks(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 1 << 20):
        yield content[start : start + (1 << 20)]


def _checked(path: str) -> str:
    return "/".join(parse_path(path, "/mnt/data"))
