"""``aca-mcp serve``: settings to a served transport, in the order that makes it start soonest.

The pool is opened before the MCP SDK is imported, so that its template process does its imports
while this process does its own. Imports that a transport does not need stay out of this module.
"""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

import anyio

from aca_mcp.cli.logs import configure_logging
from aca_mcp.pools import open_session_pool

if TYPE_CHECKING:
    from aca_mcp.settings import Settings


def serve(settings: Settings) -> int:
    """Serve MCP over stdio until the client leaves; returns the exit code.

    Raises:
        PoolUnavailableError: the pool cannot start on this machine.
    """
    # Imports make objects that stay: collecting meanwhile costs a tenth of the start-up.
    gc.disable()
    configure_logging(settings.log_level)
    if sys.stdin.isatty():
        sys.stderr.write("aca-mcp: waiting for an MCP client on stdin; Ctrl-C ends it.\n")
    anyio.run(_serve_stdio, settings)
    return 0


async def _serve_stdio(settings: Settings) -> None:
    async with open_session_pool(settings) as pool:
        from aca_mcp.server.app import ServerOptions
        from aca_mcp.server.stdio import serve_stdio

        gc.freeze()
        gc.enable()
        options = ServerOptions(
            execution_timeout_seconds=settings.execution_timeout_seconds,
            max_result_tokens=settings.max_result_tokens,
            work_dir=settings.work_dir,
        )
        await serve_stdio(pool, options)
