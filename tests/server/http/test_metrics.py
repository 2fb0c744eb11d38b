"""Who may scrape: by which names, and with which token."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from aca_mcp.server.app import ServerOptions
from aca_mcp.server.auth.authentication import AuthenticationOptions, authentication
from aca_mcp.server.http.app import HttpOptions, open_http_app
from aca_mcp.server.sessions.client_sessions import open_sessions
from tests.server.http.serving import served

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.support.toy_pool import ToyPool

ALICE = "alices-token-that-is-long-enough-0000"
SCRAPER = "the-scrapers-token-that-is-long-enough"


@asynccontextmanager
async def serving(
    pool: ToyPool, *, token: str = "", authenticated: bool = False
) -> AsyncGenerator[httpx.AsyncClient]:
    who = authentication(AuthenticationOptions(tokens={"alice": ALICE})) if authenticated else None
    options = HttpOptions(metrics_text=lambda: (b"calls 1\n", "text/plain"), metrics_token=token)
    async with (
        open_sessions(pool) as sessions,
        open_http_app(sessions, ServerOptions(), options, authentication=who) as app,
        served(app) as address,
        httpx.AsyncClient(base_url=address, timeout=10) as http,
    ):
        yield http


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


@pytest.mark.parametrize(
    ("metrics_token", "authenticated", "sent", "status"),
    [
        ("", False, "", 200),
        ("", True, "", 401),
        ("", True, ALICE, 200),
        (SCRAPER, False, "", 401),
        (SCRAPER, False, "wrong", 401),
        (SCRAPER, False, SCRAPER, 200),
        (SCRAPER, True, ALICE, 401),
        (SCRAPER, True, SCRAPER, 200),
    ],
)
async def test_metrics_are_for_whoever_has_the_token(
    toy_pool: ToyPool, metrics_token: str, sent: str, status: int, *, authenticated: bool
) -> None:
    async with serving(toy_pool, token=metrics_token, authenticated=authenticated) as http:
        answer = await http.get("/metrics", headers=bearing(sent))
        assert answer.status_code == status
        assert ("calls 1" in answer.text) == (status == 200)


async def test_a_scrapers_token_is_good_for_nothing_else(toy_pool: ToyPool) -> None:
    async with serving(toy_pool, token=SCRAPER, authenticated=True) as http:
        assert (await http.post("/mcp", json={}, headers=bearing(SCRAPER))).status_code == 401


async def test_a_page_that_took_another_name_reads_no_metrics(toy_pool: ToyPool) -> None:
    for token in ("", SCRAPER):
        async with serving(toy_pool, token=token) as http:
            headers = {**bearing(token), "Host": "evil.example"}
            assert (await http.get("/metrics", headers=headers)).status_code == 421
            headers = {**bearing(token), "Origin": "https://evil.example"}
            assert (await http.get("/metrics", headers=headers)).status_code == 403
