"""What Prometheus scrapes, for whoever may: the holder of the metrics token, where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio.to_thread
from starlette.responses import Response

from aca_mcp.server.auth.bearer import bearer_token
from aca_mcp.server.auth.errors import RefusedError, answer
from aca_mcp.server.auth.static import StaticTokens

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request


def metrics_endpoint(
    text: Callable[[], tuple[bytes, str]], token: str
) -> Callable[[Request], Awaitable[Response]]:
    """Make the endpoint.

    Args:
        text: what is scraped, and its content type. Takes a while; called in a thread.
        token: the bearer token that a scraper must send; empty where others see to that.
    """
    holders = StaticTokens({"metrics": token} if token else {})

    async def scrape(request: Request) -> Response:
        if token:
            try:
                if holders.find(bearer_token(request.headers)) is None:
                    raise RefusedError("This is not the metrics token.")
            except RefusedError as refusal:
                return answer(refusal, scopes=(), metadata_url="")
        body, content_type = await anyio.to_thread.run_sync(text)
        return Response(body, media_type=content_type)

    return scrape
