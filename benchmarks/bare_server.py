"""The yardstick: the smallest server that the MCP SDK makes, with one tool that does nothing."""

from mcp.server import MCPServer

server = MCPServer("bare", version="1")


@server.tool()
async def noop() -> str:
    """Do nothing."""
    return "ok"


if __name__ == "__main__":
    server.run("stdio")
