"""A server process over stdio by its bytes, where a client library would hide what matters."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

ROOT = Path(__file__).parents[2]
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
SOON_SECONDS = 30
"""Hosts allow about two; the machines that run tests are slower."""
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}


def call(number: int, code: str, **meta: Any) -> dict[str, Any]:
    params = {"name": "execute_python", "arguments": {"code": code}, "_meta": meta}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


def line(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"


class Server:
    """A server process, past its handshake."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process = process
        self.stdin: IO[bytes] = process.stdin
        self.stdout: IO[bytes] = process.stdout

    def send(self, *messages: dict[str, Any]) -> None:
        self.stdin.write(b"".join(map(line, messages)))
        self.stdin.flush()

    def receive(self) -> dict[str, Any]:
        return json.loads(self.stdout.readline())

    def text(self) -> str:
        return self.receive()["result"]["content"][0]["text"]

    def shake_hands(self) -> None:
        """Do as a client of the handshake era does first."""
        self.send(INITIALIZE)
        assert self.receive()["id"] == 0
        self.send(INITIALIZED)

    def ends_soon(self) -> None:
        """The process exits with 0."""
        assert self.process.wait(SOON_SECONDS) == 0


@contextmanager
def process(
    command: Sequence[str], stdin: int | IO[bytes] = subprocess.PIPE
) -> Generator[subprocess.Popen[bytes]]:
    """Start a server in the root of the repository; kill it where it has not ended."""
    with subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, cwd=ROOT) as started:
        try:
            yield started
        finally:
            started.kill()


@contextmanager
def server_of(command: Sequence[str]) -> Generator[Server]:
    """The same, past its handshake."""
    with process(command) as started:
        server = Server(started)
        server.shake_hands()
        yield server
