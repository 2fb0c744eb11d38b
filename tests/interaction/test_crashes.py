"""What a crash costs as a model is told it, over the real transport, and what is done meanwhile."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from mcp_types import TextResourceContents

from tests.interaction.conftest import in_one_era
from tests.local.pools import STUBBORN
from tests.support.calling import text_of

if TYPE_CHECKING:
    from tests.interaction.conftest import Serve
    from tests.support.calling import Caller

pytestmark = in_one_era

CRASH = "x = 'lost'; open('kept', 'w').write('after'); import os; os._exit(3)"
AS_BEFORE = "Variables are as they were before it; files keep what was written to them."
COPIES = 2
"""Of a session that was idle for a moment after its first execution: from before it and after."""


async def status(call: Caller) -> dict[str, Any]:
    (content,) = (await call.client.read_resource("aca://sessions/current")).contents
    assert isinstance(content, TextResourceContents)
    return json.loads(content.text)


async def begin(call: Caller) -> None:
    """Have a session with a variable and a file, and a copy of both."""
    await call("execute_python", code="x = 'before'; open('kept', 'w').write('before')")
    await settle(call)


async def settle(call: Caller) -> None:
    with anyio.fail_after(30):
        while (await status(call))["checkpoints"] < COPIES:  # noqa: ASYNC110 -- nobody tells
            await anyio.sleep(0.05)


async def state(call: Caller) -> str:
    return await call("execute_python", code="x, open('kept').read()")


async def test_what_would_not_stop_when_it_was_cancelled_is_said_to_be_undone(call: Caller) -> None:
    await begin(call)
    name = await call.begin(f"x = 'lost'; open('kept', 'w').write('after')\n{STUBBORN}")
    with anyio.fail_after(20):
        while "started" not in await call("get_execution", execution=name, wait_seconds=1):
            pass
    assert AS_BEFORE in await call("cancel_execution", execution=name)
    assert await state(call) == "('before', 'after')"
    (read,) = (await call.client.read_resource("aca://sessions/current/notebook")).contents
    assert isinstance(read, TextResourceContents)
    tags = [cell["metadata"].get("tags") for cell in json.loads(read.text)["cells"]]
    assert tags == [None, ["undone"], None]


async def test_a_crash_costs_one_execution_and_an_undo_the_last(call: Caller) -> None:
    await begin(call)
    told = await call.refusal("execute_python", code=CRASH)
    assert AS_BEFORE in told
    assert await state(call) == "('before', 'after')"
    await settle(call)
    await call("execute_python", code="x = 'changed'")
    assert (await call("restart_session", undo=True)).startswith("Undone: ")
    assert await state(call) == "('before', 'after')"
    (read,) = (await call.client.read_resource("aca://sessions/current/notebook")).contents
    assert isinstance(read, TextResourceContents)
    cells = json.loads(read.text)["cells"]
    is_undone = {cell["source"]: "undone" in cell["metadata"].get("tags", []) for cell in cells}
    # Whether there was a copy after the look in between depends on how busy the machine is.
    first, crash, _, changed = is_undone.values()
    assert (first, crash, changed) == (False, True, True)


async def test_an_undo_names_the_execution_that_it_took_back(call: Caller) -> None:
    await begin(call)
    await call("execute_python", code="x = 'changed'")
    told = await call("restart_session", undo=True)
    assert told == f"Undone: `x = 'changed'`. {AS_BEFORE}"
    await call("execute_python", code="print(x)\nx")  # to look is an execution as well
    assert "`print(x) ...`" in await call("restart_session", undo=True)


async def test_a_crash_in_the_background_is_told_by_what_waits_for_it(call: Caller) -> None:
    await begin(call)
    execution = await call.begin(CRASH)
    told = text_of(await call.result("get_execution", execution=execution, wait_seconds=30))
    assert AS_BEFORE in told
    assert await state(call) == "('before', 'after')"


# What becomes of the variable: where what is asked comes first, or while it goes back, or after.
MEANWHILE = {
    "execute_python": {"'before'"},
    # Code that was interrupted before it crashed has no reason to go back.
    "cancel": {"'before'", "'lost'"},
    "restart_session": {"'none'"},
    "undo": {"'before'", "'none'"},
}


@pytest.mark.parametrize("what", MEANWHILE)
async def test_what_is_asked_while_a_session_goes_back_is_done_afterwards(
    call: Caller, what: str
) -> None:
    await begin(call)

    async def crash() -> None:
        with anyio.move_on_after(0.01 if what == "cancel" else 60):
            told = text_of(await call.result("execute_python", code=CRASH))
            assert AS_BEFORE in told or "stopped on request" in told

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(crash)
        await anyio.sleep(0.01)
        match what:
            case "execute_python":
                await call("execute_python", code="1")
            case "restart_session" | "undo":
                await call.result("restart_session", undo=what == "undo")
            case _:
                pass
    assert await call("execute_python", code="globals().get('x', 'none')") in MEANWHILE[what]


async def test_where_checkpoints_are_turned_off_the_words_and_the_resource_say_so(
    serve: Serve,
) -> None:
    async with serve(ACA_MCP_LOCAL_CHECKPOINTS=0) as call:
        await call("execute_python", code="x = 'before'")
        assert (await status(call))["checkpoints"] == 0
        refused = await call.refusal("restart_session", undo=True)
        assert "ACA_MCP_LOCAL_CHECKPOINTS" in refused
        told = await call.refusal("execute_python", code=CRASH)
        assert "Its variables and files are gone" in told
        assert "NameError" in await call.refusal("execute_python", code="x")
