"""Each environment has a template of its own, which ends when nobody uses it."""

from __future__ import annotations

import sys
import tempfile
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from aca_mcp.background_tasks import background_tasks
from aca_mcp.environments.store import EnvironmentStore, Record
from aca_mcp.local.environment_pools import EnvironmentPools
from aca_mcp.local.pool import open_local_pool
from aca_mcp.pool import identifier_in
from aca_mcp.pools import local_configuration
from aca_mcp.settings import Settings
from tests.support.processes import children
from tests.support.reachable import reachable_python

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator
    from contextlib import AbstractAsyncContextManager

    from aca_mcp.environments.store import Environment
    from aca_mcp.local.pool import LocalSessionPool


@asynccontextmanager
async def opened(*names: str, idle_seconds: float) -> AsyncGenerator[EnvironmentPools]:
    """Environments that are one interpreter by several names, the first of them the default."""
    settings = Settings(local_preimport="", local_ready_sessions=0)

    def open_pool(environment: Environment) -> AbstractAsyncContextManager[LocalSessionPool]:
        return open_local_pool(local_configuration(settings, str(environment.python)), None)

    async def none_is_made() -> Environment:
        raise AssertionError

    with stored(*names) as store:
        async with background_tasks() as tasks:
            pools = EnvironmentPools(
                *(store, names[0], none_is_made, open_pool),
                max_sessions=4,
                tasks=tasks,
                idle_seconds=idle_seconds,
            )
            await pools.serve_default()
            yield pools


@contextmanager
def stored(*names: str) -> Generator[EnvironmentStore]:
    with tempfile.TemporaryDirectory() as directory, reachable_python() as python:
        Path(directory).chmod(0o755)
        store = EnvironmentStore(Path(directory))
        for name in names:
            publish(store, name, python)
        yield store


def publish(store: EnvironmentStore, name: str, python: str) -> None:
    with store.build(name) as made:
        (made / "bin").mkdir()
        (made / "bin" / "python").write_text(f'#!/bin/sh\nexec {python} "$@"\n')
        (made / "bin" / "python").chmod(0o755)
        store.publish(made, Record(name, sys.version.split()[0], "", (), (), ""))


async def test_the_template_of_an_environment_that_nobody_uses_is_ended_and_begun_again() -> None:
    before = children()
    with anyio.fail_after(120):
        async with opened("first", "second", idle_seconds=0.3) as pools:
            await pools.execute("some-session", "1", timeout_seconds=30)
            default = children() - before
            second = identifier_in("second", "other-session")
            await pools.execute(second, "kept = 1", timeout_seconds=30)
            assert len(children() - before) == len(default) + 1
            await anyio.sleep(1)  # several looks: a session that is there keeps its template
            execution = await pools.execute(second, "print(kept)", timeout_seconds=30)
            assert execution.stdout.text == "1\n"
            await pools.stop_session(second)
            while children() - before != default:  # noqa: ASYNC110 -- of another process
                await anyio.sleep(0.05)
            await pools.execute(second, "1", timeout_seconds=30)
            assert len(children() - before) == len(default) + 1
    assert children() == before
