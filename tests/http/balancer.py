"""A proxy that sends each request to the next of its replicas, as plain load balancers do."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import StreamingResponse

if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx
    from starlette.types import ASGIApp, Receive, Scope, Send

_OF_ONE_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class Balancer:
    """Round robin, and by ``Mcp-Session-Id`` where it is told to be sticky."""

    def __init__(
        self, replicas: Sequence[str], http: httpx.AsyncClient, *, is_sticky: bool = False
    ) -> None:
        self.served = dict.fromkeys(replicas, 0)
        self._next = itertools.cycle(replicas)
        self._http = http
        self._is_sticky = is_sticky
        self._replica_of: dict[str, str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        session = request.headers.get("mcp-session-id", "")
        replica = self._replica_of.get(session) or next(self._next)
        self.served[replica] += 1
        forwarded = self._http.build_request(
            request.method,
            f"{replica}{request.url.path}",
            headers=request.headers.raw,
            content=await request.body(),
        )
        answer = await self._http.send(forwarded, stream=True)
        try:
            if self._is_sticky and (given := answer.headers.get("mcp-session-id")):
                self._replica_of[given] = replica
            headers = {k: v for k, v in answer.headers.items() if k not in _OF_ONE_HOP}
            response: ASGIApp = StreamingResponse(answer.aiter_raw(), answer.status_code, headers)
            await response(scope, receive, send)
        finally:
            await answer.aclose()
