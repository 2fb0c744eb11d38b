"""Real servers over real stdio, with the local pool, in both protocol eras."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal

import pytest
from mcp import Client
from mcp.client.stdio import stdio_client

from tests.support.calling import Caller
from tests.support.command_line import serving_pipes
from tests.wasm.pools import WASM

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from contextlib import AbstractAsyncContextManager

    Era = Literal["legacy", "2026-07-28"]
    Serve = Callable[..., AbstractAsyncContextManager[Caller]]


@pytest.fixture(scope="module", params=["legacy", "2026-07-28"])
def era(request: pytest.FixtureRequest) -> Era:
    """The protocol era that the client opens with."""
    return request.param


collect_ignore = ["test_crashes.py"] if WASM else []
"""Nothing tells from outside when a session there has made its next copy."""
in_one_era = pytest.mark.parametrize("era", ["2026-07-28"], indirect=True, scope="module")
"""For what does not depend on it, and needs a server of its own."""


@pytest.fixture(scope="module")
def serve(era: Era) -> Serve:
    """Starts a server with these settings, and connects to it."""

    @asynccontextmanager
    async def served(**settings: object) -> AsyncGenerator[Caller]:
        async with Client(stdio_client(serving_pipes(**settings)), mode=era) as client:
            yield Caller(client)

    return served


@pytest.fixture(scope="module")
async def server(serve: Serve) -> AsyncGenerator[Caller]:
    """One server for all the tests of a module, since each costs a second."""
    async with serve() as caller:
        yield caller


@pytest.fixture
async def call(server: Caller) -> Caller:
    """The same, with an empty session."""
    await server("restart_session")
    return server
