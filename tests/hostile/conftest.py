"""Pools for hostile programs: one for each isolation, shared by all tests.

A mechanism that is missing on this machine skips its tests with the reason; in CI it fails them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aca_mcp.errors import PoolUnavailableError
from tests.hostile.arena import SECRET, Arena, open_arena
from tests.hostile.outcomes import note
from tests.hostile.stage import closed_parents

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

TIERS = ["namespaces", "landlock"]
if os.geteuid() == 0 and closed_parents(0):
    # Root's sessions in that tier are other users, who cannot reach this interpreter from here:
    # scripts/hostile runs them where they can.
    TIERS.remove("landlock")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write down how each program ended, where somebody wants to know (``scripts/hostile``)."""
    report = yield
    directory = os.environ.get("HOSTILE_OUTCOMES")
    if directory and isinstance(item, pytest.Function) and report.when == "call":
        note(Path(directory), item, passed=report.passed)
    return report


@pytest.fixture(scope="session", params=TIERS)
async def arena(request: pytest.FixtureRequest, anyio_backend: str) -> AsyncGenerator[Arena]:
    """A pool of each isolation, with a neighbour in it, in a process that has a secret."""
    del anyio_backend
    os.environ["HOSTILE_TEST_SECRET"] = SECRET
    async with AsyncExitStack() as stack:
        try:
            found = await stack.enter_async_context(open_arena(str(request.param)))
        except PoolUnavailableError as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(error.message)
        yield found
    del os.environ["HOSTILE_TEST_SECRET"]


@pytest.fixture
def canary() -> Generator[Path]:
    """A file on the host that any user could read, if only its sandbox let it."""
    directory = Path(tempfile.mkdtemp(prefix="canary-"))
    directory.chmod(0o755)
    file = directory / "canary.txt"
    file.write_text(SECRET)
    file.chmod(0o644)
    yield file
    assert file.read_text() == SECRET
    assert [path.name for path in directory.iterdir()] == [file.name]
    shutil.rmtree(directory)
