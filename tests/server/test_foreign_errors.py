"""A pool that raises what it may not: one call is told, everybody else goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from aca_mcp.server.sessions.limits import Limits
from tests.support.calling import Caller
from tests.support.connecting import connected
from tests.support.foreign_errors import SECRET, foreign_errors
from tests.support.odd_pools import OddPool
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Generator

KINDS = {type(error).__name__: error for error in foreign_errors()}


@pytest.fixture(params=KINDS.values(), ids=list(KINDS))
def pool(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Generator[OddPool]:
    """A pool with an error of each kind; what its message says reaches no log."""
    yield OddPool(request.param)
    assert SECRET not in caplog.text


def kind(pool: OddPool) -> str:
    return type(pool.error).__name__


@pytest.mark.parametrize(
    ("operation", "tool", "arguments"),
    [
        ("execute", "execute_python", {"code": "1"}),
        ("list_files", "list_files", {}),
        ("list_packages", "list_packages", {}),
        ("upload_file", "upload_file", {"path": "a", "content": "x"}),
        ("download_file", "download_file", {"path": "a"}),
    ],
)
async def test_a_call_is_told_in_a_sentence_and_the_next_one_works(
    pool: OddPool, operation: str, tool: str, arguments: dict[str, Any]
) -> None:
    async with connected(pool) as call, Client(call.client.server, mode="legacy") as other:
        another = Caller(other)
        await call("upload_file", path="a", content="kept")
        await another("execute_python", code="y = 2")
        pool.odd = {operation}
        told = await call.refusal(tool, **arguments)
        assert kind(pool) in told
        assert SECRET not in told
        pool.odd = set()
        assert await call("download_file", path="a") == "kept"
        assert await another("execute_python", code="y") == "2"


async def test_in_the_background_it_is_told_when_asked_for(pool: OddPool) -> None:
    async with connected(pool) as call:
        await call("execute_python", code="x = 1")
        pool.odd = {"execute"}
        name = await call.begin("2")
        told = await call.refusal("get_execution", execution=name, wait_seconds=20)
        assert kind(pool) in told
        assert "may have run, wholly, partly or not at all" in told
        pool.odd = set()
        assert await call("execute_python", code="x") == "1"


async def test_in_upkeep_nobody_is_told_and_everything_goes_on(pool: OddPool) -> None:
    async with connected(pool, limits=Limits(keep_alive_seconds=0.01)) as call:
        await call("execute_python", code="x = 1")
        pool.odd = {"keep_alive", "stop_session"}
        before = pool.asked
        await until(lambda: pool.asked > before + 3)
        assert await call("execute_python", code="x") == "1"


async def test_when_a_call_is_cancelled_the_rest_goes_on(pool: OddPool) -> None:
    async with connected(pool) as call:
        await call("execute_python", code="x = 1")
        pool.odd = {"get_session"}
        with anyio.move_on_after(0.2):
            await call("execute_python", code="import anyio; await anyio.sleep(60)")
        assert await call("execute_python", code="x") == "1"


async def test_a_server_that_stops_does_so_all_the_same(pool: OddPool) -> None:
    with anyio.fail_after(20):
        async with connected(pool) as call:
            await call("execute_python", code="x = 1")
            pool.odd = {"stop_session", "execute", "keep_alive"}


@pytest.mark.parametrize("uri", ["aca://sessions/current/files/a", "aca://sessions/current"])
async def test_a_resource_that_cannot_be_read_is_an_error_of_the_protocol(
    pool: OddPool, uri: str
) -> None:
    async with connected(pool) as call:
        await call("upload_file", path="a", content="kept")
        pool.odd = {"download_file", "get_session", "list_files"}
        with pytest.raises(MCPError, match=kind(pool)) as raised:
            await call.client.read_resource(uri)
        assert SECRET not in str(raised.value)
        await call.client.list_resources()
        pool.odd = set()
        assert await call.client.read_resource(uri)
