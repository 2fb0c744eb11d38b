"""What a person finds who opens the server's address, and reads where it listens."""

from __future__ import annotations

import httpx

from aca_mcp.server.app import ServerOptions
from aca_mcp.server.http.app import HttpOptions, open_http_app
from aca_mcp.server.sessions.client_sessions import open_sessions
from tests.server.http.serving import served, server_process
from tests.support.toy_pool import ToyPool


async def test_a_browser_is_told_which_addresses_are_for_clients() -> None:
    http = HttpOptions(sse_path="/sse")
    async with (
        open_sessions(ToyPool()) as sessions,
        open_http_app(sessions, ServerOptions(), http) as app,
        served(app) as address,
        httpx.AsyncClient() as browser,
    ):
        page = await browser.get(f"{address}/", headers={"Accept": "text/html"})
        assert page.status_code == 200
        assert f"{address}/mcp\n{address}/sse" in page.text
        assert "Clients need no token." in page.text
        stranger = await browser.get(f"{address}/", headers={"Host": "evil.example"})
        assert stranger.status_code == 421


async def test_a_browser_needs_no_token_for_that_page() -> None:
    with server_process([], ACA_MCP_AUTH_TOKENS=f"me={'x' * 40}") as (address, _):
        async with httpx.AsyncClient() as browser:
            page = await browser.get(f"{address}/")
            assert "Authorization: Bearer" in page.text
            assert (await browser.get(f"{address}/mcp")).status_code == 401
