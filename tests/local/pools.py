"""A local pool for tests, and what this process has at a moment."""

from __future__ import annotations

import sys
import uuid
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from aca_mcp.local.configuration import LocalPoolConfiguration
from aca_mcp.local.pool import open_local_pool
from tests.support.reachable import reachable_python
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from collections.abc import Set as AbstractSet

    from aca_mcp.local.checkpoints import Checkpoints
    from aca_mcp.local.pool import LocalSessionPool
    from aca_mcp.local.usage import Measurements
    from aca_mcp.pool import Execution, OutputCallback, OutputChunk, SessionPool

MEBIBYTE = 2**20

QUICK = LocalPoolConfiguration(
    python=sys.executable,
    preimport=(),
    isolation="auto",
    network=False,
    ready_sessions=0,
    max_concurrent_sessions=30,
    cooldown_seconds=3600,
    max_timeout_seconds=60,
    interrupt_grace_seconds=2,
    memory_bytes=1024 * MEBIBYTE,
    disk_bytes=16 * MEBIBYTE,
    max_processes=64,
    max_threads=512,
    checkpoints=0,
    max_output_bytes=64 * 1024,
    max_file_bytes=32 * MEBIBYTE,
)
"""Nothing is imported or started ahead, so that a pool costs little."""


STUBBORN = """
import itertools, time
for turn in itertools.count():
    try:
        turn or print('started', flush=True)
        time.sleep(60)
    except BaseException:
        pass
"""
SLEEPING = "kept = 1\nprint('started', flush=True)\nimport time\ntime.sleep(60)"


class Started:
    """An ``on_output`` that tells when the code has printed something."""

    def __init__(self) -> None:
        self.event = anyio.Event()

    def __call__(self, chunk: OutputChunk) -> None:
        self.event.set()


def configuration(**changes: object) -> LocalPoolConfiguration:
    return replace(QUICK, **changes)  # pyright: ignore[reportArgumentType] -- named as the fields


@asynccontextmanager
async def pool_with_checkpoints(
    isolation: str, measurements: Measurements | None = None
) -> AsyncGenerator[LocalSessionPool]:
    """One whose sessions have little memory, and little time after an interrupt."""
    with ExitStack() as stack:
        python = {}
        if isolation == "landlock":  # root's sessions are other users there
            python = {"python": stack.enter_context(reachable_python())}
        chosen = configuration(
            isolation=isolation,
            checkpoints=1,
            memory_bytes=256 * MEBIBYTE,
            interrupt_grace_seconds=1.5,
            **python,
        )
        async with open_local_pool(chosen, measurements=measurements) as pool:
            yield pool


def new_identifier() -> str:
    return uuid.uuid4().hex


async def run(
    pool: SessionPool,
    identifier: str,
    code: str,
    *,
    timeout: float = 20,  # noqa: ASYNC109 -- the pool's own
    on_output: OutputCallback | None = None,
) -> Execution:
    """Run code, with an end to the test should the pool have none."""
    with anyio.fail_after(timeout + 20):
        return await pool.execute(identifier, code, timeout_seconds=timeout, on_output=on_output)


@asynccontextmanager
async def running(pool: SessionPool, identifier: str, code: str) -> AsyncGenerator[list[Execution]]:
    """Code that runs and has printed something; what came of it is listed once it has ended."""
    started = Started()
    ended: list[Execution] = []

    async def execute() -> None:
        ended.append(await run(pool, identifier, code, on_output=started))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(execute)
        with anyio.fail_after(20):
            await started.event.wait()
        yield ended


def result_of(execution: Execution) -> str:
    """The last expression's value, as text."""
    assert execution.error is None, execution.error.traceback
    assert execution.session_lost is None, execution.session_lost
    (output,) = [output for output in execution.outputs if output.kind == "result"]
    text = output.data["text/plain"]
    assert isinstance(text, str)
    return text


def are_fresh(checkpoints: Checkpoints) -> bool:
    """Whether the newest of these has the variables that there are now."""
    checkpoints.take_notices()
    newest = checkpoints.newest()
    last, _ = checkpoints.executions[-1] if checkpoints.executions else (0, "")
    return newest is not None and newest.after >= last


async def copied(pool: LocalSessionPool, identifier: str) -> Checkpoints:
    """Wait until a session has a copy of what its variables are now."""

    session = pool._sessions.get(identifier)  # pyright: ignore[reportPrivateUsage] -- nobody else asks which one is there
    assert session is not None
    assert session.kernel is not None
    assert session.kernel.checkpoints is not None
    checkpoints = session.kernel.checkpoints
    await until(lambda: are_fresh(checkpoints), 30)
    return checkpoints


async def download(pool: LocalSessionPool, identifier: str, path: str) -> bytes:
    async with pool.download_file(identifier, path) as file:
        return b"".join([chunk async for chunk in file.chunks])


def control_groups(pids: AbstractSet[int]) -> set[Path]:
    """The groups of ours that these processes are in, one directory for each hierarchy."""
    lines = [line for pid in pids for line in _read(Path(f"/proc/{pid}/cgroup")).splitlines()]
    paths = [path for path in (line.rpartition(":")[2] for line in lines) if "/aca-mcp-" in path]
    hierarchies = [each for each in Path("/sys/fs/cgroup").iterdir() if each.is_dir()]
    return {
        group
        for path in paths
        for hierarchy in hierarchies
        if (group := hierarchy / path.lstrip("/")).is_dir()
    }


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""  # it has ended


def open_descriptors() -> dict[str, str]:
    """Descriptors of this process, with what they are."""
    found: dict[str, str] = {}
    for link in Path("/proc/self/fd").iterdir():
        try:
            found[link.name] = str(link.readlink())
        except FileNotFoundError:
            continue  # the one that lists them
    return found


def scratch_directories(temporary: Path, below: str = "") -> list[Path]:
    """The directories of pools, or what lies in them."""
    return list(temporary.glob(f"aca-mcp-*/{below}"))
