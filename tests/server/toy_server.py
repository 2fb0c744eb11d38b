"""A program: the server over stdio with a pool that is in the same process."""

from __future__ import annotations

import anyio

from aca_mcp.server.app import ServerOptions
from aca_mcp.server.stdio import serve_stdio
from tests.support.toy_pool import ToyPool


async def main() -> None:
    pool = ToyPool()
    try:
        await serve_stdio(pool, ServerOptions())
    finally:
        assert pool.sessions == {}, "a session outlived its connection"


if __name__ == "__main__":
    anyio.run(main)
