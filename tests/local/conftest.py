"""A local pool that tests share, and a guard of the event loop."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from blockbuster import blockbuster_ctx

from aca_mcp.local.files import LocalFiles
from aca_mcp.local.pool import LocalSessionPool, open_local_pool
from tests.local.pools import configuration, new_identifier
from tests.local.session_files import MAX_FILE_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture(autouse=True)
def nothing_blocks() -> Iterator[None]:
    """Whatever the pool does that could block the event loop is an error."""
    with blockbuster_ctx(["aca_mcp.local", "aca_mcp.embedded"]) as guard:
        # What the kernel makes up at once, from memory.
        guard.functions["os.read"].can_block_in("aca_mcp/local/pidfds.py", "pid_behind")
        guard.functions["io.TextIOWrapper.read"].can_block_in(
            "aca_mcp/local/identities.py", "reserve_identities"
        )
        # What measures coverage has a lock, for a moment and in whatever is executed.
        guard.functions["threading.Lock.acquire"].can_block_in("coverage/collector.py", "lock_data")
        yield


@pytest.fixture(scope="module")
async def pool() -> AsyncIterator[LocalSessionPool]:
    """A pool that the tests of one module share, each with sessions of its own."""
    async with open_local_pool(configuration()) as opened:
        yield opened


@pytest.fixture
async def identifier(pool: LocalSessionPool) -> AsyncIterator[str]:
    """A session of the test's own, ended after it."""
    made = new_identifier()
    yield made
    await pool.stop_session(made)


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where sessions without a file system of their own have theirs; all users pass through."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        monkeypatch.setattr(tempfile, "tempdir", name)
        yield Path(name)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory beside the session's, with a secret in it."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    return tmp_path / "outside"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The work directory, as the session's code sees it."""
    for name in ("data", "incoming"):
        (tmp_path / "session" / name).mkdir(parents=True)
    return tmp_path / "session" / "data"


@pytest.fixture
def files(data: Path) -> Iterator[LocalFiles]:
    base = os.open(data.parent, os.O_RDONLY | os.O_DIRECTORY)
    yield LocalFiles(base, "/mnt/data", MAX_FILE_BYTES, MAX_FILE_BYTES)
    os.close(base)


@pytest.fixture
def links(data: Path, outside: Path) -> Path:
    """Every way out that the session's code can make."""
    (data / "up").symlink_to("..")
    (data / "out").symlink_to(outside)
    (data / "secret").symlink_to(outside / "secret")
    (data / "new").symlink_to(outside / "new")
    (data / "inside").symlink_to("plain")
    (data / "plain").write_text("plain")
    return data
