"""What probes are told, and what becomes of running code when a server is stopped."""

from __future__ import annotations

import os
import signal
from contextlib import AsyncExitStack
from itertools import product
from typing import TYPE_CHECKING

import anyio
import pytest
from mcp import MCPError

from aca_mcp.errors import SessionPoolError
from tests.http.clients import Endpoint, connected
from tests.http.long_runs import Heard
from tests.server.http.serving import server_process
from tests.support.calling import text_of
from tests.support.waiting import until

if TYPE_CHECKING:
    from aca_mcp.pool import PoolMetadata
    from tests.http.clients import Era, Model, Transport
    from tests.http.conftest import Serve
    from tests.support.toy_pool import ToyPool

SLOW = "print('on', flush=True)\nimport time; time.sleep({}); 'finished'"


async def test_probes_are_for_anybody_and_tell_nothing(serve: Serve) -> None:
    async with serve() as server:
        for path, text in (("/healthz", "alive\n"), ("/readyz", "ready\n")):
            for headers in ({}, {"Host": "10.1.2.3"}, {"Origin": "https://evil.example"}):
                answer = await server.http.get(path, headers=headers)
                assert (answer.status_code, answer.text) == (200, text)


async def test_a_pool_that_does_not_answer_is_not_ready_and_is_asked_again(
    serve: Serve, toy_pool: ToyPool, monkeypatch: pytest.MonkeyPatch
) -> None:

    async def away() -> PoolMetadata:
        raise SessionPoolError("secret detail")

    async with serve(readiness_seconds=0) as server:
        assert (await server.http.get("/readyz")).status_code == 200
        with monkeypatch.context() as pool_is:
            pool_is.setattr(toy_pool, "metadata", away)
            answer = await server.http.get("/readyz")
            assert (answer.status_code, answer.text) == (503, "not ready\n")
            assert (await server.http.get("/healthz")).status_code == 200
        assert (await server.http.get("/readyz")).status_code == 200


async def test_a_server_that_is_being_stopped_takes_no_work_and_finishes_what_runs(
    serve: Serve, toy_pool: ToyPool, era: Era, transport: Transport
) -> None:
    said: list[str] = []

    async def run() -> None:
        said.append(await client("execute_python", code="await go.wait(); 'finished'"))

    go = anyio.Event()
    async with serve() as server, connected(server.address, transport, era) as client:
        await client("execute_python", code="pass")
        (session,) = toy_pool.sessions.values()
        session.variables["go"] = go
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await until(lambda: session.scope is not None)
            assert not await server.app.drain(within_seconds=0.01)
            assert (await server.http.get("/readyz")).status_code == 503
            refused = await Endpoint(server.http).modern("list_files", {})
            assert refused.status_code == 503
            assert refused.headers["retry-after"]
            go.set()
            assert await server.app.drain(within_seconds=5)
    assert said == ["'finished'"]


async def test_running_code_is_answered_before_the_process_ends() -> None:
    """Of every client, by each transport and era."""
    ways: list[tuple[Transport, Era]] = list(product(("http", "sse"), ("legacy", "2026-07-28")))
    heard = [Heard() for _ in ways]
    said: list[str] = []

    async def run(client: Model, hears: Heard) -> None:
        arguments = client.passed({"code": SLOW.format(1)})
        result = await client.client.call_tool("execute_python", arguments, progress_callback=hears)
        said.append(text_of(result))

    with server_process([], "--transport", "http,sse") as (address, pid), anyio.fail_after(50):
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(connected(address, *way)) for way in ways]
            for client in clients:
                await client("execute_python", code="1")
            async with anyio.create_task_group() as tasks:
                for client, hears in zip(clients, heard, strict=True):
                    tasks.start_soon(run, client, hears)
                for hears in heard:
                    await hears.first.wait()
                os.kill(pid, signal.SIGTERM)
    assert said == ["on\n[value]\n'finished'"] * len(ways)


@pytest.mark.parametrize(
    ("seconds", "interrupts", "said"),
    [
        ("0.2", 1, "still running are ended"),
        ("600", 2, "waiting up to 600 s for 1 call to finish; Ctrl-C again ends at once"),
    ],
)
async def test_code_that_is_not_waited_for_is_ended_with_its_session(
    seconds: str, interrupts: int, said: str
) -> None:
    """Since its time is up, or a person asks again."""
    log: list[str] = []
    settings = ("--transport", "http,sse", "--shutdown-seconds", seconds)
    with server_process(log, *settings) as (address, pid):

        async def stop(progress: float, total: float | None, message: str | None) -> None:
            for _ in range(interrupts):
                os.kill(pid, signal.SIGINT)
                await anyio.sleep(0.3)  # signals of a kind that wait together are one

        with anyio.fail_after(20):
            async with connected(address, "sse", "legacy") as client:
                with pytest.raises(MCPError, match="Connection closed"):
                    await client.client.call_tool(
                        "execute_python", {"code": SLOW.format(60)}, progress_callback=stop
                    )
    assert said in log[0]
