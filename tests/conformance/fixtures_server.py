"""The server with what the official conformance suite looks for beside what users get.

The composition is the product's own: its factory, guard, limits, connections and endpoints. Only
the names and texts that are added are the suite's. To serve it:
``python -m tests.conformance.fixtures_server``.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import anyio

from aca_mcp.listening.server import HttpServer, Listener
from aca_mcp.server.app import PythonServer, ServerOptions, create_server
from aca_mcp.server.http.app import HttpOptions, open_http_app
from aca_mcp.server.sessions.client_sessions import open_sessions
from tests.conformance.contents import add_contents
from tests.conformance.questions import add_questions
from tests.support.toy_pool import ToyPool

if TYPE_CHECKING:
    from aca_mcp.server.callers import Callers


def make_server(callers: Callers, options: ServerOptions, **wiring: Any) -> PythonServer:
    """The product's server with the suite's fixtures on it."""
    server = create_server(callers, options, **wiring)
    add_contents(server)
    add_questions(server)
    return server


async def main() -> None:
    async with (
        open_sessions(ToyPool()) as sessions,
        open_http_app(sessions, ServerOptions(), HttpOptions(), make_server=make_server) as app,
        anyio.create_task_group() as tasks,
    ):
        server = HttpServer(app, Listener(port=0), title="fixtures at", drain_seconds=1)
        tasks.start_soon(server.serve_until_told)
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                break
        server.should_exit = True


if __name__ == "__main__":
    anyio.run(main)
