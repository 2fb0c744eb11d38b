"""An emulator in this process, and a client of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from aca_mcp.emulator.emulator import open_emulator
from aca_mcp.local.pool import open_local_pool
from tests.emulator.caller import Caller
from tests.local.pools import configuration

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aca_mcp.local.pool import LocalSessionPool


@pytest.fixture(scope="module")
async def local() -> AsyncIterator[LocalSessionPool]:
    """What is behind the emulators of this module."""
    async with open_local_pool(configuration(max_timeout_seconds=220)) as pool:
        yield pool


@pytest.fixture
async def call(local: LocalSessionPool) -> AsyncIterator[Caller]:
    """A client below a prefix, as clients have it."""
    async with (
        open_emulator(local) as app,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://127.0.0.1:8080/any/prefix/pool/",
            headers={"Authorization": "Bearer any"},
        ) as http,
    ):
        caller = Caller(http)
        yield caller
        await caller("DELETE", "session")
