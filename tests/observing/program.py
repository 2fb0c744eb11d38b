"""Serves the toy pool to an MCP client in this process, with telemetry as the arguments say."""

from __future__ import annotations

import sys
from contextlib import suppress

import anyio
from mcp import Client, MCPError

from aca_mcp.observed_pool import observed
from aca_mcp.server.app import ServerOptions, create_server
from aca_mcp.server.callers import Callers
from aca_mcp.server.sessions.client_sessions import open_sessions
from aca_mcp.telemetry import metrics_text, open_telemetry
from tests.support.toy_pool import ToyPool


async def use(canary: str) -> None:
    pool = observed(ToyPool(), kind="local")
    async with (
        open_sessions(pool) as sessions,
        Client(create_server(Callers(sessions), ServerOptions())) as client,
    ):
        code = f"print({canary!r}); raise ValueError({canary!r})"
        await client.call_tool("execute_python", {"code": code})
        with suppress(MCPError):
            await client.call_tool(f"{canary} {canary}!", {})
        with suppress(MCPError):
            await client.read_resource(f"aca://{canary}")


if __name__ == "__main__":
    otlp, prometheus = "otlp" in sys.argv, "prometheus" in sys.argv
    with open_telemetry(otlp=otlp, prometheus=prometheus, version="1.2.3"):
        anyio.run(use, sys.argv[1])
        if prometheus:
            body, content_type = metrics_text()
            sys.stdout.write(f"{content_type}\n{body.decode()}")
