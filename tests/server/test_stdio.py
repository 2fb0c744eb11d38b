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

from tests.support.server_process import (
    INITIALIZE,
    SOON_SECONDS,
    Server,
    call,
    line,
    process,
    server_of,
)

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

COMMAND = [sys.executable, "-m", "tests.server.toy_server"]


@pytest.fixture
def server() -> Generator[Server]:
    """A server that the test ends."""
    with server_of(COMMAND) as started:
        yield started


@pytest.fixture(scope="module")
def lasting() -> Generator[Server]:
    """One for all tests after which it goes on."""
    with server_of(COMMAND) as started:
        yield started


def test_messages_in_pieces_in_bunches_and_large_ones_are_read_and_answered(
    lasting: Server,
) -> None:
    for byte in line(call(1, "1 + 1")):
        lasting.stdin.write(bytes([byte]))
        lasting.stdin.flush()
    assert lasting.text() == "2"
    lasting.send(call(2, "2"), call(3, "3"))
    assert {lasting.text(), lasting.text()} == {"2", "3"}
    lasting.send(call(4, f"x = {'y' * 500_000!r}; print('z' * 30_000)"))
    assert lasting.text() == "z" * 30_000


def test_what_is_no_message_does_not_end_the_connection(lasting: Server) -> None:
    lasting.stdin.write(b"\n\xff\xfe{]\n{}\n")
    lasting.send(call(1, "'still here'"))
    assert lasting.text() == "'still here'"
    lasting.stdin.write(line(call(2, "'half'")).replace(b"half", b"\\ud83d"))
    lasting.send()
    assert lasting.text() == "'?'"


def test_nothing_that_prints_or_reads_reaches_the_protocol(lasting: Server) -> None:
    lasting.send(call(1, "import os; os.write(1, b'noise')"), call(2, "os.read(0, 100)"))
    assert lasting.text() == "5"
    assert lasting.text() == "b''"


def test_a_client_that_does_not_read_does_not_keep_the_server(server: Server) -> None:
    fcntl.fcntl(server.stdout, fcntl.F_SETPIPE_SZ, select.PIPE_BUF)
    server.send(call(1, "print('x' * 39_000)"), call(2, "2"))
    assert server.stdout.read(1) == b"{"  # so the rest of the answer does not fit
    server.process.send_signal(signal.SIGTERM)
    server.ends_soon()


def test_answers_stay_whole_for_a_client_that_reads_slowly_and_cancels(server: Server) -> None:
    fcntl.fcntl(server.stdout, fcntl.F_SETPIPE_SZ, select.PIPE_BUF)
    calls = [call(number, f"print('{number}' * 30_000)") for number in range(1, 6)]
    server.send(*calls)
    assert server.stdout.read(1) == b"{"  # so the first is half written, and the others wait
    cancelled = {"method": "notifications/cancelled", "params": {"requestId": 1}}
    server.send({"jsonrpc": "2.0", **cancelled}, call(6, "6"))
    first = json.loads(b"{" + server.stdout.readline())
    texts = {first["id"]: first["result"]["content"][0]["text"]}
    while 6 not in texts:
        answer = server.receive()
        texts[answer["id"]] = answer["result"]["content"][0]["text"]
    assert texts == {**{number: str(number) * 30_000 for number in range(1, 6)}, 6: "6"}


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
