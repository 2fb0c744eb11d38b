"""Measures the HTTP side: a warm call beside a bare SDK server's, many clients, and what stays.

    python benchmarks/serving.py [warm] [crowd] [churn]

``warm``: a warm ``1+1`` over streamable HTTP beside a no-op tool of a bare server, call by call.
``crowd``: 200 clients with a session each and one call a second for a minute.
``churn``: 10,000 connects and disconnects, and what is left of them.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import httpx
from mcp import Client
from measuring import call, descendants, kilobytes, median, percentile

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

CLIENTS = 200
CROWD_SECONDS = 60
CHURN = 10_000
AT_ONCE = 8
TLS = ssl.create_default_context()  # not used, and slow to make for each client


@contextmanager
def serving(command: list[str], port: int, **settings: object) -> Generator[int]:
    """A server process that listens; yields its pid, and ends it as an operator would."""
    environment = {
        **os.environ,
        **{f"ACA_MCP_{name.upper()}": str(value) for name, value in settings.items()},
    }
    process = subprocess.Popen([sys.executable, *command], env=environment)
    try:
        wait_for(port)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def ours(port: int, **settings: object) -> tuple[list[str], dict[str, object]]:
    command = ["-m", "aca_mcp", "serve", "--transport", "http", "--port", str(port)]
    return command, {"local_max_concurrent_sessions": 1000, "log_level": "error", **settings}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def row(what: str, value: float, unit: str, target: str = "") -> None:
    print(f"{what:<62} {value:>9.2f} {unit:<7} {target}", flush=True)


async def warm() -> None:
    here, there = free_port(), free_port()
    command, settings = ours(here)
    bare = [str(Path(__file__).with_name("bare_http_server.py")), str(there)]
    with serving(command, here, **settings), serving(bare, there):
        for mode in ("legacy", "2026-07-28"):
            async with (
                Client(f"http://127.0.0.1:{here}/mcp", mode=mode) as client,
                Client(f"http://127.0.0.1:{there}/mcp", mode=mode) as yardstick,
            ):
                handle = await call(client, "start_session")
                mine, theirs = [], []
                for number in range(2100):
                    started = time.perf_counter()
                    await call(yardstick, "noop")
                    between = time.perf_counter()
                    await call(client, "execute_python", code="1+1", session=handle)
                    if number >= 100:
                        theirs.append(between - started)
                        mine.append(time.perf_counter() - between)
            for percent in (50, 95):
                a, b = percentile(mine, percent), percentile(theirs, percent)
                row(f"warm 1+1 over HTTP, {mode}, p{percent}", a * 1e3, "ms")
                row(f"no-op of the bare server, {mode}, p{percent}", b * 1e3, "ms")
                row(f"ratio, {mode}, p{percent}", a / b, "x", "<= 1.5")


async def crowd() -> None:
    port = free_port()
    command, settings = ours(port, max_calls_per_minute=1_000_000, max_concurrent_calls=1000)
    with serving(command, port, **settings) as pid:
        single: list[float] = []
        async with http_client(port) as http:
            await connect(http)
            for _ in range(100):
                single.append(await timed(http))
                await anyio.sleep(0.02)
            await leave(http)
        await anyio.sleep(3)
        before, without = state_of(pid), memory(pid)
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(http_client(port)) for _ in range(CLIENTS)]
            for http in clients:
                await connect(http)
            for http in [*clients, *clients]:
                await timed(http)
            together: list[float] = []
            end = time.monotonic() + CROWD_SECONDS
            async with anyio.create_task_group() as tasks:
                for number, http in enumerate(clients):
                    tasks.start_soon(once_a_second, http, number / CLIENTS, end, together)
            # Not meanwhile: looking takes seconds, in which nothing else is done here.
            each = (memory(pid) - without) / CLIENTS / 1024
            for http in clients:
                await leave(http)
        await anyio.sleep(3)
        after = state_of(pid)
    row("one client, a warm call", median(single) * 1e3, "ms p50")
    row("one client", percentile(single, 95) * 1e3, "ms p95")
    row(f"{CLIENTS} clients, {len(together)} calls, no error", median(together) * 1e3, "ms p50")
    row(f"{CLIENTS} clients", percentile(together, 95) * 1e3, "ms p95")
    ratio = percentile(together, 95) / percentile(single, 95)
    row("p95 beside one client's p95", ratio, "x", "<= 10")
    row("memory of all processes (PSS) for each connected client", each, "MiB", "<= 12")
    compare(before, after)


async def once_a_second(
    http: httpx.AsyncClient, delay: float, end: float, times: list[float]
) -> None:
    await anyio.sleep(delay)
    due = time.monotonic()
    while due < end:
        times.append(await timed(http))
        due += 1
        await anyio.sleep(max(0.0, due - time.monotonic()))


async def timed(http: httpx.AsyncClient) -> float:
    started = time.perf_counter()
    await execute(http)
    return time.perf_counter() - started


async def churn() -> None:
    port = free_port()
    command, settings = ours(port, max_calls_per_minute=1_000_000)
    with serving(command, port, **settings) as pid:
        await connect_and_leave(port)
        before = state_of(pid)
        started = time.monotonic()
        remaining = iter(range(CHURN))

        async def work() -> None:
            for number in remaining:
                await connect_and_leave(port, executes=number % 10 == 0)

        async with anyio.create_task_group() as tasks:
            for _ in range(AT_ONCE):
                tasks.start_soon(work)
        seconds = time.monotonic() - started
        await anyio.sleep(3)
        after = state_of(pid)
    row(f"{CHURN} connects and disconnects", seconds, "s")
    compare(before, after)


async def connect_and_leave(port: int, *, executes: bool = True) -> None:
    async with http_client(port) as http:
        await connect(http)
        if executes:
            await execute(http)
        await leave(http)


def http_client(port: int) -> httpx.AsyncClient:
    """One of these for each client, as its connections are its own."""
    headers = {"Accept": "application/json, text/event-stream"}
    url = f"http://127.0.0.1:{port}"
    return httpx.AsyncClient(base_url=url, headers=headers, timeout=60, verify=TLS)


async def connect(http: httpx.AsyncClient) -> None:
    """As a client of the handshake era does; the client keeps the headers of its connection."""
    hello = {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "benchmark", "version": "1"},
    }
    answer = await http.post("/mcp", json=message("initialize", hello, 1))
    http.headers["Mcp-Session-Id"] = answer.headers["mcp-session-id"]
    http.headers["MCP-Protocol-Version"] = "2025-11-25"
    await http.post("/mcp", json=message("notifications/initialized", {}))


async def execute(http: httpx.AsyncClient) -> None:
    arguments = {"name": "execute_python", "arguments": {"code": "1+1"}}
    answer = await http.post("/mcp", json=message("tools/call", arguments, 2))
    if not re.search(r'"text": ?"2"', answer.text):
        raise RuntimeError(answer.text)


async def leave(http: httpx.AsyncClient) -> None:
    (await http.delete("/mcp")).raise_for_status()


def message(method: str, params: dict[str, object], number: int | None = None) -> dict[str, object]:
    identified = {} if number is None else {"id": number}
    return {"jsonrpc": "2.0", "method": method, "params": params, **identified}


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def mounts(pid: int) -> int:
    return Path(f"/proc/{pid}/mounts").read_text().count("\n")


def state_of(pid: int) -> dict[str, int]:
    return {
        "processes": len(descendants(pid)),
        "descriptors": open_files(pid),
        "mounts": mounts(pid),
        "server's memory, kB": kilobytes(pid, "smaps_rollup", "Pss"),
    }


def compare(before: dict[str, int], after: dict[str, int]) -> None:
    for name, value in after.items():
        row(f"{name}: before {before[name]}, after", value, "")


def memory(pid: int) -> int:
    """Proportional memory of a server and everything below it, in kB."""
    return sum(kilobytes(each, "smaps_rollup", "Pss") for each in [pid, *descendants(pid)])


BENCHMARKS: dict[str, Callable[[], Awaitable[None]]] = {
    "warm": warm,
    "crowd": crowd,
    "churn": churn,
}


def main() -> None:
    for name in sys.argv[1:] or BENCHMARKS:
        anyio.run(BENCHMARKS[name])


if __name__ == "__main__":
    main()
