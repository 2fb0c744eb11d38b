"""Measures the way from ``import seaborn`` failing to a seaborn figure, in calls and in seconds.

    python benchmarks/packages.py [local] [azure]

Sessions have the environment ``minimal`` and no network; ``azure`` is the Azure pool before an
emulator whose sessions may install nothing themselves, and its server has a store of its own each
time. Each way is gone twice, in new servers. Prints a table.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import anyio
from measuring import OURS, connect

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from mcp import Client

ROUNDS = 2
FIGURE = "import seaborn\nseaborn.lineplot(x=[1, 2, 3], y=[2, 1, 3]);"
WAYS = {
    "install_packages": [
        ("install_packages", {"packages": ["seaborn"]}),
        ("execute_python", {"code": FIGURE}),
    ],
    "%pip in the cell": [("execute_python", {"code": f"%pip install -q seaborn\n{FIGURE}"})],
    "!pip ... | tail -1": [
        ("execute_python", {"code": f"!pip install seaborn | tail -1\n{FIGURE}"})
    ],
}


@contextmanager
def emulator() -> Generator[str]:
    """An emulator whose sessions install nothing; gives its address."""
    command = [sys.executable, "-m", "aca_mcp", "emulator", "--port", "0"]
    settings = {"ACA_MCP_LOCAL_ENVIRONMENT": "minimal", "ACA_MCP_PACKAGES": "off"}
    environment = {**os.environ, **settings}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        try:
            yield re.findall(r"https?://\S+", process.stderr.readline())[0]
        finally:
            process.terminate()


@asynccontextmanager
async def server(pool: str) -> AsyncGenerator[Client]:
    """A server that has installed nothing yet, and a client of it."""
    if pool == "local":
        async with connect(OURS, local_environment="minimal") as client:
            yield client
        return
    with tempfile.TemporaryDirectory(prefix="aca-mcp-benchmark-") as store, emulator() as address:
        endpoint = f"{address}/subscriptions/s/resourceGroups/g/sessionPools/p"
        settings = {"pool_management_endpoint": endpoint, "azure_credential": "emulator"}
        async with connect(OURS, data_dir=store, **settings) as client:
            yield client


async def go(client: Client, way: str) -> tuple[int, float]:
    """Calls and seconds from the import that fails to the figure."""
    await client.call_tool("execute_python", {"code": "print(1)"})
    started = time.perf_counter()
    first = await client.call_tool("execute_python", {"code": "import seaborn"})
    if not first.is_error or "install_packages" not in str(first.content):
        raise RuntimeError(f"the import did not fail as it should: {first.content}")
    for tool, arguments in WAYS[way]:
        result = await client.call_tool(tool, arguments)
        if result.is_error:
            raise RuntimeError(str(result.content))
    if not any(block.type == "image" for block in result.content):
        raise RuntimeError("there was no figure")
    return 1 + len(WAYS[way]), time.perf_counter() - started


async def measure(pools: list[str]) -> None:
    print(f"{'pool':<8}{'way':<22}{'calls':>6}  seconds, one server after another")
    for pool in pools:
        for way in WAYS:
            taken: list[float] = []
            calls = 0
            for _ in range(ROUNDS):
                async with server(pool) as client:
                    calls, seconds = await go(client, way)
                    taken.append(seconds)
            shown = ", ".join(f"{seconds:.1f}" for seconds in taken)
            print(f"{pool:<8}{way:<22}{calls:>6}  {shown}")


if __name__ == "__main__":
    anyio.run(measure, sys.argv[1:] or ["local", "azure"])
