"""An installed aca-mcp runs Python over stdio. Not collected by pytest; see ``scripts/smoke``.

Takes the path of the ``aca-mcp`` command. Imports nothing of the source tree.
"""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import anyio
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.types import TextContent

TIME_LIMIT_SECONDS = 60


def look_at_what_is_installed(command: str) -> str:
    version = importlib.metadata.version("aca-mcp")
    told = subprocess.run(
        [command, "--version"], capture_output=True, encoding="utf-8", check=True
    ).stdout
    assert told == f"aca-mcp {version}\n", told
    installed = importlib.metadata.files("aca-mcp") or []
    stray = [path for path in installed if Path(path).parts[0] in {"tests", "benchmarks"}]
    assert stray == [], stray
    return version


async def use(command: str, version: str) -> None:
    server = StdioServerParameters(command=command)
    with anyio.fail_after(TIME_LIMIT_SECONDS):
        async with Client(stdio_client(server)) as client:
            assert client.server_info is not None
            assert client.server_info.version == version, client.server_info
            for code, expected in (("x = 6 * 7", ""), ("print(x)", "42"), ("import pandas", "")):
                result = await client.call_tool("execute_python", {"code": code})
                text = "".join(
                    block.text for block in result.content if isinstance(block, TextContent)
                )
                assert not result.is_error, text
                assert expected in text, text


if __name__ == "__main__":
    anyio.run(use, sys.argv[1], look_at_what_is_installed(sys.argv[1]))
    sys.stdout.write("The installed aca-mcp was started and used over stdio.\n")
