"""A service that answers as a test says, and remembers what it was asked."""

from __future__ import annotations

import json
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest

from tests.support.emulators import POOL_PATH, azure_pool_at

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from aca_mcp.pool import Execution, SessionPool

IDENTIFIER = "session-1234"
ENDPOINT = f"https://westus2.dynamicsessions.io{POOL_PATH}"

Answer = httpx.Response | Exception


def answer(status: int = 200, body: object = None, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if isinstance(body, bytes):
        return httpx.Response(status, content=body, headers=named)
    if body is None:
        return httpx.Response(status, headers=named)
    return httpx.Response(status, json=body, headers=named)


def fault(status: int, code: str, message: str = "", **headers: str) -> httpx.Response:
    return answer(status, {"error": {"code": code, "message": message}}, **headers)


def succeeded(value: object = "", **result: object) -> httpx.Response:
    result = {"stdout": "", "stderr": "", "executionResult": value, **result}
    body = {"id": "e1", "identifier": IDENTIFIER, "status": "Succeeded", "result": result}
    return answer(200, body)


class Service:
    """The answers to come, and the requests that came."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = deque(answers)
        self.requests: list[httpx.Request] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        if not self.answers:  # not an assertion: that would be an error of the service's
            pytest.fail(f"not expected: {request.method} {request.url}")
        given = self.answers.popleft()
        if isinstance(given, Exception):
            raise given
        return given

    @property
    def paths(self) -> list[str]:
        return [
            f"{request.method} {request.url.path.removeprefix(POOL_PATH)}"
            for request in self.requests
        ]

    def sent(self, at: int = -1) -> dict[str, Any]:
        return json.loads(self.requests[at].content)

    @asynccontextmanager
    async def pool(self, endpoint: str = ENDPOINT, **options: Any) -> AsyncGenerator[SessionPool]:
        """A pool that speaks to it; code is sent plainly unless the test says otherwise."""
        options = {"rich_results": False, "retry_seconds": 20, **options}
        async with azure_pool_at(endpoint, transport=httpx.MockTransport(self), **options) as pool:
            yield pool
            assert not self.answers, "there were answers left"


async def run(pool: SessionPool, code: str = "1", seconds: float = 30) -> Execution:
    with anyio.fail_after(20):
        return await pool.execute(IDENTIFIER, code, timeout_seconds=seconds)


async def enter(service: Service, pool: SessionPool) -> None:
    """Have a first execution behind us, so that the next one is a single request."""
    service.answers.extendleft([succeeded(1), succeeded()])
    await run(pool)
    service.requests.clear()
