"""The server as a model knows it: an official client over stdio, and what its answers show."""

from __future__ import annotations

import base64
import os
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.types import ImageContent, TextContent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

COMMAND = Path(sys.executable).parent / "aca-mcp"


@dataclass(frozen=True)
class Answer:
    """What a model gets of a call."""

    parts: tuple[str | bytes, ...]
    """Texts and pictures, in their order."""
    is_error: bool = False

    @property
    def text(self) -> str:
        """All texts, one below the other."""
        return "\n".join(part for part in self.parts if isinstance(part, str))

    @property
    def images(self) -> int:
        """How many pictures there are."""
        return sum(isinstance(part, bytes) for part in self.parts)


@asynccontextmanager
async def model_client(folder: Path, *flags: str) -> AsyncGenerator[Client]:
    """Start the server as desktop clients do, with a work directory, and connect to it."""
    server = StdioServerParameters(
        command=str(COMMAND), args=["--work-dir", str(folder), *flags], env=dict(os.environ)
    )
    async with Client(stdio_client(server)) as client:
        yield client


async def ask(client: Client, tool: str, arguments: dict[str, Any]) -> Answer:
    """Call a tool."""
    result = await client.call_tool(tool, arguments)
    parts: list[str | bytes] = []
    for block in result.content:
        if isinstance(block, TextContent):
            parts.append(block.text)
        elif isinstance(block, ImageContent):
            parts.append(base64.b64decode(block.data))
    return Answer(tuple(parts), bool(result.is_error))
