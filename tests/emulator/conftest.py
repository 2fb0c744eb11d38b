"""An emulator in this process, and a client of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aca_mcp.local.pool import open_local_pool
from tests.emulator.caller import Caller, calling
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
    """A client of an emulator over it."""
    async with calling(local) as caller:
        yield caller
