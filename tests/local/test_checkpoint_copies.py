"""Memory that code needs is given back by the copies that have it, however long they take."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from aca_mcp.local.checkpoint_copies import KEEPER, Checkpoint, Leaving
from aca_mcp.local.pool import open_local_pool
from tests.local.pools import (
    MEBIBYTE,
    Started,
    are_fresh,
    configuration,
    copied,
    new_identifier,
    result_of,
    run,
)
from tests.support.processes import descendants
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aca_mcp.pool import Execution

FILL = "data = bytearray(b'a') * (300 << 20)"
CHANGE = """
import time
for start in range(0, len(data), 1 << 20):
    data[start : start + (1 << 20)] = b'b' * (1 << 20)
print('changed', flush=True)
time.sleep({seconds}); len(data), data[0], data[-1]
"""


def unharmed(changed: Execution) -> bool:
    """Whether code went on to its end, and nothing was lost."""
    assert changed.session_lost is None, changed.session_lost
    assert changed.rollback is None, changed.rollback
    return result_of(changed) == f"({300 << 20}, 98, 98)"


async def test_memory_that_the_code_needs_is_taken_from_checkpoints() -> None:
    """Each of the two would fit alone, and code must not notice that there are both."""
    async with open_local_pool(configuration(checkpoints=1, memory_bytes=512 * MEBIBYTE)) as pool:
        session = new_identifier()
        await run(pool, session, FILL)
        await copied(pool, session)
        assert unharmed(await run(pool, session, CHANGE.format(seconds=1.5), timeout=50))
        assert result_of(await run(pool, session, "data.count(b'b') == len(data)")) == "True"


async def test_code_does_not_pay_for_a_copy_that_is_slow_to_give_its_memory_back() -> None:
    """As on a machine that has much else to do."""
    strangers = descendants()
    async with open_local_pool(configuration(checkpoints=1, memory_bytes=512 * MEBIBYTE)) as pool:
        session = new_identifier()
        await run(pool, session, FILL)
        inner_pids = (await copied(pool, session)).pids
        copies = list(found_in(descendants(without=strangers), inner_pids))
        assert copies
        for pid in copies:
            os.kill(pid, signal.SIGSTOP)
        started = Started()
        changed: list[Execution] = []

        async def change() -> None:
            code = CHANGE.format(seconds=4)
            changed.append(await run(pool, session, code, timeout=50, on_output=started))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(change)
            with anyio.fail_after(40):
                await started.event.wait()
            await anyio.sleep(2)  # several measurements
            for pid in copies:
                os.kill(pid, signal.SIGCONT)
        assert unharmed(changed[0])


def found_in(processes: set[int], inner_pids: list[int]) -> Iterator[int]:
    """Those of some processes that are called by these numbers in their namespace."""
    for pid in processes:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("NSpid:") and int(line.split()[-1]) in inner_pids:
                yield pid


@pytest.fixture
def pairs() -> Iterator[list[tuple[Checkpoint, socket.socket]]]:
    """Copies, each with the end that its process would have."""
    with ExitStack() as stack:
        made: list[tuple[Checkpoint, socket.socket]] = []
        for pid in range(1, 101):
            ours, theirs = socket.socketpair()
            stack.enter_context(ours)
            stack.enter_context(theirs)
            made.append((Checkpoint(pid, 1, ours), theirs))
        yield made


def test_a_copy_leaves_until_it_has_closed_its_connection_whatever_it_has_said(
    pairs: list[tuple[Checkpoint, socket.socket]],
) -> None:
    leaving = Leaving()
    (one, end), (other, other_end), *_ = pairs
    leaving.add(KEEPER, 0)
    for each in (one, other):
        leaving.add(each, 0)
    assert leaving.pids(1) == [1, 2]
    assert end.recv(1) == b""  # it is told
    end.send(b"something")
    assert leaving.pids(1) == [1, 2]
    end.close()
    assert leaving.pids(1) == [2]
    other_end.close()
    assert leaving.pids(1) == []


def test_checkpoint_copies_that_never_leave_count_as_none_in_the_end_however_many_there_are(
    pairs: list[tuple[Checkpoint, socket.socket]],
) -> None:
    """As what code says is one, and is not."""
    leaving = Leaving()
    for second, (each, _) in enumerate(pairs):
        leaving.add(each, second / 10)
    assert 0 < len(leaving.pids(10)) < 50
    assert leaving.pids(20) == []
    open_ones = sum(
        each.connection is not None and each.connection.fileno() >= 0 for each, _ in pairs
    )
    assert open_ones < 50
    leaving.close()


async def test_a_copy_that_is_made_again_takes_the_place_of_the_last() -> None:
    """In an idle session, to share memory that was copied ahead; an undo is one execution."""
    async with open_local_pool(configuration(checkpoints=1)) as pool:
        session = new_identifier()
        for value in range(3):
            await run(pool, session, f"x = {value}")
            await copied(pool, session)
        checkpoints = await copied(pool, session)
        before = checkpoints.newest()
        assert before is not None
        await until(lambda: are_fresh(checkpoints) and checkpoints.newest() != before, 60)
        assert before.pid not in checkpoints.pids
        crashed = await run(pool, session, "x = 9; import os; os._exit(1)")
        assert crashed.rollback is not None
        assert crashed.rollback.executions == 1
        assert result_of(await run(pool, session, "x")) == "2"
        await run(pool, session, "x = 4")
        await pool.undo(session)
        assert result_of(await run(pool, session, "x")) == "2"
