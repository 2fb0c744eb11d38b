"""Clients that hold connections of the whole program, before anybody knows who they are."""

from __future__ import annotations

import resource
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.server_process import ROOT
from tests.support.session_settings import plain_environment

if TYPE_CHECKING:
    from collections.abc import Generator

CLIENTS = 1100
OPEN_FILES = 1024
"""Of the server: fewer than there are clients."""
KEPT = 50
"""Of them, for what is no connection."""
LINES = 4
"""Of the log: where it listens, how many there may be, what there is no secret for."""
REQUEST_SECONDS = 5
HALVES = (
    b"",
    b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ",
    b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{",
    b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n1",
)


@pytest.fixture
def many_descriptors() -> Generator[None]:
    """For the clients, which are all in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard == resource.RLIM_INFINITY or hard > CLIENTS + 200
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, CLIENTS + 200), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_descriptors")
def test_half_requests_beyond_all_descriptors_keep_nobody_out(tmp_path: Path) -> None:
    limited = f'ulimit -n {OPEN_FILES}; exec "$@"'
    command = ["sh", "-c", limited, "sh", sys.executable, "-m", "aca_mcp", "serve"]
    environment = {
        **plain_environment(),
        "ACA_MCP_LOCAL_PYTHON": sys.executable,
        "ACA_MCP_REQUEST_SECONDS": str(REQUEST_SECONDS),
    }
    log = tmp_path / "log"  # which no pipe bounds that nobody reads
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            [*command, "--transport", "http", "--port", "0"],
            stderr=stderr,
            cwd=ROOT,
            env=environment,
        ) as server,
        ExitStack() as held,
    ):
        held.callback(server.kill)  # where something is not as it should be
        while "http://" not in log.read_text():
            assert server.poll() is None, "it ended"
            time.sleep(0.05)
        port = int(log.read_text().partition("127.0.0.1:")[2].partition("/")[0])
        clients: list[socket.socket] = []
        for number in range(CLIENTS):
            client = held.enter_context(socket.create_connection(("127.0.0.1", port), 30))
            clients.append(client)
            with suppress(ConnectionError):  # it has given way to another already
                client.sendall(HALVES[number % len(HALVES)])
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as honest:
            assert honest.get("/healthz").text == "alive\n"
            initialize = {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "initialize",
                "params": {
                    "protocolVersion": "2025-11-25",
                    "capabilities": {},
                    "clientInfo": {"name": "honest", "version": "1"},
                },
            }
            accept = {"Accept": "application/json, text/event-stream"}
            assert honest.post("/mcp", json=initialize, headers=accept).status_code == 200
        assert len(list(Path(f"/proc/{server.pid}/fd").iterdir())) < OPEN_FILES - KEPT
        for client in clients:
            with suppress(ConnectionError):
                while client.recv(1000):  # within the deadline of the connection
                    pass
        server.terminate()
        assert server.wait(30) == 0
    assert len(log.read_text().splitlines()) <= LINES, log.read_text()
