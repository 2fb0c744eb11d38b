"""Emulators for tests: in this process, or a real one behind a real socket."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import httpx

from aca_mcp.azure.configuration import AzurePoolConfiguration, Pacing
from aca_mcp.azure.credentials import credential_factory
from aca_mcp.azure.pool import open_azure_pool
from aca_mcp.emulator.faults import ConnectionDroppedError
from aca_mcp.error_boundary import ErrorBoundary
from tests.support.listening_process import listening_process

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from starlette.types import ASGIApp

    from aca_mcp.packages.broker import PackageBroker
    from aca_mcp.pool import SessionPool
    from aca_mcp.settings import ApiVersion

POOL_PATH = "/subscriptions/sub/resourceGroups/group/sessionPools/pool"
SHORT_WAITS = Pacing(
    first_retry_seconds=0.001,
    longest_retry_seconds=0.01,
    first_poll_seconds=0.001,
    look_again_seconds=0,
)
"""Waits between attempts are real. Half a second of jitter would be most of a test's time."""


class InProcess(httpx.AsyncBaseTransport):
    """Carries requests to an application in this process, and drops connections if it does."""

    def __init__(self, app: ASGIApp) -> None:
        self._inner = httpx.ASGITransport(app)
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        try:
            return await self._inner.handle_async_request(request)
        except ConnectionDroppedError:
            raise httpx.RemoteProtocolError("dropped", request=request) from None

    def sent(self, method: str, ending: str) -> int:
        """How many requests of a kind there were."""
        return sum(
            request.method == method and request.url.path.endswith(ending)
            for request in self.requests
        )


@asynccontextmanager
async def azure_pool_at(
    endpoint: str,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    token: str = "",
    api_version: ApiVersion = "2025-10-02-preview",
    rich_results: bool = True,
    retry_seconds: float = 5,
    broker: Callable[[], PackageBroker] | None = None,
    pacing: Pacing = SHORT_WAITS,
    **options: Any,
) -> AsyncGenerator[SessionPool]:
    """The Azure pool, at any endpoint; ``options`` are of its configuration."""
    configuration = AzurePoolConfiguration(
        endpoint=endpoint,
        make_credential=credential_factory("emulator", emulator_token=token),
        api_version=api_version,
        rich_results=rich_results,
        retry_seconds=retry_seconds,
        pacing=pacing,
        **options,
    )
    async with open_azure_pool(configuration, transport=transport, broker=broker) as pool:
        yield ErrorBoundary(pool)


@contextmanager
def emulator_process(*arguments: str, **environment: str) -> Generator[str]:
    """``aca-mcp emulator`` on a free port; gives its address."""
    with listening_process([], "aca_mcp", "emulator", "--port", "0", *arguments, **environment) as (
        address,
        _,
    ):
        yield address
