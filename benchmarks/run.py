"""Measures what a pool of this machine costs, beside a bare SDK server in the same run.

    [ACA_MCP_POOL=wasm] python benchmarks/run.py [LETTER ...]

Prints a table and writes ``benchmarks/results/local.json``, or ``wasm.json``. Quote ratios rather
than times: both sides of each are measured in turn, so that they hold when the machine's speed
drifts.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from measuring import (
    BARE,
    OURS,
    call,
    connect,
    descendants,
    kilobytes,
    median,
    percentile,
)

from aca_mcp.pools import open_session_pool
from aca_mcp.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from mcp import Client

    from aca_mcp.pool import SessionPool

POOL = load_settings().pool_kind
RESULTS = Path(__file__).with_name("results") / f"{POOL}.json"
IDLE_SESSIONS = (1, 10) if POOL == "wasm" else (1, 10, 50, 200)
UNTIL_IDLE_SECONDS = 6
"""After which sessions that nobody calls have made their copies."""
IMPORTS = "import numpy, pandas, matplotlib.pyplot\nprint(numpy.arange(3).sum())"


@dataclass
class Row:
    """One line of the table."""

    letter: str
    what: str
    value: float
    unit: str
    target: str = ""


async def first_result() -> list[Row]:
    """(a) Process start to the first result."""
    ours, bare = [], []
    for _ in range(12):
        started = time.perf_counter()
        async with connect(BARE) as client:
            await call(client, "noop")
            bare.append(time.perf_counter() - started)
        started = time.perf_counter()
        async with connect(OURS) as client:
            await call(client, "execute_python", code="print(1)")
            ours.append(time.perf_counter() - started)
    ratio = median(a / b for a, b in zip(ours, bare, strict=True))
    return [
        Row("a", "start to first print(1)", median(ours) * 1e3, "ms p50"),
        Row("a", "start to first no-op, bare server", median(bare) * 1e3, "ms p50"),
        Row("a", "ratio, pair by pair", ratio, "x", "<= 1.25"),
    ]


async def warm_call() -> list[Row]:
    """(b) A warm call."""
    ours, bare = [], []
    async with connect(OURS) as client, connect(BARE) as yardstick:
        for number in range(600):
            started = time.perf_counter()
            await call(yardstick, "noop")
            between = time.perf_counter()
            await call(client, "execute_python", code="1+1")
            if number >= 100:
                bare.append(between - started)
                ours.append(time.perf_counter() - between)
    rows = []
    for percent in (50, 95):
        a, b = percentile(ours, percent), percentile(bare, percent)
        rows += [
            Row("b", f"warm 1+1, p{percent}", a * 1e3, "ms"),
            Row("b", f"no-op of the bare server, p{percent}", b * 1e3, "ms"),
            Row("b", f"ratio of p{percent}", a / b, "x", "<= 1.5"),
        ]
    return rows


async def new_session() -> list[Row]:
    """(c) The first result of a further session, libraries imported."""
    rows = []
    for ready, target in ((0, "<= 20"), (1, "<= 5")):
        times = []
        async with connect(
            OURS, local_ready_sessions=ready, local_max_concurrent_sessions=100
        ) as client:
            await call(client, "execute_python", code=IMPORTS)
            await anyio.sleep(3)  # the template goes on importing behind the first result
            for _ in range(30):
                text = await call(client, "start_session")
                handle = next(word.strip(".,`'\"") for word in text.split() if "ses_" in word)
                started = time.perf_counter()
                await call(client, "execute_python", code=IMPORTS, session=handle)
                times.append(time.perf_counter() - started)
                await anyio.sleep(0.15)  # for the next ready one
        name = "a ready session" if ready else "no ready session left"
        first = median(times) * 1e3
        rows.append(Row("c", f"new session's first result, {name}", first, "ms p50", target))
        rows.append(Row("c", f"the same, p95, {name}", percentile(times, 95) * 1e3, "ms"))
    return rows


async def idle_memory() -> list[Row]:
    """(d) What an idle session costs."""
    rows = []
    settings = load_settings({"local_max_concurrent_sessions": "300", "local_ready_sessions": "0"})
    async with open_session_pool(settings) as pool:
        await warm(pool)
        helpers = set(descendants(os.getpid()))
        helpers -= {max(helpers)}  # the session of the warm-up
        await pool.stop_session("warm-up")
        live = 0
        for count in IDLE_SESSIONS:
            while live < count:
                await pool.execute(f"session-{live}", "1+1", timeout_seconds=60)
                live += 1
            await anyio.sleep(UNTIL_IDLE_SECONDS)
            sessions = [pid for pid in descendants(os.getpid()) if pid not in helpers]
            # A session is several processes: its keeper, what runs code, and copies of that.
            private = sum(
                kilobytes(pid, "smaps_rollup", "Private_Clean", "Private_Dirty") for pid in sessions
            )
            shared = sum(kilobytes(pid, "smaps_rollup", "Pss") for pid in sessions)
            rows += [
                Row(
                    "d",
                    f"private memory of a session, {count} idle",
                    private / count / 1024,
                    "MiB",
                    "<= 8",
                ),
                Row("d", f"proportional (PSS), {count} idle", shared / count / 1024, "MiB"),
            ]
    return rows


async def flood() -> list[Row]:
    """(e) A gigabyte printed."""
    async with connect(OURS) as client:
        await call(client, "execute_python", code="print(1)")
        server = next(pid for pid in descendants(os.getpid()) if is_server(pid))
        before = kilobytes(server, "status", "VmHWM")
        started = time.perf_counter()
        code = "line = 'x' * 99_999\nfor _ in range(10_000): print(line)"
        await call(client, "execute_python", code=code, timeout_seconds=120)
        seconds = time.perf_counter() - started
        growth = (kilobytes(server, "status", "VmHWM") - before) / 1024
    return [
        Row("e", "1 GB printed", seconds, "s"),
        Row("e", "the same, rate", 1000 / seconds, "MB/s"),
        Row("e", "server's peak memory grew by", growth, "MiB", "<= 32"),
    ]


def is_server(pid: int) -> bool:
    return b"aca_mcp\0serve" in Path(f"/proc/{pid}/cmdline").read_bytes()


async def transfer() -> list[Row]:
    """(f) 100 MiB up and down through the port."""
    size, chunk = 100 * 2**20, bytes(2**20)

    async def content() -> AsyncIterator[bytes]:
        for _ in range(size // len(chunk)):
            yield chunk

    up, down = [], []
    async with open_session_pool(load_settings()) as pool:
        await warm(pool)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(7):
            started = time.perf_counter()
            await pool.upload_file("warm-up", "big.bin", content())
            up.append(time.perf_counter() - started)
            started = time.perf_counter()
            async with pool.download_file("warm-up", "big.bin") as download:
                received = 0
                async for data in download.chunks:
                    received += len(data)
            down.append(time.perf_counter() - started)
            if received != size:
                raise RuntimeError("the file came back with another size")
        growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return [
        Row("f", "100 MiB up", size / 1e6 / median(up), "MB/s", ">= 300"),
        Row("f", "100 MiB down", size / 1e6 / median(down), "MB/s", ">= 300"),
        Row("f", "peak memory grew by", growth, "MiB", "constant"),
    ]


async def crowd() -> list[Row]:
    """(g) 50 sessions executing at once."""
    codes = {
        "computes 10 ms, waits 100 ms": "import time; time.sleep(0.1); sum(range(500_000))",
        "computes only": "sum(range(500_000))",
    }
    rows = []
    settings = load_settings({"local_max_concurrent_sessions": "60"})
    async with open_session_pool(settings) as pool:
        await warm(pool)
        names = [f"crowd-{number}" for number in range(50)]
        for name in names:
            await pool.execute(name, "1", timeout_seconds=60)
        for what, code in codes.items():
            single = [await timed(pool, names[0], code) for _ in range(10)]
            together: list[float] = []

            async def run(name: str, code: str = code, into: list[float] = together) -> None:
                into.extend([await timed(pool, name, code) for _ in range(5)])

            async with anyio.create_task_group() as tasks:
                for name in names:
                    tasks.start_soon(run, name)
            one, many = median(single), percentile(together, 95)
            rows += [
                Row("g", f"one session ({what})", one * 1e3, "ms p50"),
                Row("g", f"50 at once ({what})", many * 1e3, "ms p95"),
                Row("g", f"ratio ({what})", many / one, "x", "< 20"),
            ]
    return rows


async def until_imported(client: Client) -> None:
    """Wait until sessions have the libraries: what imports them would count as what has grown."""
    for _ in range(100):
        await call(client, "restart_session")
        told = await call(client, "execute_python", code="'pandas' in __import__('sys').modules")
        if told.startswith("True"):
            return
        await anyio.sleep(0.1)


async def updates() -> list[Row]:
    """(h) A display that is updated 10,000 times, and as many that are cleared."""
    rows = []
    codes = {
        "10,000 updates": "for n in range(10_000): shown.update(f'state {n}')",
        "10,000 updates of 100 kB": "for n in range(10_000): shown.update(f'{n} ' + large)",
        "10,000 x clear_output and print": (
            "from IPython.display import clear_output\n"
            "for n in range(10_000): clear_output(wait=True); print('state', n)"
        ),
        "10,000 displays": "for n in range(10_000): display(n)",
    }
    async with connect(OURS) as client:
        await until_imported(client)
        for what, code in codes.items():
            begin = "large = 'x' * 100_000\nshown = display('', display_id=True)"
            await call(client, "restart_session")
            await call(client, "execute_python", code=begin)
            server = next(pid for pid in descendants(os.getpid()) if is_server(pid))
            before = {pid: kilobytes(pid, "status", "VmHWM") for pid in descendants(server)}
            peak = kilobytes(server, "status", "VmHWM")
            started = time.perf_counter()
            await call(
                client,
                "execute_python",
                code=f"shown = display('', display_id=True)\n{code}",
                timeout_seconds=120,
            )
            seconds = time.perf_counter() - started
            grown = (kilobytes(server, "status", "VmHWM") - peak) / 1024
            # Of all that the server has started: the session is the one that grew.
            there = before.keys() & set(descendants(server))
            most = max(kilobytes(pid, "status", "VmHWM") - before[pid] for pid in there) / 1024
            rows += [
                Row("h", what, seconds, "s"),
                Row("h", f"{what}: server's peak memory grew by", grown, "MiB", "<= 8"),
                Row("h", f"{what}: session's peak memory grew by", most, "MiB", "<= 32"),
            ]
    return rows


async def timed(pool: SessionPool, identifier: str, code: str) -> float:
    started = time.perf_counter()
    execution = await pool.execute(identifier, code, timeout_seconds=120)
    if execution.error or execution.session_lost:
        raise RuntimeError(f"an execution failed: {execution}")
    return time.perf_counter() - started


async def warm(pool: SessionPool) -> None:
    """Use a session, and wait until the template has imported everything."""
    await pool.execute("warm-up", "1", timeout_seconds=60)
    await pool.metadata()
    await anyio.sleep(3)


BENCHMARKS: dict[str, Callable[[], Awaitable[list[Row]]]] = {
    "a": first_result,
    "b": warm_call,
    "c": new_session,
    "d": idle_memory,
    "e": flood,
    "f": transfer,
    "g": crowd,
    "h": updates,
}


def main() -> None:
    rows: list[Row] = []
    for letter in sys.argv[1:] or BENCHMARKS:
        for row in anyio.run(BENCHMARKS[letter]):
            rows.append(row)
            print(
                f"{row.letter}  {row.what:<58} {row.value:>9.2f} {row.unit:<7} {row.target}",
                flush=True,
            )
    RESULTS.parent.mkdir(exist_ok=True)
    about = {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
    }
    RESULTS.write_text(
        json.dumps({"machine": about, "rows": [vars(row) for row in rows]}, indent=2) + "\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
