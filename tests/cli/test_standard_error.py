"""A server whose standard error nobody reads."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress

import pytest

from aca_mcp.cli.standard_error import UnblockedStream
from tests.support.server_process import ROOT, Server, call
from tests.support.session_settings import plain_environment

SENTENCE = "what a server says, " * 5
TALKATIVE = """
import sys, threading
from aca_mcp.cli import main
from aca_mcp.cli.standard_error import UnblockedStream

def talk():
    while not isinstance(sys.stderr, UnblockedStream): pass
    for number in range(3000): sys.stderr.write(f"{number} {'x' * 1000}\\n")

threading.Thread(target=talk).start()
sys.exit(main(["serve"]))
"""
"""A server beside something that says three megabytes as soon as it serves."""


@pytest.mark.parametrize(
    ("command", "settings"),
    [
        (
            ["serve", "--transport", "http"],
            {"ACA_MCP_AUTH_TOKENS": "ann=" + "a" * 40, "ACA_MCP_LOG_LEVEL": "info"},
        ),
        (["emulator"], {}),
    ],
)
def test_a_server_whose_log_nobody_reads_goes_on_and_ends(
    command: list[str], settings: dict[str, str]
) -> None:
    """What it logs first finds no place, and so nothing that it logs does."""
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "aca_mcp", *command, "--port", "0"],
        stderr=writer,
        cwd=ROOT,
        env={**plain_environment(), **settings},
    )
    try:
        said = b""
        while not (found := re.search(rb" at http://127.0.0.1:([0-9]+)", said)):
            said += os.read(reader, 1000)
        port = int(found[1])
        fill(writer)
        for sent in (b"no HTTP\r\n\r\n", b"GET /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n") * 5:
            with socket.create_connection(("127.0.0.1", port), 30) as client:
                client.sendall(sent)
                assert client.recv(1000).startswith(b"HTTP/1.1 4")
        process.terminate()
        assert process.wait(30) == 0
    finally:
        process.kill()
        os.close(reader)
        os.close(writer)


def test_a_client_over_stdio_that_never_reads_what_is_said_is_served() -> None:
    """What waits to be read is what the pipe holds and 256 KiB; that more was said is told."""
    reader, writer = os.pipe()
    with (
        subprocess.Popen(
            [sys.executable, "-c", TALKATIVE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=writer,
            cwd=ROOT,
            env={**plain_environment(), "ACA_MCP_LOCAL_PREIMPORT": ""},
        ) as process,
        ExitStack() as ours,
    ):
        ours.callback(os.close, reader)
        ours.callback(process.kill)
        os.close(writer)
        server = Server(process)
        server.shake_hands()
        for number in range(1, 4):
            server.stdin.write(b"what is no message, and said to be none\n")
            server.send(call(number, f"{number} * 7"))
            assert server.text() == str(number * 7)
        said = b""
        while b"left out here" not in said:
            said += os.read(reader, 1 << 16)
        assert 200_000 < len(said) < 64 * 1024 + 256 * 1024 + 4096
        server.stdin.close()
        server.ends_soon()


def fill(pipe: int) -> None:
    os.set_blocking(pipe, False)
    with suppress(BlockingIOError):
        while True:
            os.write(pipe, b"x" * 4096)
    with suppress(BlockingIOError):
        while True:
            os.write(pipe, b"x")
    os.set_blocking(pipe, True)


def test_what_is_read_late_is_whole_or_says_how_much_is_missing() -> None:
    reader, writer = os.pipe()
    stream = UnblockedStream(writer)
    for number in range(10_000):
        stream.write(f"{number} {SENTENCE}\n")
    stream.drain(seconds=0)
    got = b""
    while b"left out" not in got:
        got += os.read(reader, 1 << 16)
    stream.write("and on\n")
    while b"and on" not in got:
        got += os.read(reader, 1 << 16)
    *lines, last = got.decode().splitlines()
    assert last == "and on"
    told = 0
    for line in lines:
        if "left out" in line:
            told += int(line.split()[1].replace(",", ""))
        else:
            assert line == f"{told} {SENTENCE}"
            told += 1
    assert told == 10_000
    os.close(reader)
    stream.write("to nobody\n")
    stream.drain(seconds=30)
    os.close(writer)


def test_a_pipe_that_its_maker_wants_unblocked_is_waited_for() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    stream = UnblockedStream(writer)
    stream.write("x" * 200_000)
    got = 0
    while got < 200_000:
        got += len(os.read(reader, 1 << 16))
    stream.drain(seconds=30)
    os.close(reader)
    os.close(writer)
