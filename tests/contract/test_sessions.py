"""Sessions, packages and metadata: what every pool does, however it is reached."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from aca_mcp.errors import InvalidRequestError
from aca_mcp.session import CodeBlock, PythonSession

if TYPE_CHECKING:
    from aca_mcp.pool import SessionPool


async def test_a_session_begins_with_its_first_use_and_ends_on_request(
    pool: SessionPool, identifier: str
) -> None:
    assert await pool.get_session(identifier) is None
    assert not await pool.keep_alive(identifier)
    assert not await pool.stop_session(identifier)
    await pool.execute(identifier, "x = 1", timeout_seconds=30)
    info = await pool.get_session(identifier)
    assert info is not None
    assert info.identifier == identifier
    assert not info.running
    assert timedelta() <= datetime.now(UTC) - info.created_at < timedelta(minutes=5)
    assert info.expires_at is not None
    assert info.expires_at > datetime.now(UTC)
    assert await pool.keep_alive(identifier)
    assert await pool.stop_session(identifier)
    assert await pool.get_session(identifier) is None


async def test_a_session_stopped_on_request_is_not_lost(pool: SessionPool, identifier: str) -> None:
    await pool.execute(identifier, "x = 1", timeout_seconds=30)
    await pool.stop_session(identifier)
    after = await pool.execute(identifier, "'x' in globals()", timeout_seconds=30)
    assert after.outputs[0].data["text/plain"] == "False"
    assert after.started_session
    assert after.lost_before is None


async def test_packages_are_those_that_code_finds(pool: SessionPool, identifier: str) -> None:
    before = {
        package.name.lower(): package.version for package in await pool.list_packages(identifier)
    }
    code = "import numpy; numpy.__version__"
    execution = await pool.execute(identifier, code, timeout_seconds=30)
    assert execution.outputs[0].data["text/plain"] == repr(before["numpy"])
    after = [package.name.lower() for package in await pool.list_packages(identifier)]
    assert "pandas" in after
    assert after == sorted(after)


async def test_the_pool_says_what_its_sessions_are(pool: SessionPool) -> None:
    metadata = await pool.metadata()
    assert metadata.runtime.startswith("Python 3.")
    assert metadata.work_directory == "/mnt/data"
    assert metadata.max_file_bytes >= 100 * 10**6


async def test_what_code_needs_is_checked_before_it_runs(pool: SessionPool) -> None:
    code = "%matplotlib inline\nimport os, json.decoder\nfrom no_such_thing.x import y\nx = 1"
    async with PythonSession(pool) as session:
        assert await session.missing_modules(code) == ("no_such_thing",)
        assert await session.missing_modules("import (") == ()
        with pytest.raises(InvalidRequestError, match="cannot import no_such_thing"):
            await session.execute_code_blocks([CodeBlock(code)], check_packages=True)
        done = await session.execute_code_blocks(
            [CodeBlock("import math"), CodeBlock("math.pi")], check_packages=True
        )
        assert done[1].outputs[0].data["text/plain"] == "3.141592653589793"
