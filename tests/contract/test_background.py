"""Executions in the background: what the server's tools say of them, over every way to a pool."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from aca_mcp.emulator.emulator import open_emulator
from aca_mcp.local.pool import open_local_pool
from aca_mcp.server.instructions import duration
from tests.contract.conftest import AS_BY_DEFAULT
from tests.support.calling import text_of
from tests.support.connecting import connected
from tests.support.emulators import POOL_PATH, InProcess, azure_pool_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aca_mcp.pool import SessionPool
    from tests.support.calling import Caller

FOREVER = "import time\nwhile True: time.sleep(0.01)"


@pytest.fixture
async def call(pool: SessionPool) -> AsyncIterator[Caller]:
    """A client of a server over the pool."""
    async with connected(pool) as caller:
        yield caller


async def is_under_way(call: Caller, name: str) -> bool:
    """Having waited a while for it to begin, where nothing but its end would tell."""
    return "under way" in await call("get_execution", execution=name, wait_seconds=0.5)


async def test_the_result_is_asked_for(call: Caller) -> None:
    name = await call.begin("import time; time.sleep(0.2)\nprint('done'); x = 5\nx")
    with anyio.fail_after(30):
        shown = await call("get_execution", execution=name, wait_seconds=20)
    assert shown == "done\n[value]\n5"
    assert await call("execute_python", code="x") == "5"


async def test_what_cancelling_costs_is_said(pool: SessionPool, call: Caller) -> None:
    await call("execute_python", code="x = 1")
    name = await call.begin(FOREVER)
    assert await is_under_way(call, name)
    with anyio.fail_after(30):
        cancelled = text_of(await call.result("cancel_execution", execution=name))
        if (await pool.metadata()).can_interrupt:
            assert cancelled.endswith("Variables and files are kept.]")
            assert await call("execute_python", code="x") == "1"
        else:
            assert cancelled.startswith("[The session ended: ")
            after = await call.refusal("execute_python", code="x")
            assert after.startswith("[The earlier session is gone: ")
            assert "NameError" in after
        assert await call("execute_python", code="'next'") == "'next'"


async def test_cancelling_what_has_not_begun_costs_nothing(call: Caller) -> None:
    await call("execute_python", code="x = 1")
    first = await call.begin("import time; time.sleep(1.5); x = 2")
    second = await call.begin("x = 3")
    with anyio.fail_after(30):
        cancelled = await call("cancel_execution", execution=second)
        assert "nothing of it was executed" in cancelled
        await call("get_execution", execution=first, wait_seconds=20)
        assert await call("execute_python", code="x") == "2"


async def test_long_ones_are_asynchronous_on_azure_and_end_when_cancelled() -> None:
    async with open_local_pool(AS_BY_DEFAULT) as local, open_emulator(local) as app:
        wire = InProcess(app)
        async with (
            azure_pool_at(f"http://127.0.0.1{POOL_PATH}", transport=wire) as pool,
            connected(pool) as call,
        ):
            await call("execute_python", code="x = 1")
            name = await call.begin("import time; time.sleep(0.5); x + 1", timeout_seconds=200)
            with anyio.fail_after(30):
                assert await call("get_execution", execution=name, wait_seconds=20) == "2"
            asked = [request for request in wire.requests if "/executions/" in request.url.path]
            assert asked, "it was not asked for, as only an asynchronous one is"
            name = await call.begin(FOREVER, timeout_seconds=200)
            assert await is_under_way(call, name)
            with anyio.fail_after(30):
                ended = await call.refusal("cancel_execution", execution=name)
            assert "[The session ended" in ended


async def test_in_the_background_code_has_the_longest_time_and_is_told_so(
    pool: SessionPool, call: Caller
) -> None:
    longest = (await pool.metadata()).max_timeout_seconds
    text = await call("execute_python", code="1", run_in_background=True)
    assert f"in the background, for at most {duration(longest)}. " in text
    text = await call("execute_python", code="1", run_in_background=True, timeout_seconds=30)
    assert "for at most 30 seconds. " in text


async def test_code_that_waits_behind_the_background_is_told_which_and_how_to_end_it(
    call: Caller,
) -> None:
    name = await call.begin(FOREVER)
    assert await is_under_way(call, name)
    with anyio.fail_after(30):
        text = await call.refusal("execute_python", code="1", timeout_seconds=0.5)
        assert text.count(name) == 1
        assert f"[The session is busy with {name}, in the background" in text
        assert "cancel_execution" in text
        await call.result("cancel_execution", execution=name)
