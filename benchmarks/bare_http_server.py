"""The same yardstick over streamable HTTP: the SDK's own server, on the port that is named."""

import sys

from mcp.server import MCPServer

server = MCPServer("bare", version="1", log_level="ERROR")


@server.tool()
async def noop() -> str:
    """Do nothing."""
    return "ok"


if __name__ == "__main__":
    server.run("streamable-http", port=int(sys.argv[1]))
