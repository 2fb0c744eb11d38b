"""Applications of tests, served for real on loopback."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import anyio
import uvicorn

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from starlette.types import ASGIApp


class _Server(uvicorn.Server):
    """Leaves signals to the tests."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@asynccontextmanager
async def serving(app_at: Callable[[str], ASGIApp]) -> AsyncGenerator[str]:
    """Serve the application for a URL while the block runs; that URL."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        app = app_at(url)
        config = uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1)
        server = _Server(config)

        async def serve() -> None:
            # Cancelled, it would leave its socket to the event loop, and to the next server.
            with anyio.CancelScope(shield=True):
                await server.serve([listener])

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve)
            with anyio.fail_after(10):
                while not server.started:  # noqa: ASYNC110 -- it says so in no other way
                    await anyio.sleep(0.005)
            try:
                yield url
            finally:
                server.should_exit = True
