"""What is measured of a session is held against what was measured."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from aca_mcp.local import usage
from tests.local.pools import (
    MEBIBYTE,
    copied,
    new_identifier,
    pool_with_checkpoints,
    result_of,
    run,
)

if TYPE_CHECKING:
    from aca_mcp.pool import OutputChunk

CRASHES = {
    "memory": (
        "hoard = []\nfor _ in range(130): hoard.append(b'x' * (2 << 20)); time.sleep(0.01)\n"
        "os._exit(1)"
    ),
    "processes": (
        "try:\n    for _ in range(80): os.fork() or time.sleep(60)\nexcept OSError: pass\n"
        "time.sleep(0.3); os._exit(1)"
    ),
}


@pytest.mark.parametrize("how", CRASHES)
async def test_what_code_took_that_crashed_meanwhile_does_not_end_the_next(how: str) -> None:
    """As on a machine so busy that a measurement is there when what it is of is gone."""
    next_runs = threading.Event()

    def of_processes(pid: int, **options: bool) -> usage.Usage:
        found = usage.measure(pid, **options)
        if found.processes > 70:
            next_runs.wait(15)
        return found

    def of_memory(pid: int, seconds: float) -> tuple[int, bool]:
        found = usage.measure_exactly(pid, seconds)
        if found[0] > 256 * MEBIBYTE:
            next_runs.wait(15)
        return found

    def heard(_: OutputChunk) -> None:
        next_runs.set()

    slow = usage.Measurements(quick=of_processes, exact=of_memory)
    async with pool_with_checkpoints("namespaces", slow) as pool:
        identifier = new_identifier()
        await run(pool, identifier, "import os, time; kept = 7")
        await copied(pool, identifier)
        crashed = await run(pool, identifier, CRASHES[how])
        assert crashed.rollback is not None
        code = "print('on', flush=True); time.sleep(1); kept"
        after = await run(pool, identifier, code, on_output=heard)
        assert after.rollback is None, after.rollback
        assert result_of(after) == "7"
