"""The tools over the host's work directory: what it has, and copies between it and a session."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Annotated

import anyio.to_thread
from mcp_types import CallToolResult
from pydantic import BeforeValidator, Field

from aca_mcp.errors import (
    AcaMcpError,
    FileExistsInSessionError,
    FileMissingError,
    InvalidPathError,
)
from aca_mcp.server.callers import Callers
from aca_mcp.server.results.files import show_listing
from aca_mcp.server.results.fitting import text_result
from aca_mcp.server.results.notebook import FILE_NAME, notebook_of
from aca_mcp.server.results.text import show_name
from aca_mcp.server.sessions.client_sessions import OpenSession
from aca_mcp.server.transfers.host_directory import MAX_LISTED, FoundFiles, WorkDir
from aca_mcp.server.transfers.host_names import directory_parts, refuse, relative_path
from aca_mcp.server.transfers.matching import close_to, closest, composed, is_pattern, named
from aca_mcp.server.types import Ctx, SessionHandle
from aca_mcp.session import PythonSession

_REPLACE = "Pass overwrite=true to replace it."

Paths = Annotated[
    list[str],
    BeforeValidator(lambda paths: [paths] if isinstance(paths, str) else paths),
    Field(
        min_length=1,
        max_length=100,
        description="Files, directories, patterns.",
    ),
]


class WorkDirTools:
    """Copies files without passing them through the model.

    Args:
        callers: tell whose sessions a call may use.
        work_dir: the host's directory. It stays open.
    """

    def __init__(self, callers: Callers, work_dir: WorkDir) -> None:
        self._work_dir = work_dir
        self._callers = callers

    async def list_work_dir(
        self, ctx: Ctx, directory: str = "", pattern: str = ""
    ) -> CallToolResult:
        """List the user's work directory; with a pattern (*.csv), all that matches below it."""
        del ctx  # every caller has the same directory
        listing, left_out = await self._work_dir.list(directory, pattern)
        return text_result("\n".join(filter(None, (show_listing(listing), left_out))))

    async def upload_from_work_dir(
        self, ctx: Ctx, paths: Paths, overwrite: bool = False, session: SessionHandle = ""
    ) -> CallToolResult:
        """Copy files from the user's work directory into the session, to the same paths."""
        target = (await self._callers.of(ctx.request_context).session(session)).python

        async def copy(path: str) -> tuple[str, int]:
            name = composed(path)
            async with aclosing(self._work_dir.read(path)) as content:
                try:
                    entry = await target.upload(name, content, overwrite=overwrite)
                except FileExistsInSessionError as error:
                    raise FileExistsInSessionError(f"{error} {_REPLACE}") from None
            return name, entry.size_bytes

        return await _each(paths, self._work_dir.find, copy)

    async def download_to_work_dir(
        self,
        ctx: Ctx,
        paths: Paths,
        overwrite: bool = False,
        trusted_names: list[str] = [],  # noqa: B006 -- read, and part of the schema
        session: SessionHandle = "",
    ) -> CallToolResult:
        """Copy files of the session to the user's work directory; session.ipynb is what ran."""
        opened = await self._callers.of(ctx.request_context).session(session)

        async def write(path: str, chunks: AsyncIterator[bytes]) -> int:
            return await self._work_dir.write(
                path, chunks, overwrite=overwrite, trusted_names=trusted_names
            )

        async def copy(path: str) -> tuple[str, int]:
            try:
                async with opened.python.open_file(path) as file:
                    return path, await write(path, file.chunks)
            except FileMissingError:
                if path != FILE_NAME:
                    raise
            return path, await write(path, _notebook(opened))

        async def find(path: str) -> FoundFiles:
            return await _find_in_session(opened.python, path, self._work_dir.path)

        return await _each(paths, find, copy)


async def _notebook(session: OpenSession) -> AsyncIterator[bytes]:
    yield await notebook_of(session.executions)


async def _find_in_session(session: PythonSession, path: str, root: str) -> FoundFiles:
    """The files of a session that a path stands for: itself, a directory's, or a pattern's."""
    wanted = relative_path(path, root)
    listing = await session.list_files(recursive=True)
    if listing.truncated:
        with suppress(FileMissingError, InvalidPathError):
            listing = await session.list_files(wanted, recursive=True)
    known = [entry.path for entry in listing.entries if entry.kind == "file"]
    files = named(wanted, known)
    if files and (listing.truncated or len(files) > MAX_LISTED) and files != [wanted]:
        refuse(path, f"it stands for more than {MAX_LISTED} files, the most that are copied")
    if not files and wanted != FILE_NAME and not listing.truncated:
        if not is_pattern(wanted):
            directory_parts(path, root)  # says why none of that name would be written
        if any(entry.path == wanted.strip("/") for entry in listing.entries):
            refuse(path, "it is a directory without files")
        near = await anyio.to_thread.run_sync(closest, wanted, known)
        hint = close_to(near).rstrip(".")
        refuse(path, ". ".join(filter(None, ("the session has no such file", hint))))
    return FoundFiles(tuple(files) or (wanted,))


async def _each(
    paths: list[str],
    find: Callable[[str], Awaitable[FoundFiles]],
    copy: Callable[[str], Awaitable[tuple[str, int]]],
) -> CallToolResult:
    """Copy one after the other; one that fails does not keep the others from being copied.

    Args:
        paths: what was asked for.
        find: the files that one of these stands for.
        copy: copies one of them; gives the name that it has now, and its bytes.
    """
    lines: list[str] = []
    failed = False
    for path in paths:
        try:
            files = await find(path)
        except AcaMcpError as error:
            failed = True
            lines.append(f"not copied: {error}")
            continue
        for file in files.paths:
            try:
                name, size = await copy(file)
                lines.append(f"{show_name(name)}: copied, {size:,} bytes")
            except AcaMcpError as error:
                failed = True
                lines.append(f"not copied: {error}")
        if files.left_out:
            lines.append(files.left_out)
    return text_result("\n".join(lines), is_error=failed)
