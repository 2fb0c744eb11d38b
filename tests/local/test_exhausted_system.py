"""The system has nothing left for the server's own calls: no descriptor, no memory, no thread.

Sessions share some of that with the server, and others of the machine all of it. Whatever call
fails, one caller is told, and everybody else goes on.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import select
import selectors
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from aca_mcp.error_boundary import ErrorBoundary
from aca_mcp.local.pool import open_local_pool
from tests.local.pools import configuration, open_descriptors, result_of, run
from tests.support.foreign_errors import OPERATIONS, broken, told
from tests.support.waiting import until

if TYPE_CHECKING:
    from aca_mcp.local.pool import LocalSessionPool

SHORT_OF = (errno.EMFILE, errno.ENOSPC, errno.ENOMEM)
CALLS: dict[str, tuple[object, str]] = {
    "epoll_create": (select, "epoll"),
    "epoll_ctl": (selectors.EpollSelector, "register"),
    "epoll_ctl, to change": (selectors.EpollSelector, "modify"),
    "poll": (select, "poll"),
    "socketpair": (socket, "socketpair"),
    "pipe": (os, "pipe2"),
    "open": (os, "open"),
    "dup": (os, "dup"),
    "read": (os, "read"),
    "readdir": (os, "listdir"),
    "mkdir": (os, "mkdir"),
    "stat": (os, "stat"),
    "fcntl": (os, "set_blocking"),
    "ioctl": (fcntl, "ioctl"),
}


async def whatever_is_asked(pool: LocalSessionPool) -> None:
    """Each operation works, or says no in a sentence."""
    guarded = ErrorBoundary(pool)
    for operation in OPERATIONS:
        said = await told(guarded, operation)
        assert not said or said.endswith((".", ".]")), said


async def others_went_on(pool: LocalSessionPool) -> None:
    await pool.stop_session("session-1234")
    assert result_of(await run(pool, "neighbour", "kept")) == "41"
    assert await told(ErrorBoundary(pool), "execute") == ""
    await pool.stop_session("session-1234")


@pytest.mark.parametrize("number", SHORT_OF, ids=errno.errorcode.get)
@pytest.mark.parametrize("call", CALLS)
async def test_a_call_that_fails_is_told_to_its_caller_alone(
    pool: LocalSessionPool, call: str, number: int
) -> None:
    await run(pool, "neighbour", "kept = 41")
    before = len(open_descriptors())
    with broken(*CALLS[call], OSError(number, os.strerror(number))):
        await whatever_is_asked(pool)
    await others_went_on(pool)
    await until(lambda: len(open_descriptors()) <= before + 1)


async def test_without_threads_callers_are_told_too(pool: LocalSessionPool) -> None:
    await run(pool, "neighbour", "kept = 41")
    with broken(threading.Thread, "start", RuntimeError("can't start new thread")):
        await whatever_is_asked(pool)
    await others_went_on(pool)


async def test_with_any_number_of_descriptors_left_callers_are_told() -> None:
    """So that each call in turn is the first that fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with open_local_pool(configuration()) as pool:
        await run(pool, "neighbour", "kept = 41")
        highest = max(map(int, open_descriptors()))
        for spare in range(12):
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest + spare, hard))
            try:
                await whatever_is_asked(pool)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            await others_went_on(pool)
