"""The emulator's sessions: what is told of them, forgotten of them, and closed for them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import httpx
import pytest

from aca_mcp.emulator.emulated_sessions import MAX_EXECUTIONS, EmulatedSessions
from aca_mcp.emulator.faults import Faults
from aca_mcp.emulator.options import EmulatorOptions
from aca_mcp.local.pool import open_local_pool
from tests.emulator.caller import NEWEST, Caller, calling
from tests.local.pools import configuration, new_identifier, open_descriptors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aca_mcp.local.pool import LocalSessionPool

NEW = "x-ms-new-allocation"
OPTIONS = EmulatorOptions(max_concurrent_sessions=2)


@pytest.fixture(scope="module")
async def local() -> AsyncIterator[LocalSessionPool]:
    """What is behind the emulators of this module; it has room for two sessions."""
    async with open_local_pool(
        configuration(max_concurrent_sessions=2, max_timeout_seconds=220)
    ) as pool:
        yield pool


async def listed(call: Caller) -> list[str]:
    answer = await call.http.get("listSessions", params={"api-version": NEWEST})
    return [session["identifier"] for session in answer.json()["sessions"]]


def is_open(name: str) -> bool:
    """Whether this process has a file of that name open."""
    return any(target.endswith(f"/{name}") for target in open_descriptors().values())


async def test_a_refusal_tells_of_a_new_session_too(local: LocalSessionPool) -> None:
    async with calling(local, OPTIONS) as call:
        first = await call("GET", "files/nothing")
        assert (first.status_code, first.headers[NEW]) == (404, "true")
        second = await call("GET", "files/nothing")
        assert (second.status_code, second.headers[NEW]) == (404, "false")
        assert first.headers["x-ms-session-etag"] == second.headers["x-ms-session-etag"]


async def test_the_first_code_of_a_client_is_the_first_of_its_session(
    local: LocalSessionPool,
) -> None:
    async with calling(local, OPTIONS) as call:
        code = "import os; print(In[1:], _i1 == In[1], _i + _ii + _iii, os.getcwd(), 1/0)"
        answer = await call("POST", "executions", json={"code": code})
        result = answer.json()["result"]
        assert 'File "<cell 1>", line 1' in result["stderr"]
        answer = await call("POST", "executions", json={"code": code.replace(", 1/0", "")})
        second = code.replace(", 1/0", "")
        assert answer.json()["result"]["stdout"] == f"{[code, second]} True {code} /\n"


async def test_a_full_pool_has_no_session_to_tell_of(local: LocalSessionPool) -> None:
    async with calling(local, OPTIONS) as call, calling(local, OPTIONS) as other:
        for caller in (call, other):
            await caller("GET", "files")
        refused = await call("GET", "files", params={"identifier": "one-too-many"})
        assert refused.status_code == 429
        assert refused.json()["code"] == "SessionsCountExceedsLimit"
        assert NEW not in refused.headers
        late = await call(
            "POST",
            "executions",
            json={"code": "1", "executionType": "Asynchronous"},
            params={"identifier": "one-too-many"},
        )
        assert late.status_code == 429


async def test_a_session_on_its_way_is_not_forgotten(local: LocalSessionPool) -> None:
    async with calling(local, OPTIONS) as call:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call.run, "x = 1")
            await anyio.wait_all_tasks_blocked()
            await listed(call)
        assert await listed(call) == [call.identifier]


async def test_sessions_that_ended_are_forgotten(local: LocalSessionPool) -> None:
    sessions = EmulatedSessions(local)
    first, second = sessions.find(new_identifier()), sessions.find(new_identifier())
    assert await sessions.allocate(first)
    assert not await sessions.allocate(first)
    assert sessions.find(first.identifier) is first
    await local.stop_session(first.pool_identifier)
    assert await sessions.allocate(second)
    assert sessions.find(first.identifier) is not first
    assert await sessions.stop(second)


async def test_of_very_many_executions_the_last_can_be_asked_for(local: LocalSessionPool) -> None:
    async with calling(local, OPTIONS) as call:
        made = [(await call.run(f"{number}"))["id"] for number in range(MAX_EXECUTIONS + 1)]
        looked_at = made[0], made[1], made[-1]
        found = [(await call("GET", f"executions/{each}")).status_code for each in looked_at]
        assert found == [404, 200, 200]


@pytest.mark.parametrize("fault", ["drop-after:1", "malformed:1"])
async def test_a_file_whose_answer_is_lost_is_closed(local: LocalSessionPool, fault: str) -> None:
    faults = Faults()
    async with calling(local, replace(OPTIONS, faults=faults)) as call:
        await call("POST", "files", files={"file": ("a.txt", b"abc")})
        assert (await call("GET", "files/a.txt/content")).content == b"abc"
        faults.add(fault)
        try:
            answer = await call("GET", "files/a.txt/content")
        except httpx.RemoteProtocolError:
            assert fault.startswith("drop")
        else:
            assert answer.text == '{"properties": {"status": '
        assert not is_open("a.txt")


async def test_code_without_end_is_too_large(local: LocalSessionPool) -> None:
    async with calling(local, OPTIONS) as call:
        refused = await call("POST", "executions", json={"code": "1" * (33 * 2**20)})
        assert refused.status_code == 413
        assert "request" in refused.json()["error"]["message"]
