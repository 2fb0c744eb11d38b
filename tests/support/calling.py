"""The shortest way to call a tool through a real client, for tests."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mcp_types import CallToolResult, ImageContent, TextContent

if TYPE_CHECKING:
    from mcp import Client


class Caller:
    """A connected client, and the shortest way to call a tool."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def result(self, tool: str, **arguments: Any) -> CallToolResult:
        result = await self.client.call_tool(tool, arguments)
        assert isinstance(result, CallToolResult)
        assert result.structured_content is None
        return result

    async def __call__(self, tool: str, **arguments: Any) -> str:
        """The text of a call that succeeds."""
        result = await self.result(tool, **arguments)
        assert not result.is_error, result.content
        return text_of(result)

    async def begin(self, code: str, **arguments: Any) -> str:
        """Execute code in the background; gives the execution's name."""
        text = await self("execute_python", code=code, run_in_background=True, **arguments)
        (name,) = set(re.findall(r"execution-\d+", text))
        return name

    async def refusal(self, tool: str, **arguments: Any) -> str:
        """The text of a call that fails."""
        result = await self.result(tool, **arguments)
        assert result.is_error, result.content
        return text_of(result)


def text_of(result: CallToolResult) -> str:
    assert len([block for block in result.content if isinstance(block, TextContent)]) == 1
    first = result.content[0]
    assert isinstance(first, TextContent)
    return first.text


def images_of(result: CallToolResult) -> list[ImageContent]:
    """The images, which come after the text; links to files come last."""
    kinds = [block.type for block in result.content[1:]]
    assert kinds == sorted(kinds)
    assert set(kinds) <= {"image", "resource_link"}
    return [block for block in result.content if isinstance(block, ImageContent)]
