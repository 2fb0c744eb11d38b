"""Cancelling a call, by every transport and era: the code stops, and what it made is kept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import anyio
import httpx
import pytest

from tests.http.clients import MODERN, Endpoint, Model, call, text_in
from tests.http.long_runs import COUNTING, STANDS_STILL, Heard, cancelled_while_it_runs, client_by
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.http.clients import Era
    from tests.http.conftest import Serve
    from tests.http.long_runs import Way
    from tests.support.toy_pool import ToyPool

WAYS = [(way, era) for way in ("stdio", "http", "sse") for era in ("legacy", MODERN)]
CHILD = "import subprocess; subprocess.run('echo on; exec sleep 86399.5', shell=True)"
CHILDREN = (
    "import contextlib, pathlib\n"
    "found = []\n"
    "for path in pathlib.Path('/proc').glob('[0-9]*/cmdline'):\n"
    "    with contextlib.suppress(OSError):\n"
    "        found += [path] * (b'86399.5' in path.read_bytes().split(b'\\0'))\n"
    "len(found)"
)
SOON = 0.5
AWAITING = "print('on'); import anyio; await anyio.sleep(60)"


@pytest.fixture(scope="module", params=WAYS, ids=["-".join(way) for way in WAYS])
async def client(request: pytest.FixtureRequest, address: str) -> AsyncIterator[Model]:
    """One client for all these tests: each finds what the one before has left."""
    way: Way
    era: Era
    way, era = request.param
    async with client_by(way, era, address) as model:
        await model("execute_python", code="import pathlib, time; x = 7")
        yield model


async def test_the_code_stops_and_the_state_is_kept(client: Model) -> None:
    await cancelled_while_it_runs(client, COUNTING)
    assert await client("execute_python", code="x, turn >= 0", timeout_seconds=5) == "(7, True)"
    assert await client("execute_python", code=STANDS_STILL, timeout_seconds=5) == "True"


async def test_what_the_code_waits_for_is_not_left_running(client: Model) -> None:
    await cancelled_while_it_runs(client, CHILD)
    assert await client("execute_python", code=CHILDREN, timeout_seconds=5) == "0"


async def test_one_call_after_the_other_can_be_cancelled(client: Model) -> None:
    for turn in range(3):
        await cancelled_while_it_runs(client, f"turn = {turn}\n{COUNTING}")
    assert await client("execute_python", code="x") == "7"


async def test_a_call_that_waits_is_cancelled_alone(client: Model) -> None:
    heard = Heard()
    code = "print('on', flush=True)\nwhile not pathlib.Path('go').exists(): time.sleep(0.01)\n'met'"
    results: list[str] = []

    async def run() -> None:
        arguments = client.passed({"code": code})
        result = await client.client.call_tool("execute_python", arguments, progress_callback=heard)
        results.append(result.content[0].model_dump()["text"])

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await heard.first.wait()
            with anyio.move_on_after(0.3) as waiting:
                await client("execute_python", code="x = 'never'")
            assert waiting.cancelled_caught
            await client("upload_file", path="go", content="")
    assert "'met'" in results[0]
    assert await client("execute_python", code="pathlib.Path('go').unlink(); x") == "7"


async def test_waiting_for_a_background_execution_is_cancelled_without_it(client: Model) -> None:
    name = await client.begin(COUNTING)
    with anyio.fail_after(20):
        with anyio.move_on_after(0.3) as waiting:
            await client("get_execution", execution=name, wait_seconds=20)
        assert waiting.cancelled_caught
        assert "under way" in await client("get_execution", execution=name)
        assert "Interrupted" in await client("cancel_execution", execution=name)
    assert await client("execute_python", code=STANDS_STILL) == "True"


async def test_a_stream_that_is_closed_is_a_call_that_is_cancelled(serve: Serve) -> None:
    """By hand, and before anything was sent on it, as a client that wants no progress."""
    async with serve() as server:
        endpoint = Endpoint(server.http)
        handle = text_in(await endpoint.modern("start_session", {}))
        server.http.timeout = SOON
        with pytest.raises(httpx.ReadTimeout):
            await endpoint.modern(
                "execute_python", {"code": f"x = 7; {AWAITING}", "session": handle}
            )
        with anyio.fail_after(20):
            answer = await endpoint.modern("execute_python", {"code": "x", "session": handle})
        assert text_in(answer) == "7"


async def test_a_new_session_whose_handle_was_never_told_is_ended(
    serve: Serve, toy_pool: ToyPool
) -> None:
    async with serve() as server:
        server.http.timeout = SOON
        with pytest.raises(httpx.ReadTimeout):
            await Endpoint(server.http).modern("execute_python", {"code": AWAITING})
        await until(lambda: not toy_pool.sessions)


async def test_an_older_client_that_loses_its_stream_has_cancelled_nothing(serve: Serve) -> None:
    """It may come back to its connection, so only it can say that it does not want the answer."""
    async with serve() as server:
        endpoint = Endpoint(server.http)
        await endpoint.open()
        slow = "import anyio\nx = 1\nawait anyio.sleep(1)\nx = 2"
        server.http.timeout = SOON
        with pytest.raises(httpx.ReadTimeout):
            await endpoint.post(call("execute_python", {"code": slow}))
        server.http.timeout = 10
        after = {**call("execute_python", {"code": "x"}), "id": 8}
        assert text_in(await endpoint.post(after)) == "2"


@pytest.mark.parametrize("number", [7, 8, "8", None, {}], ids=repr)
async def test_a_cancellation_of_what_is_not_there_is_ignored(serve: Serve, number: object) -> None:
    async with serve() as server:
        endpoint = Endpoint(server.http)
        await endpoint.open()
        notification = {
            "jsonrpc": "2.0",
            "method": "notifications/cancelled",
            "params": {"requestId": number},
        }
        answer = await endpoint.post(notification)
        assert answer.status_code in {202, 400}, json.dumps(number)
        assert text_in(await endpoint.post(call("execute_python", {"code": "1"}))) == "1"
