"""LangChain's adapters give an agent the server's tools: over stdio, HTTP and SSE.

Arguments: the Python that runs the server, and the address of one that is running.
"""

from __future__ import annotations

import asyncio
import sys

from langchain_core.messages import ToolMessage
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_mcp_adapters.tools import load_mcp_tools

python, address = sys.argv[1:]
client = MultiServerMCPClient(
    {
        "stdio": {"transport": "stdio", "command": python, "args": ["-m", "aca_mcp", "serve"]},
        "http": {"transport": "streamable_http", "url": f"{address}/mcp"},
        "sse": {"transport": "sse", "url": f"{address}/sse"},
    }
)


async def run(transport: str) -> None:
    async with client.session(transport) as session:
        tools = {tool.name: tool for tool in await load_mcp_tools(session)}

        async def call(name: str, **arguments: object) -> ToolMessage:
            """As an agent's loop does with what its model asks for."""
            asked = {"type": "tool_call", "id": "1", "name": name, "args": arguments}
            message = await tools[name].ainvoke(asked)
            assert isinstance(message, ToolMessage)
            return message

        await call("upload_file", path="cups.csv", content="shop,cups\nHarbour,310\nStation,420\n")
        code = "import pandas as pd\nt = pd.read_csv('cups.csv')\nint(t.cups.sum())"
        assert "730" in (await call("execute_python", code=code)).text
        code = "import matplotlib.pyplot as plt\nplt.bar(t.shop, t.cups)\nplt.show()"
        drawn = await call("execute_python", code=code)
        assert any(block["type"] == "image" for block in drawn.content_blocks)
        assert "Harbour" in (await call("download_file", path="cups.csv")).text
        try:
            failed = (await call("execute_python", code="1 / 0")).text
        except Exception as error:
            failed = str(error)
        assert "ZeroDivisionError" in failed


async def main() -> None:
    for transport in ("stdio", "http", "sse"):
        await run(transport)


asyncio.run(main())
