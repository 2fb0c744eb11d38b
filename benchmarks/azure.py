"""Measures what the Azure pool adds to HTTP, beside bare requests of the same bodies.

    python benchmarks/azure.py

Starts an emulator and calls it over loopback, in turn by the pool and by a bare ``httpx`` POST.
Prints a table and writes ``benchmarks/results/azure.json``.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import httpx
from measuring import percentile

from aca_mcp.azure.api_versions import Api
from aca_mcp.azure.code_wrapping import wrap
from aca_mcp.azure.configuration import AzurePoolConfiguration
from aca_mcp.azure.credentials import credential_factory
from aca_mcp.azure.pool import open_azure_pool

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    from aca_mcp.pool import SessionPool

RESULTS = Path(__file__).with_name("results") / "azure.json"
CODE = "1 + 1"
CALLS = 400
SESSIONS = 32
CALLS_EACH = 30
ROUNDS = 5


@contextmanager
def emulator() -> Generator[str]:
    """An emulator in a process of its own; gives its address."""
    command = [sys.executable, "-m", "aca_mcp", "emulator", "--port", "0"]
    environment = {**os.environ, "ACA_MCP_LOCAL_MAX_CONCURRENT_SESSIONS": str(2 * SESSIONS)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        try:
            line = process.stderr.readline()
            yield re.findall(r"https?://\S+", line)[0]
        finally:
            process.terminate()


def bare_call(http: httpx.AsyncClient, endpoint: str) -> Callable[[str], Awaitable[object]]:
    """The request that the pool sends, and nothing around it."""
    body = json.dumps(
        {
            "codeInputType": "Inline",
            "executionType": "Synchronous",
            "code": wrap(CODE, bring_module=False, max_side=1568),
            "timeoutInSeconds": 60,
            "outputStreamsMaxLength": 2**20,
        }
    ).encode()
    headers = {"Authorization": "Bearer any", "Content-Type": "application/json"}

    async def call(identifier: str) -> object:
        url = Api(endpoint).url("/executions", identifier)
        response = await http.post(url, content=body, headers=headers)
        return response.raise_for_status().json()

    return call


def pool_call(pool: SessionPool) -> Callable[[str], Awaitable[object]]:
    """The same by the pool."""

    async def call(identifier: str) -> object:
        return await pool.execute(identifier, CODE, timeout_seconds=60)

    return call


async def latencies(
    calls: dict[str, Callable[[str], Awaitable[object]]],
) -> dict[str, list[float]]:
    """Milliseconds of each call, both kinds in turn."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(CALLS):
        for name, call in calls.items():
            started = time.perf_counter()
            await call("latency-session")
            taken[name].append((time.perf_counter() - started) * 1000)
    return taken


async def throughput(call: Callable[[str], Awaitable[object]]) -> float:
    """Calls in a second, all sessions at once."""

    async def work(identifier: str) -> None:
        for _ in range(CALLS_EACH):
            await call(identifier)

    started = time.perf_counter()
    async with anyio.create_task_group() as tasks:
        for number in range(SESSIONS):
            tasks.start_soon(work, f"session-{number:04}")
    return SESSIONS * CALLS_EACH / (time.perf_counter() - started)


async def measure(address: str) -> dict[str, float]:
    """Everything, in one run."""
    endpoint = f"{address}/subscriptions/s/resourceGroups/g/sessionPools/p"
    configuration = AzurePoolConfiguration(endpoint, credential_factory("emulator"))
    async with open_azure_pool(configuration) as pool, httpx.AsyncClient(timeout=60) as http:
        calls = {"bare": bare_call(http, endpoint), "pool": pool_call(pool)}
        names = ["latency-session", *(f"session-{number:04}" for number in range(SESSIONS))]
        for name in names:  # allocated, and with our module in it
            await calls["pool"](name)
        taken = await latencies(calls)
        rates: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(ROUNDS):
            for name, call in calls.items():
                rates[name].append(await throughput(call))
        for name in names:
            await pool.stop_session(name)
    result = {
        f"{name} p{percent} ms": percentile(values, percent)
        for name, values in taken.items()
        for percent in (50, 95)
    }
    result["added p50 ms (target: at most 1)"] = result["pool p50 ms"] - result["bare p50 ms"]
    for name, values in rates.items():
        result[f"{name} calls/s, {SESSIONS} sessions"] = percentile(values, 50)
    result["throughput ratio (target: at least 0.8)"] = percentile(rates["pool"], 50) / percentile(
        rates["bare"], 50
    )
    return result


def main() -> None:
    with emulator() as address:
        result = anyio.run(measure, address)
    for name, value in result.items():
        print(f"{name:<42} {value:>10.3f}")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")


main()
