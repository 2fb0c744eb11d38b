"""Says what is waited for when a pool over a network does not answer soon."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from aca_mcp.settings import Settings

_SOON_SECONDS = 2.5


@asynccontextmanager
async def say_if_it_takes_long(
    settings: Settings, say: Callable[[str], None]
) -> AsyncGenerator[None]:
    """While the context lasts: after a moment, say which pool has not answered, and how to stop."""
    endpoints = settings.pool_management_endpoints
    hosts = ", ".join(filter(None, (urlsplit(each).hostname for each in endpoints)))

    async def say_it() -> None:
        await anyio.sleep(_SOON_SECONDS)
        say(
            f"no answer from {hosts or 'the session pool'} yet; trying for up to "
            f"{settings.azure_retry_seconds:g} seconds more (Ctrl-C ends it)"
        )

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(say_it)
        yield
        tasks.cancel_scope.cancel()
