"""The session pool as the rest of the package sees it: one protocol in plain value types.

A pool hands out **sessions**, each an isolated Python interpreter with a work directory, and each
known by its **identifier**. The first operation with a fresh identifier allocates a session. This
module knows nothing of HTTP, MCP, processes or settings.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from aca_mcp.errors import InvalidRequestError
from aca_mcp.execution import MAX_IMAGE_SIDE as MAX_IMAGE_SIDE
from aca_mcp.execution import Execution as Execution  # noqa: TC001 -- for who imports it from here
from aca_mcp.execution import ExecutionError as ExecutionError
from aca_mcp.execution import ExecutionStatus as ExecutionStatus
from aca_mcp.execution import Output as Output  # noqa: TC001 -- as above
from aca_mcp.execution import Rollback as Rollback  # noqa: TC001 -- as above
from aca_mcp.execution import Span as Span
from aca_mcp.execution import StreamPart as StreamPart
from aca_mcp.execution import StreamText as StreamText
from aca_mcp.execution import Variables as Variables
from aca_mcp.execution import before_time_was_up as before_time_was_up
from aca_mcp.execution import not_begun as not_begun
from aca_mcp.execution import was_not_begun as was_not_begun
from aca_mcp.execution import what_is_kept as what_is_kept
from aca_mcp.installed_packages import Installation as Installation  # noqa: TC001 -- as above
from aca_mcp.installed_packages import Package as Package  # noqa: TC001 -- as above

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime

WORK_DIRECTORY = "/mnt/data"
"""Where the files of a session are, unless ``PoolMetadata.work_directory`` says otherwise."""

_IDENTIFIER = re.compile(r"[A-Za-z0-9|&^%$#(){}\[\];<>_-]{4,128}")


def check_identifier(identifier: str) -> str:
    """Return the identifier if Azure's data plane would take it.

    4 to 128 of the characters that the service documents. An identifier is the only wall between
    the sessions of a pool, so whoever makes one makes it unguessable.

    Raises:
        InvalidRequestError: it is too short, too long, or has another character.
    """
    if _IDENTIFIER.fullmatch(identifier) is None:
        raise InvalidRequestError(
            "A session identifier has 4 to 128 characters: letters, digits and | - & ^ % $ # ( ) "
            "{ } [ ] ; < > _."
        )
    return identifier


_ENVIRONMENT = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


def identifier_in(environment: str, identifier: str) -> str:
    """An identifier whose session is of an environment; of the pool's default one where empty.

    Only pools that have several environments know the difference.
    """
    return f"{environment}|{identifier}" if environment else identifier


def environment_of(identifier: str) -> str:
    """The environment that an identifier names, or an empty string."""
    name, _, rest = identifier.partition("|")
    return name if rest and _ENVIRONMENT.fullmatch(name) else ""


class OutputChunk(NamedTuple):
    """Some output of running code, as it appears."""

    stream: Literal["stdout", "stderr"]
    text: str
    displayed: Output | None = None
    """Something displayed, in the place of text. The execution's outputs have it, too."""


OutputCallback = Callable[[OutputChunk], None]
"""Called in the event loop while code runs. It must not block."""


class FileEntry(NamedTuple):
    """A file or directory of a session."""

    path: str
    """Relative to the work directory, with ``/`` between parts."""
    kind: Literal["file", "directory", "other"]
    size_bytes: int
    modified_at: datetime
    """With a time zone (UTC)."""


class FileListing(NamedTuple):
    """The files of one directory, sorted by path."""

    entries: tuple[FileEntry, ...]
    truncated: bool
    """There are more entries than the pool lists at once."""


class FileDownload(NamedTuple):
    """An open file of a session."""

    entry: FileEntry
    chunks: AsyncIterator[bytes]


class SessionInfo(NamedTuple):
    """A session as its pool knows it. All times are UTC."""

    identifier: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime | None
    """When the pool ends it if nobody uses it, or None for never."""
    running: bool
    """Code is running in it now."""
    checkpoints: int | None = None
    """How many copies of its variables are kept now, or None where the pool keeps none."""
    went_back: Rollback | None = None
    """By which variables went back as its last code was cancelled, and so had no result."""


class EnvironmentSummary(NamedTuple):
    """An interpreter with packages that a session can be started with."""

    name: str
    contents: str
    """What it has, in one line."""


class SessionLimits(NamedTuple):
    """What one session may use. None where the pool does not limit it by itself."""

    memory_bytes: int
    disk_bytes: int
    output_bytes: int
    """Kept of each stream of one execution."""
    idle_seconds: float
    """After which the pool ends a session, where nobody keeps it."""
    processes: int | None = None
    threads: int | None = None


class PoolMetadata(NamedTuple):
    """What a pool's sessions are."""

    kind: Literal["local", "wasm", "azure"]
    runtime: str
    """Such as ``Python 3.12.7``, or ``Python`` where the pool does not tell."""
    packages: tuple[Package, ...]
    """What every new session has, sorted by name; empty where the pool does not tell."""
    work_directory: str
    """Where code finds its files; ``.`` where each session has another, in which it starts."""
    max_timeout_seconds: float
    """The longest time one execution may take."""
    max_file_bytes: int
    """The largest file that can be uploaded or downloaded."""
    network: bool | None
    """Whether code can reach a network, or None where the pool does not tell."""
    isolation: str
    """What separates a session from its host: ``namespaces``, ``landlock``, ``hyper-v``, ..."""
    checkpoints: int = 0
    """How many executions of a session can be undone; 0 where the pool keeps no checkpoints."""
    runs: Literal["python", "shell"] = "python"
    """What a session is. A shell starts Python anew for each execution: files alone stay. It runs
    code that begins with ``%%bash`` as commands."""
    can_interrupt: bool = True
    """Code that is cancelled leaves its session there; otherwise the session is ended with it."""
    limits: SessionLimits | None = None
    """What one session may use; None where the pool does not tell."""
    environments: tuple[EnvironmentSummary, ...] = ()
    """What ``identifier_in`` can name, the default first; empty where the pool has but one."""


class SessionPool(Protocol):
    """Sessions by identifier.

    Every operation may raise any ``SessionPoolError``; the ones named below are those that a
    caller can expect in ordinary use. All waits are bounded. One session runs one piece of code
    at a time: a second ``execute`` waits for the first. Files can be moved while code runs.
    """

    async def execute(
        self,
        identifier: str,
        code: str,
        *,
        timeout_seconds: float,
        on_output: OutputCallback | None = None,
    ) -> Execution:
        """Run code and wait for its end.

        When the time is up the code is interrupted and the session keeps its state; if it will
        not stop, the session is killed and the result says so. Cancelling the calling task does
        the same. Exceptions of the code are part of the result, never raised.

        Args:
            identifier: the session's.
            code: Python, or IPython (magics, ``!`` and top-level ``await``).
            timeout_seconds: more than 0, at most ``PoolMetadata.max_timeout_seconds``. Time spent
                waiting for earlier code of the same session counts.
            on_output: receives what the code prints, as it appears, where the pool can tell.

        Raises:
            InvalidRequestError: the timeout is out of range.
            PoolFullError: the session would be one too many.
            ExecutionOutcomeUnknownError: the answer was lost on the way.
        """
        ...

    async def interrupt(self, identifier: str) -> bool:
        """Interrupt the code that is running, as Ctrl-C would. True if there was some.

        Raises:
            NotSupportedError: the pool cannot.
        """
        ...

    async def list_files(
        self, identifier: str, directory: str = "", *, recursive: bool = False
    ) -> FileListing:
        """List a directory of the session, by default the work directory.

        Raises:
            FileMissingError: no such directory.
            InvalidPathError: the path leaves the work directory.
        """
        ...

    async def upload_file(
        self,
        identifier: str,
        path: str,
        content: AsyncIterable[bytes],
        *,
        overwrite: bool = True,
    ) -> FileEntry:
        """Write a file, making the directories on its way. It appears whole or not at all.

        Raises:
            InvalidPathError: the path leaves the work directory or names a directory.
            FileExistsInSessionError: it is there, and ``overwrite`` is false.
            FileTooLargeError: it has more than ``PoolMetadata.max_file_bytes``.
            StorageFullError: the session has no room for it.
        """
        ...

    def download_file(
        self, identifier: str, path: str
    ) -> AbstractAsyncContextManager[FileDownload]:
        """Open a file for reading, in chunks of at most 1 MiB.

        Raises:
            FileMissingError: no such file.
            InvalidPathError: it is not a regular file, or the path leaves the work directory.
            FileTooLargeError: it has more than ``PoolMetadata.max_file_bytes``.
        """
        ...

    async def delete_file(self, identifier: str, path: str) -> None:
        """Delete a file, or an empty directory.

        Raises:
            FileMissingError: no such file.
            InvalidPathError: the path leaves the work directory, or names a directory with
                something in it.
        """
        ...

    async def list_packages(self, identifier: str) -> tuple[Package, ...]:
        """What the session can import, installed later or not, sorted by name.

        Does not wait for code that runs: what it has installed may be missing then.
        """
        ...

    async def install_packages(self, identifier: str, requirements: Sequence[str]) -> Installation:
        """Let the session import further packages, without a restart and without a network.

        Args:
            identifier: the session's.
            requirements: names, with versions and extras as PEP 508 writes them.

        Raises:
            PackagesNotInstalledError: they are not permitted, or cannot be had.
            NotSupportedError: the pool cannot.
        """
        ...

    async def get_session(self, identifier: str) -> SessionInfo | None:
        """The session, or None if there is none. Does not count as use, and allocates nothing."""
        ...

    async def keep_alive(self, identifier: str) -> bool:
        """Count as use, so that the cooldown begins anew. False if there is no such session."""
        ...

    async def undo(self, identifier: str) -> Rollback:
        """Bring back the variables from before the last execution. Files stay as they are.

        Code that runs is waited for.

        Raises:
            NotSupportedError: the pool keeps no checkpoints, or has none of this session from
                before it. The message says why. Nothing was changed.
        """
        ...

    async def stop_session(self, identifier: str) -> bool:
        """End a session at once, with whatever runs in it. True if there was one."""
        ...

    async def metadata(self) -> PoolMetadata:
        """What this pool's sessions are."""
        ...
