"""Measures what a session's calls take beside another that computes with 60 processes at once.

    python benchmarks/shares.py [--isolation namespaces] [--calls 200]

Each process of the other session makes a terminal session of its own, where it may. The sessions
have checkpoints; calls are 10 ms apart, as of somebody who calls again at once.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import anyio
from measuring import percentile

sys.path.insert(0, str(Path(__file__).parents[1]))

from aca_mcp.local.pool import LocalSessionPool, open_local_pool
from tests.local.pools import configuration

SPINNERS = """
import os
for _ in range(60):
    if os.fork() == 0:
        os.setsid()
        while True: pass
print('spinning')
"""


async def calls(pool: LocalSessionPool, number: int) -> list[float]:
    """How long calls of one session take, in milliseconds."""
    times: list[float] = []
    for _ in range(number):
        began = time.perf_counter()
        await pool.execute("neighbour", "1+1", timeout_seconds=60)
        times.append((time.perf_counter() - began) * 1e3)
        await anyio.sleep(0.01)
    return times


async def measure(isolation: str, number: int) -> None:
    chosen = configuration(isolation=isolation, checkpoints=1, preimport=("numpy",))
    async with open_local_pool(chosen) as pool:
        await calls(pool, 20)
        quiet = await calls(pool, number)
        started = await pool.execute("attacker", SPINNERS, timeout_seconds=60)
        assert started.stdout.text == "spinning\n", started
        await anyio.sleep(1)
        loud = await calls(pool, number)
        await pool.stop_session("attacker")
    medians = percentile(quiet, 50), percentile(loud, 50)
    print(
        f"| {isolation} | {medians[0]:.1f} ms | {medians[1]:.1f} ms | "
        f"{medians[1] / medians[0]:.1f} | {percentile(loud, 95):.1f} ms |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--isolation", default="namespaces")
    parser.add_argument("--calls", type=int, default=200)
    chosen = parser.parse_args()
    anyio.run(measure, chosen.isolation, chosen.calls)


if __name__ == "__main__":
    main()
