"""The stdio transport by its bytes: what it reads and writes, and how it ends."""

from __future__ import annotations

import fcntl
import json
import select
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.server_process import INITIALIZE, SOON_SECONDS, Server, call, line, process

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

COMMAND = [sys.executable, "-m", "tests.server.toy_server"]
NEVER_ENDS = "print('on'); import anyio; await anyio.sleep(600)"


@pytest.fixture
def server() -> Generator[Server]:
    with process(COMMAND) as started:
        shaken = Server(started)
        shaken.shake_hands()
        yield shaken


def test_messages_in_pieces_in_bunches_and_large_ones_are_read_and_answered(
    server: Server,
) -> None:
    for byte in line(call(1, "1 + 1")):
        server.stdin.write(bytes([byte]))
        server.stdin.flush()
    assert server.text() == "2"
    server.send(call(2, "2"), call(3, "3"))
    assert {server.text(), server.text()} == {"2", "3"}
    server.send(call(4, f"x = {'y' * 500_000!r}; print('z' * 30_000)"))
    assert server.text() == "z" * 30_000


def test_what_is_no_message_does_not_end_the_connection(server: Server) -> None:
    server.stdin.write(b"\n\xff\xfe{]\n{}\n")
    server.send(call(1, "'still here'"))
    assert server.text() == "'still here'"
    server.stdin.write(line(call(2, "'half'")).replace(b"half", b"\\ud83d"))
    server.send()
    assert server.text() == "'?'"


def test_nothing_that_prints_or_reads_reaches_the_protocol(server: Server) -> None:
    server.send(call(1, "import os; os.write(1, b'noise')"), call(2, "os.read(0, 100)"))
    assert server.text() == "5"
    assert server.text() == "b''"


@pytest.mark.parametrize("code", [None, NEVER_ENDS])
def test_the_end_of_stdin_ends_the_server(server: Server, code: str | None) -> None:
    if code is not None:
        server.send(call(1, code, progressToken="p"))
        assert server.receive()["params"]["message"] == "on"
    server.stdin.close()
    server.ends_soon()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("code", [None, NEVER_ENDS])
def test_a_signal_ends_the_server_while_stdin_is_open(
    server: Server, number: signal.Signals, code: str | None
) -> None:
    if code is not None:
        server.send(call(1, code, progressToken="p"))
        assert server.receive()["params"]["message"] == "on"
    server.process.send_signal(number)
    server.ends_soon()


def test_a_client_that_does_not_read_does_not_keep_the_server(server: Server) -> None:
    fcntl.fcntl(server.stdout, fcntl.F_SETPIPE_SZ, select.PIPE_BUF)
    server.send(call(1, "print('x' * 39_000)"), call(2, "2"))
    assert server.stdout.read(1) == b"{"  # so the rest of the answer does not fit
    server.process.send_signal(signal.SIGTERM)
    server.ends_soon()


def test_a_client_that_left_altogether_ends_the_server(server: Server) -> None:
    server.stdout.close()
    server.send(call(1, "1"))
    server.stdin.close()
    server.ends_soon()


def test_stdin_may_be_empty_a_file_or_a_socket(tmp_path: Path) -> None:
    with process(COMMAND, subprocess.DEVNULL) as started:
        assert started.communicate(timeout=10) == (b"", None)
        assert started.returncode == 0
    (tmp_path / "messages").write_bytes(line(INITIALIZE))
    with (tmp_path / "messages").open("rb") as file, process(COMMAND, file) as started:
        answer, _ = started.communicate(timeout=10)
        assert json.loads(answer)["result"]["serverInfo"]["name"] == "aca-mcp"
        assert started.returncode == 0
    ours, theirs = socket.socketpair()
    with ours, theirs, process(COMMAND, theirs.fileno()) as started:
        theirs.close()
        ours.sendall(line(INITIALIZE))
        assert started.stdout is not None
        assert json.loads(started.stdout.readline())["id"] == 0
        ours.shutdown(socket.SHUT_WR)
        assert started.wait(SOON_SECONDS) == 0
