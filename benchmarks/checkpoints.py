"""Measures what checkpoints cost a local pool, and what they save: with them and without, in turn.

python benchmarks/checkpoints.py [--calls 1000] [--sessions 1 50 200]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
from measuring import descendants, kilobytes, median, percentile

sys.path.insert(0, str(Path(__file__).parents[1]))

from aca_mcp.local.pool import LocalSessionPool, open_local_pool
from aca_mcp.pool import Execution  # noqa: TC001 -- a program
from tests.local.pools import configuration, new_identifier

GIBIBYTE = 2**30


class Session:
    """One session of a pool."""

    def __init__(self, pool: LocalSessionPool) -> None:
        self.pool = pool
        self.identifier = new_identifier()

    async def run(self, code: str) -> Execution:
        return await self.pool.execute(self.identifier, code, timeout_seconds=60)

    async def timed(self, code: str) -> float:
        started = time.perf_counter()
        await self.run(code)
        return (time.perf_counter() - started) * 1e3


def row(what: str, without: float, with_: float, unit: str) -> None:
    print(f"| {what} | {without:.2f} {unit} | {with_:.2f} {unit} |", flush=True)


async def warm_calls(calls: int) -> None:
    """Paired, call by call: at once, and with less and more time in between than a copy waits."""
    async with AsyncExitStack() as stack:
        sessions = [Session(await open_pool(stack, checkpoints)) for checkpoints in (0, 1)]
        for session in sessions:
            for _ in range(50):
                await session.run("1+1")
        for think, number in ((0.0, calls), (0.05, calls // 5), (0.6, 40), (5.0, 8)):
            times: list[list[float]] = [[], []]
            for turn in range(number + 5):
                for index, session in enumerate(sessions):
                    took = await session.timed("1+1")
                    if turn >= 5:
                        times[index].append(took)
                await anyio.sleep(think)
            how = f"`1+1`, {f'{think * 1e3:.0f} ms apart' if think else 'at once again'}"
            row(f"{how}, p50", *(percentile(each, 50) for each in times), "ms")
            row(f"{how}, p95", *(percentile(each, 95) for each in times), "ms")


async def memory(counts: list[int]) -> None:
    """What an idle session adds to the memory of all processes, and what it has alone."""
    for count in counts:
        shown: list[tuple[float, float]] = []
        for checkpoints in (0, 1):
            async with AsyncExitStack() as stack:
                pool = await open_pool(stack, checkpoints)
                await pool.metadata()  # the template has imported everything
                sessions = [Session(pool) for _ in range(count)]
                before = {*descendants(os.getpid())}
                pss_before = sum(kilobytes(pid, "smaps_rollup", "Pss") for pid in before)
                for session in sessions:
                    await session.run("x = 1")
                await anyio.sleep(3)
                there = {*descendants(os.getpid())}
                pss = sum(kilobytes(pid, "smaps_rollup", "Pss") for pid in there) - pss_before
                private = sum(
                    kilobytes(pid, "smaps_rollup", "Private_Dirty") for pid in there - before
                )
                shown.append((pss / count / 1024, private / count / 1024))
        (pss, private), (pss_with, private_with) = shown
        row(f"what each of {count} idle sessions adds", pss, pss_with, "MiB")
        row("of that in its processes alone", private, private_with, "MiB")


async def large_state() -> None:
    """With 1 GiB of arrays: calls, and how long until the next one after a crash."""
    async with AsyncExitStack() as stack:
        sessions = [Session(await open_pool(stack, checkpoints)) for checkpoints in (0, 1)]
        times: list[list[float]] = [[], []]
        for session in sessions:
            await session.run("data = bytearray(b'a') * (1 << 30)")
        for turn in range(60):
            for index, session in enumerate(sessions):
                took = await session.timed("len(data)")
                if turn >= 10:
                    times[index].append(took)
                await anyio.sleep(0.05)
        row("`len(data)` with 1 GiB of state, p50", *map(median, times), "ms")
        recovery: list[float] = []
        for _ in range(20):
            await anyio.sleep(0.6)
            started = time.perf_counter()
            crashed = await sessions[1].run("import os; os._exit(1)")
            value = await sessions[1].run("len(data)")
            recovery.append((time.perf_counter() - started) * 1e3)
            assert crashed.rollback is not None
            assert value.error is None
        took = median(recovery)
        print(f"| a crash, and the next call, with 1 GiB of state | lost | {took:.1f} ms |")


async def open_pool(stack: AsyncExitStack, checkpoints: int) -> LocalSessionPool:
    chosen = configuration(
        checkpoints=checkpoints,
        preimport=("numpy", "pandas", "matplotlib.pyplot"),
        max_concurrent_sessions=1000,
        memory_bytes=4 * GIBIBYTE,
    )
    return await stack.enter_async_context(open_local_pool(chosen))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--sessions", type=int, nargs="*", default=[1, 50, 200])
    chosen = parser.parse_args()
    print("| | without | with |\n| --- | --- | --- |")
    anyio.run(warm_calls, chosen.calls)
    anyio.run(memory, chosen.sessions)
    anyio.run(large_state)


if __name__ == "__main__":
    main()
