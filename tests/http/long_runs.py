"""Clients by every transport and era, and code that shows for how long it runs."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal

import anyio
from mcp import Client
from mcp.client.stdio import stdio_client

from tests.http.clients import Model, connected
from tests.support.command_line import serving_pipes

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.http.clients import Era

    Way = Literal["stdio", "http", "sse"]

COUNTING = (
    "import itertools, pathlib, time\n"
    "for turn in itertools.count():\n"
    "    pathlib.Path('turns').write_text(str(turn))\n"
    "    print('turn', turn, flush=True)\n"
    "    time.sleep(0.02)"
)
"""For ever, and a file tells."""
STANDS_STILL = (
    "first = pathlib.Path('turns').read_text(); time.sleep(0.3)\n"
    "first == pathlib.Path('turns').read_text()"
)


@asynccontextmanager
async def client_by(way: Way, era: Era, address: str) -> AsyncGenerator[Model]:
    """A client of the server at an address, or over stdio of one of its own."""
    if way != "stdio":
        async with connected(address, way, era) as client:
            yield client
        return
    async with Client(stdio_client(serving_pipes()), mode=era) as client:
        yield Model(client)


class Heard:
    """What a client is told while a call runs."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.seconds: list[float] = []
        self.first = anyio.Event()

    async def __call__(self, progress: float, total: float | None, message: str | None) -> None:
        assert total is None
        self.messages.append(message or "")
        self.seconds.append(progress)
        self.first.set()


async def cancelled_while_it_runs(call: Model, code: str) -> None:
    """Execute code, and cancel the call when it has printed something."""
    heard = Heard()

    async def run() -> None:
        arguments = call.passed({"code": code})
        await call.client.call_tool("execute_python", arguments, progress_callback=heard)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await heard.first.wait()
            tasks.cancel_scope.cancel()
