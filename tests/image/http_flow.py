"""A client's walk over streamable HTTP. Run inside the container; takes a URL and a token.

Not collected by pytest. Imports what the image has and nothing of the source tree.
"""

from __future__ import annotations

import sys

import anyio
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import TextContent

TIME_LIMIT_SECONDS = 40


async def use(url: str, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    with anyio.fail_after(TIME_LIMIT_SECONDS):
        async with httpx2.AsyncClient(headers=headers, timeout=TIME_LIMIT_SECONDS) as http:
            for mode in ("legacy", "auto"):
                transport = streamable_http_client(url, http_client=http)
                async with Client(transport, mode=mode) as client:
                    result = await client.call_tool("execute_python", {"code": "print(6 * 7)"})
                    text = " ".join(
                        block.text for block in result.content if isinstance(block, TextContent)
                    )
                    assert not result.is_error, text
                    assert "42" in text, text


if __name__ == "__main__":
    anyio.run(use, sys.argv[1], sys.argv[2])
    print("used over HTTP")
