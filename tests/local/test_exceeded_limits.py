"""What a session may use: each refusal names the figure, the limit and the setting."""

from __future__ import annotations

import pytest

from aca_mcp.embedded.machine_memory import default_memory_mib, share_of
from aca_mcp.local.exceeded_limits import (
    MAX_CHANNELS,
    MAX_EVENT_QUEUES,
    Limits,
    too_many,
    with_hint,
)
from aca_mcp.local.usage import Usage
from aca_mcp.pool import ExecutionError

MEBIBYTE = 2**20
LIMITS = Limits(2048 * MEBIBYTE, 512 * MEBIBYTE, processes=128, threads=2048)


@pytest.mark.parametrize(
    ("usage", "why"),
    [
        (Usage(2048 * MEBIBYTE, 128, 2048, MAX_CHANNELS, MAX_EVENT_QUEUES), None),
        (
            Usage(0, 1500, 1500),
            (
                "it had 1,500 processes at once, more than its limit of 128 "
                "(ACA_MCP_LOCAL_MAX_PROCESSES)"
            ),
        ),
        (
            Usage(0, 1, 1, MAX_CHANNELS + 1),
            "it had 1,025 sockets and pipes open at once, more than the limit of 1,024",
        ),
        (
            Usage(0, 1, 1, 0, MAX_EVENT_QUEUES + 1),
            "it had 129 epoll instances at once, more than the limit of 128",
        ),
    ],
)
def test_what_is_too_much_is_said_with_its_figure(usage: Usage, why: str | None) -> None:
    assert too_many(usage, LIMITS) == why


def test_memory_and_disk_are_said_so_too_and_so_is_a_kill_by_the_system() -> None:
    assert LIMITS.memory(2049 * MEBIBYTE) == (
        "it used 2,049 MiB of memory, more than its limit of 2,048 MiB (ACA_MCP_LOCAL_MEMORY_MIB)"
    )
    assert LIMITS.memory() == (
        "it used more than its limit of 2,048 MiB of memory (ACA_MCP_LOCAL_MEMORY_MIB)"
    )
    assert LIMITS.disk(600.4 * MEBIBYTE) == (
        "it used 600 MiB of disk, more than its limit of 512 MiB of disk (ACA_MCP_LOCAL_DISK_MIB)"
    )
    assert LIMITS.disk(float("inf")).startswith("it used too many files, more than")


@pytest.mark.parametrize(
    ("name", "message", "setting"),
    [
        ("MemoryError", "", "ACA_MCP_LOCAL_MEMORY_MIB"),
        ("_ArrayMemoryError", "Unable to allocate 72.8 TiB", "ACA_MCP_LOCAL_MEMORY_MIB"),
        ("OSError", "[Errno 12] Cannot allocate memory", "ACA_MCP_LOCAL_MEMORY_MIB"),
        ("OSError", "[Errno 28] No space left on device", "ACA_MCP_LOCAL_DISK_MIB"),
        ("OSError", "[Errno 27] File too large", "ACA_MCP_LOCAL_DISK_MIB"),
        ("RuntimeError", "can't start new thread", "ACA_MCP_LOCAL_MAX_THREADS"),
        ("BlockingIOError", "[Errno 11] Resource temporarily unavailable", "MAX_PROCESSES"),
        ("OSError", "[Errno 24] Too many open files", "640 files"),
    ],
)
def test_an_error_that_comes_of_a_limit_names_it(name: str, message: str, setting: str) -> None:
    hinted = with_hint(ExecutionError(name, message, f"Traceback\n{name}: {message}"), LIMITS)
    assert hinted.message.startswith(message)
    assert setting in hinted.message
    assert setting in hinted.traceback


def test_other_errors_are_left_alone() -> None:
    error = ExecutionError("ValueError", "28 is wrong", "Traceback")
    assert with_hint(error, LIMITS) is error


@pytest.mark.parametrize(
    ("total_mib", "groups", "share"),
    [
        (16_384, [], 4096),
        (131_072, [], 8192),
        (65_536, ["max\n"], 8192),
        (65_536, [f"{4096 * MEBIBYTE}\n"], 1024),
        (1024, [], 512),
    ],
)
def test_memory_is_a_quarter_of_the_machines_where_nobody_has_set_it(
    total_mib: int, groups: list[str], share: int
) -> None:
    """Of the container's, where that has less; never more than 8 GiB, nor less than work needs."""
    assert share_of(total_mib * 2**20, groups) == share


def test_this_machine_has_a_share_to_give() -> None:
    assert 512 <= default_memory_mib() <= 8192
