"""Real clients over HTTP, of either transport and era, and the least that speaks to an endpoint."""

from __future__ import annotations

import json
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal

from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from aca_mcp.server.auth.authentication import AuthenticationOptions, authentication
from tests.support.calling import Caller, text_of
from tests.support.server_process import INITIALIZE, INITIALIZED

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import httpx
    from mcp_types import CallToolResult

Era = Literal["legacy", "2026-07-28"]
Transport = Literal["http", "sse"]

ALICE, BOB = "alices-token-that-is-long-enough-0000", "bobs-token-that-is-long-enough-000000"
WHO = authentication(AuthenticationOptions(tokens={"alice": ALICE, "bob": BOB}))
MODERN = "2026-07-28"
_HANDLE = re.compile(r'session="(ses_[\w-]+)"')


class Model(Caller):
    """A client that passes on the handle it was told, as a model does."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self.handle = ""

    def passed(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Arguments, and the handle if there is one."""
        return {**({"session": self.handle} if self.handle else {}), **arguments}

    async def result(self, tool: str, **arguments: Any) -> CallToolResult:
        result = await super().result(tool, **self.passed(arguments))
        if found := _HANDLE.search(text_of(result)):
            self.handle = found[1]
        return result


@asynccontextmanager
async def connected(
    address: str, transport: Transport, era: Era, *, token: str = ""
) -> AsyncGenerator[Model]:
    """The SDK's client, connected."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if transport == "sse":
        async with Client(sse_client(f"{address}/sse", headers=headers), mode=era) as client:
            yield Model(client)
        return
    async with (
        create_mcp_http_client(headers) as http,
        Client(streamable_http_client(f"{address}/mcp", http_client=http), mode=era) as client,
    ):
        yield Model(client)


class Endpoint:
    """Streamable HTTP by hand, where a client library would hide what matters."""

    def __init__(self, http: httpx.AsyncClient, **headers: str) -> None:
        self.http = http
        self.headers = {
            "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }

    async def post(self, message: dict[str, Any], **headers: str) -> httpx.Response:
        """Send one message."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        content = json.dumps(message)
        return await self.http.post("/mcp", content=content, headers={**self.headers, **named})

    async def open(self) -> str:
        """Shake hands as a client of the older era; gives the connection's name."""
        answer = await self.post(INITIALIZE)
        assert answer.status_code == 200, answer.text
        self.headers["Mcp-Session-Id"] = answer.headers["mcp-session-id"]
        self.headers["Mcp-Protocol-Version"] = "2025-11-25"
        assert (await self.post(INITIALIZED)).status_code == 202
        return self.headers["Mcp-Session-Id"]

    async def modern(self, tool: str, arguments: dict[str, Any], **headers: str) -> httpx.Response:
        """Call a tool as a client of the newer era."""
        meta = {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        }
        return await self.post(
            call(tool, arguments, _meta=meta),
            Mcp_Protocol_Version=MODERN,
            Mcp_Method="tools/call",
            Mcp_Name=tool,
            **headers,
        )


def call(tool: str, arguments: dict[str, Any], **more: Any) -> dict[str, Any]:
    params = {"name": tool, "arguments": arguments, **more}
    return {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}


def answer_of(response: httpx.Response) -> dict[str, Any]:
    """The answer in a response of either form."""
    if "event-stream" not in response.headers["content-type"]:
        return response.json()
    data = [line[6:] for line in response.text.splitlines() if line.startswith("data: {")]
    return json.loads(data[-1])


def text_in(response: httpx.Response) -> str:
    """The text of a tool's result."""
    return answer_of(response)["result"]["content"][0]["text"]
