"""Opens a pool, runs one piece of code in a session, says so, and waits to be killed.

``python pool_program.py TIER CODE``
"""

from __future__ import annotations

import sys

import anyio

from tests.hostile.arena import open_arena


async def main(tier: str, code: str) -> None:
    async with open_arena(tier) as arena:
        execution = await arena.pool.execute("attacker", code, timeout_seconds=20)
        sys.stdout.write(f"{execution.status.value} {execution.stdout.text}")
        sys.stdout.flush()
        await anyio.sleep(60)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2])
