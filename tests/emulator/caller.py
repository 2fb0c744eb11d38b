"""An emulator in this process, and requests about one of its sessions, in either dialect."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import httpx

from aca_mcp.emulator.emulator import open_emulator
from tests.local.pools import new_identifier
from tests.support.emulators import InProcess

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from aca_mcp.emulator.options import EmulatorOptions
    from aca_mcp.pool import SessionPool

LEGACY = "2024-02-02-preview"
NEWEST = "2025-10-02-preview"
MIDDLE = "2025-02-02-preview"


class Caller:
    """Sends requests about one session."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http
        self.identifier = new_identifier()

    async def __call__(
        self, method: str, path: str, version: str = NEWEST, **options: Any
    ) -> httpx.Response:
        params = {"api-version": version, "identifier": self.identifier}
        params |= options.pop("params", {})
        with anyio.fail_after(30):
            return await self.http.request(method, path, params=params, **options)

    async def run(self, code: str, version: str = NEWEST, **fields: Any) -> Any:
        body: dict[str, Any] = {"code": code, **fields}
        if version == LEGACY:
            body = {
                "properties": {"codeInputType": "inline", "executionType": "synchronous", **body}
            }
        path = "code/execute" if version == LEGACY else "executions"
        response = await self("POST", path, version, json=body)
        assert response.status_code == 200, response.text
        return response.json()

    async def value(self, code: str, **fields: Any) -> object:
        return (await self.run(code, **fields))["result"]["executionResult"]


@asynccontextmanager
async def calling(
    pool: SessionPool, options: EmulatorOptions | None = None
) -> AsyncGenerator[Caller]:
    """A client below a prefix, as clients have it, whose session ends with it."""
    async with (
        open_emulator(pool, options) as app,
        httpx.AsyncClient(
            transport=InProcess(app),
            base_url="http://127.0.0.1:8080/any/prefix/pool/",
            headers={"Authorization": "Bearer any"},
        ) as http,
    ):
        caller = Caller(http)
        yield caller
        await caller("DELETE", "session")
