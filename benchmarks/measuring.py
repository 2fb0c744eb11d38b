"""Percentiles, memory from /proc, and a client connected to a server over stdio."""

from __future__ import annotations

import os
import statistics
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

OURS = ["-m", "aca_mcp", "serve"]
BARE = [str(Path(__file__).with_name("bare_server.py"))]


def percentile(values: Iterable[float], percent: float) -> float:
    """The value below which a percentage of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def median(values: Iterable[float]) -> float:
    return statistics.median(values)


@asynccontextmanager
async def connect(arguments: list[str], **settings: object) -> AsyncGenerator[Client]:
    """A server started with this interpreter, and a client of it."""
    environment = {
        **os.environ,
        **{f"ACA_MCP_{name.upper()}": str(value) for name, value in settings.items()},
    }
    parameters = StdioServerParameters(command=sys.executable, args=arguments, env=environment)
    async with Client(stdio_client(parameters), mode="legacy") as client:
        yield client


async def call(client: Client, tool: str, **arguments: object) -> str:
    """Call a tool, and fail if it fails."""
    result = await client.call_tool(tool, arguments)
    text = "".join(getattr(block, "text", "") for block in result.content)
    if result.is_error:
        raise RuntimeError(text)
    return text


def descendants(pid: int) -> list[int]:
    """Every process below one."""
    found: list[int] = []
    pending = [pid]
    while pending:
        current = pending.pop()
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended, as copies do
            for task in Path(f"/proc/{current}/task").iterdir():
                children = [int(name) for name in (task / "children").read_text().split()]
                found += children
                pending += children
    return found


def kilobytes(pid: int, file: str, *fields: str) -> int:
    """The sum of some fields of ``/proc/PID/status`` or ``smaps_rollup``; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0  # it has ended
    names = tuple(f"{field}:" for field in fields)
    return sum(int(line.split()[1]) for line in lines if line.startswith(names))


def control_groups(pid: int) -> list[Path]:
    """Directories of the control groups that a server has made for its sessions."""
    groups = Path("/sys/fs/cgroup")
    return [path for path in groups.rglob(f"aca-mcp-{pid}-*") if path.is_dir()]
