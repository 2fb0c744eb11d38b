"""However a connection ends, the server ends soon, with 0, and leaves no process behind."""

from __future__ import annotations

import signal
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import descendants, process_of
from tests.support.server_process import Server, call, server_of
from tests.wasm.pools import WASM

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tests.support.processes import Process

COMMAND = [sys.executable, "-m", "aca_mcp", "serve"]
STRAY = "subprocess.Popen(['sleep', '600'], start_new_session=True)"
PROGRAMS = {
    "idle": "print('on')",
    "busy": "print('on', flush=True)\nwhile True: pass",
    "stubborn": (
        "import os, signal, subprocess\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        f"{'' if WASM else STRAY}\n"
        "print('on', flush=True)\n"
        "while True:\n"
        "  try:\n"
        "    while True: pass\n"
        "  except BaseException: pass"
    ),
    # It goes on from a copy of itself while the server ends.
    "crashing": (
        "import os, subprocess\n"
        "print('on', flush=True)\n"
        f"{'' if WASM else f'for _ in range(4): {STRAY}'}\n"
        "os._exit(1)"
    ),
}
ENDINGS_BY_PROGRAM = {
    "idle": ("EOF", "SIGTERM"),
    "busy": ("EOF", "SIGINT"),
    "stubborn": ("EOF", "SIGTERM", "SIGINT"),
    "crashing": ("EOF", "SIGTERM"),
}
ENDINGS: dict[str, Callable[[Server], object]] = {
    "EOF": lambda server: server.stdin.close(),
    "SIGTERM": lambda server: server.process.send_signal(signal.SIGTERM),
    "SIGINT": lambda server: server.process.send_signal(signal.SIGINT),
}


@pytest.fixture
def server() -> Generator[Server]:
    with server_of(COMMAND) as started:
        yield started


def assert_prints(server: Server) -> None:
    """Its code is under way: it says so in a notification, or in the result if it ended sooner."""
    answer = server.receive()
    if "result" in answer:
        assert answer["result"]["content"][0]["text"].startswith("on")
    else:
        assert answer["params"]["message"] == "on"


def processes_below(pid: int) -> dict[int, Process]:
    """Each with the time of its start, which tells it from a later one."""
    found = {each: process_of(each) for each in descendants(pid)}
    return {each: told for each, told in found.items() if told is not None}


def alive(processes: dict[int, Process]) -> list[int]:
    now = {pid: process_of(pid) for pid in processes}
    return [
        pid
        for pid, told in now.items()
        if told is not None and told.started == processes[pid].started and told.state != "Z"
    ]


def all_gone(processes: dict[int, Process], within_seconds: float = 2) -> bool:
    end = time.monotonic() + within_seconds
    while alive(processes) and time.monotonic() < end:
        time.sleep(0.01)
    return not alive(processes)


@pytest.mark.parametrize(
    ("program", "ending"),
    [(program, each) for program, endings in ENDINGS_BY_PROGRAM.items() for each in endings],
)
def test_the_server_ends_at_once_and_leaves_nothing(
    server: Server, program: str, ending: str
) -> None:
    server.send(call(1, PROGRAMS[program], progressToken="p"))
    assert_prints(server)
    below = processes_below(server.process.pid)
    assert below
    ENDINGS[ending](server)
    server.ends_soon()
    assert all_gone(below)


@pytest.mark.parametrize("program", ["stubborn", "crashing"])
def test_a_server_that_is_killed_leaves_nothing(server: Server, program: str) -> None:
    server.send(call(1, PROGRAMS[program], progressToken="p"))
    assert_prints(server)
    below = processes_below(server.process.pid)
    server.process.kill()
    assert all_gone(below)


def test_a_server_that_was_never_used_ends_as_soon(server: Server) -> None:
    ENDINGS["SIGINT"](server)
    server.ends_soon()
