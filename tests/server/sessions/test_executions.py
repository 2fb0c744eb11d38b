"""Executions in the background, through a real client in both protocol eras."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from aca_mcp.errors import NotSupportedError
from aca_mcp.server.sessions.execution import OUTPUT_CHARACTERS
from aca_mcp.server.sessions.limits import Limits
from tests.support.calling import Caller, images_of, text_of
from tests.support.connecting import connected
from tests.support.pictures import png
from tests.support.toy_pool import ToyPool

if TYPE_CHECKING:
    from aca_mcp.pool import Execution, PoolMetadata, SessionInfo
    from tests.support.connecting import Connect

SLEEP = "print('begun'); import anyio; await anyio.sleep(60)"
BRIEFLY = "import anyio; await anyio.sleep(0.05)\nprint('done'); x = 5\nx"


class EndingPool(ToyPool):
    """Ends the session of code that is cancelled, as Azure does."""

    def __init__(self, *, tells: bool) -> None:
        super().__init__()
        self._tells = tells

    async def execute(self, identifier: str, *arguments: Any, **options: Any) -> Execution:
        try:
            return await super().execute(identifier, *arguments, **options)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await self.stop_session(identifier)
            raise

    async def get_session(self, identifier: str) -> SessionInfo | None:
        if not self._tells:
            raise NotSupportedError("This pool cannot tell.")
        return await super().get_session(identifier)

    async def metadata(self) -> PoolMetadata:
        return (await super().metadata())._replace(can_interrupt=False)


async def asked_until(call: Caller, name: str, wanted: str) -> str:
    """Ask for an execution that runs, until its output so far has something in it."""
    with anyio.fail_after(10):
        while True:
            text = await call("get_execution", execution=name, wait_seconds=0.01)
            if wanted in text:
                return text


async def test_a_call_returns_at_once_and_the_result_is_asked_for(connect: Connect) -> None:
    async with connect() as call:
        name = await call.begin(BRIEFLY)
        result = await call("get_execution", execution=name, wait_seconds=20)
        assert result == "done\n[value]\n5"
        assert await call("get_execution", execution=name) == result, "and again"
        assert await call("execute_python", code="x") == "5"


async def test_what_runs_shows_its_output_so_far_and_is_cancelled(connect: Connect) -> None:
    async with connect() as call:
        await call("execute_python", code="x = 1")
        name = await call.begin(SLEEP)
        text = await asked_until(call, name, "begun")
        assert f"[{name} has been under way for 0 seconds. " in text
        cancelled = await call("cancel_execution", execution=name)
        assert cancelled.startswith("begun\n[Interrupted on request")
        assert await call.refusal("get_execution", execution=name) == cancelled
        again = await call.refusal("cancel_execution", execution=name)
        assert again == f"[{name} had ended already, with this:]\n{cancelled}"
        assert await call("execute_python", code="x") == "1"


async def test_figures_come_with_the_result(connect: Connect) -> None:
    async with connect() as call:
        name = await call.begin(f"show('image/png', {png()!r})")
        result = await call.result("get_execution", execution=name, wait_seconds=20)
        assert text_of(result) == "[figure 1]"
        assert len(images_of(result)) == 1


async def test_a_foreground_result_is_shown_again(connect: Connect) -> None:
    async with connect() as call:
        await call("execute_python", code="print('seen')")
        assert await call("get_execution", execution="execution-1") == "seen"


async def test_what_is_not_there_is_said_to_be(connect: Connect) -> None:
    async with connect() as call:
        assert "it has none" in await call.refusal("get_execution", execution="execution-1")
        await call("execute_python", code="1")
        refused = await call.refusal("cancel_execution", execution="execution-7")
        assert "it has execution-1" in refused
        ended = await call("cancel_execution", execution="execution-1")
        assert ended == "[execution-1 had ended already, with this:]\n1"


async def test_a_pool_that_cannot_run_it_is_quoted(connect: Connect) -> None:
    async with connect(ToyPool(max_sessions=0)) as call:
        name = await call.begin("1")
        refused = await call.refusal("get_execution", execution=name, wait_seconds=20)
        assert "full" in refused.lower() or "session" in refused
        assert await call.refusal("cancel_execution", execution=name) == refused


@pytest.mark.parametrize("tells", [True, False])
async def test_where_code_cannot_be_interrupted_the_session_is_said_to_be_gone(
    connect: Connect, tells: bool
) -> None:
    async with connect(EndingPool(tells=tells)) as call:
        name = await call.begin(SLEEP)
        cancelled = await call.refusal("cancel_execution", execution=name)
        assert "The session ended: its code could not be interrupted" in cancelled


async def test_long_output_so_far_is_its_end(connect: Connect) -> None:
    async with connect() as call:
        code = (
            f"print('a' * 21 + 'b' * {OUTPUT_CHARACTERS - 1}); import anyio; await anyio.sleep(60)"
        )
        name = await call.begin(code)
        text = await asked_until(call, name, "before")
        assert "[... 21 characters before this ...]\nbbb" in text
        assert "a\n" not in text
        await call("cancel_execution", execution=name)


async def test_there_are_so_many_and_the_oldest_are_forgotten(
    connect: Connect,
) -> None:
    async with connect(limits=Limits(in_background=2, session_executions=2)) as call:
        names = [await call.begin(SLEEP) for _ in range(2)]
        refused = await call.refusal("execute_python", code="1", run_in_background=True)
        assert "under way already" in refused
        for name in names:
            await call("cancel_execution", execution=name)
        third = await call.begin("3")
        assert await call("get_execution", execution=third, wait_seconds=20) == "3"
        forgotten = await call.refusal("get_execution", execution=names[0])
        assert f"it has {names[1]}, {third}. Older ones are forgotten" in forgotten


async def test_one_that_will_not_stop_is_said_not_to(
    connect: Connect,
) -> None:
    async with connect(limits=Limits(cancel_seconds=0.05)) as call:
        stubborn = (
            "import anyio\n"
            "with anyio.CancelScope(shield=True): await anyio.sleep(0.5)\n"
            "print('stopped at last')"
        )
        name = await call.begin(stubborn)
        await anyio.wait_all_tasks_blocked()
        assert "does not stop" in await call.refusal("cancel_execution", execution=name)
        await call.result("get_execution", execution=name, wait_seconds=20)


async def test_they_end_with_their_connection(connect: Connect, toy_pool: ToyPool) -> None:
    with anyio.fail_after(20):
        async with connect() as call:
            await call.begin(SLEEP)
    assert toy_pool.sessions == {}


async def test_a_new_session_is_named_with_the_first_one(toy_pool: ToyPool) -> None:
    async with connected(toy_pool) as call:
        handle = await call("start_session")
        name = await call.begin("7", session=handle)
        shown = await call("get_execution", execution=name, wait_seconds=20, session=handle)
        assert shown == "7"
        assert "it has none" in await call.refusal("get_execution", execution=name)


async def test_what_is_cancelled_while_it_waits_was_not_executed(connect: Connect) -> None:
    async with connect() as call:
        await call("execute_python", code="ran = []")
        first = await call.begin(SLEEP)
        second = await call.begin("ran.append(2)")
        refused = await call("cancel_execution", execution=second)
        assert refused == (
            f"{second} was cancelled while it waited for earlier code of its session: nothing of "
            "it was executed."
        )
        assert "Interrupted" in await call("cancel_execution", execution=first)
        assert await call("execute_python", code="ran") == "[]"
        assert await call.refusal("get_execution", execution=second) == refused
