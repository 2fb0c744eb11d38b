"""The file of a session that a path means which is not there as it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import anyio.to_thread

from aca_mcp.errors import FileMissingError
from aca_mcp.paths import below
from aca_mcp.pool import WORK_DIRECTORY
from aca_mcp.server.results.text import show_name

if TYPE_CHECKING:
    from aca_mcp.session import PythonSession


async def existing(
    session: PythonSession, path: str, kind: Literal["file", "directory"] = "file"
) -> str:
    """The path of what has this name but for how its letters are encoded.

    Args:
        session: where.
        path: of something that is not there.
        kind: what it should be.

    Raises:
        FileMissingError: there is none. The message has the names that are close to it.
    """
    from aca_mcp.server.transfers.matching import close_to, closest, composed  # seldom needed

    listing = await session.list_files(recursive=True)
    known = [entry.path for entry in listing.entries if entry.kind == kind]
    relative = below(path, WORK_DIRECTORY)
    wanted = composed((path if relative is None else relative).strip("/"))
    for each in known:
        if composed(each) == wanted:
            return each
    near = await anyio.to_thread.run_sync(closest, wanted, known)
    told = close_to(near) or "List the files to see."
    raise FileMissingError(f"There is no {show_name(path)} in the session. {told}")
