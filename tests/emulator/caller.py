"""Requests about one session of an emulator, in either dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from tests.local.pools import new_identifier

if TYPE_CHECKING:
    import httpx

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
