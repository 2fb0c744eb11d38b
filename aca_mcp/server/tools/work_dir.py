"""The tools that copy files between the host's work directory and a session."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Annotated

from mcp_types import CallToolResult
from pydantic import Field

from aca_mcp.errors import AcaMcpError
from aca_mcp.server.callers import Caller
from aca_mcp.server.results.fitting import text_result
from aca_mcp.server.results.text import show_name
from aca_mcp.server.transfers.host_directory import WorkDir, host_parts
from aca_mcp.server.types import Ctx, SessionHandle

Paths = Annotated[
    list[str],
    Field(
        min_length=1,
        max_length=100,
        description="Relative to the work directory, and the same on both sides.",
    ),
]


class Transfer:
    """Copies files without passing them through the model."""

    def __init__(self, directory: Path, caller: Callable[[Ctx], Awaitable[Caller]]) -> None:
        """Open the host's work directory.

        Args:
            directory: its path.
            caller: tells whose sessions a call may use.

        Raises:
            OSError: it cannot be opened.
        """
        self._work_dir = WorkDir(directory)
        self._caller = caller

    async def upload_from_work_dir(
        self, ctx: Ctx, paths: Paths, overwrite: bool = False, session: SessionHandle = ""
    ) -> CallToolResult:
        """Copy files from the user's work directory into the session, to the same paths.

        Only plain files below that directory, no links, and no name that begins with a dot.
        """
        target = (await (await self._caller(ctx)).session(session)).python

        async def copy(path: str) -> int:
            async with aclosing(self._work_dir.read(path)) as content:
                entry = await target.upload(_same(path), content, overwrite=overwrite)
            return entry.size_bytes

        return await _each(paths, copy)

    async def download_to_work_dir(
        self, ctx: Ctx, paths: Paths, overwrite: bool = False, session: SessionHandle = ""
    ) -> CallToolResult:
        """Copy files from the session into the user's work directory, to the same paths.

        The user can open them there. Missing directories are made. No name may begin with a dot.
        """
        target = (await (await self._caller(ctx)).session(session)).python

        async def copy(path: str) -> int:
            host_parts(path)
            async with target.open_file(_same(path)) as file:
                return await self._work_dir.write(path, file.chunks, overwrite=overwrite)

        return await _each(paths, copy)


def _same(path: str) -> str:
    return "/".join(host_parts(path))


async def _each(paths: Sequence[str], copy: Callable[[str], Awaitable[int]]) -> CallToolResult:
    """Copy one after the other; one that fails does not keep the others from being copied."""
    lines: list[str] = []
    failed = False
    for path in paths:
        try:
            lines.append(f"{show_name(path)}: copied, {await copy(path):,} bytes")
        except AcaMcpError as error:
            failed = True
            lines.append(f"not copied: {error}")
    return text_result("\n".join(lines), is_error=failed)
