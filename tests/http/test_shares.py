"""What one principal may hold of connections, streams and sessions, so that others find some."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from tests.http.clients import ALICE, BOB, WHO, Endpoint, call, connected, text_in
from tests.support.server_process import INITIALIZE
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.http.conftest import Running, Serve
    from tests.support.toy_pool import ToyPool


def client_of(server: Running, token: str) -> Endpoint:
    return Endpoint(server.http, Authorization=f"Bearer {token}")


async def test_connections_of_one_leave_some_to_another(serve: Serve) -> None:
    async with serve(authentication=WHO, max_connections=4) as server:
        first, second, third = (client_of(server, ALICE) for _ in range(3))
        await first.open()
        await second.open()
        refused = await third.post(INITIALIZE)
        assert refused.status_code == 429
        assert "ACA_MCP_MAX_CONNECTIONS_PER_PRINCIPAL" in refused.text
        assert refused.headers["retry-after"]
        await client_of(server, BOB).open()
        assert (await server.http.delete("/mcp", headers=first.headers)).status_code == 200
        await third.open()


async def test_a_handshake_that_fails_holds_nothing(serve: Serve) -> None:
    async with serve(authentication=WHO, max_connections=2) as server:
        alice = client_of(server, ALICE)
        for _ in range(3):
            assert (await alice.post({"jsonrpc": "2.0", "id": 1, "method": "ping"})).is_error
        await alice.open()


async def test_streams_of_one_leave_some_to_another(serve: Serve) -> None:
    async with (
        serve(authentication=WHO, max_connections=4) as server,
        AsyncExitStack() as streams,
    ):
        alice, bob = client_of(server, ALICE), client_of(server, BOB)
        for _ in range(2):
            stream = server.http.stream("GET", "/sse", headers=alice.headers)
            assert (await streams.enter_async_context(stream)).status_code == 200
        refused = await server.http.get("/sse", headers=alice.headers)
        assert refused.status_code == 429
        stream = server.http.stream("GET", "/sse", headers=bob.headers)
        assert (await streams.enter_async_context(stream)).status_code == 200


async def test_a_stream_that_ended_is_not_counted(serve: Serve) -> None:
    async with serve(authentication=WHO, max_connections=2) as server:
        for _ in range(3):
            async with connected(server.address, "sse", "legacy", token=ALICE) as client:
                assert await client("execute_python", code="1") == "1"
            await until(lambda: not server.sessions.connections_of("token:alice"))


async def test_sessions_of_one_leave_some_to_another(serve: Serve, toy_pool: ToyPool) -> None:
    async with serve(authentication=WHO, sessions_per_principal=2) as server:
        own = client_of(server, ALICE)
        for _ in range(2):
            answer = await own.modern("execute_python", {"code": "7"})
            assert "This is a new session" in answer.text
        answer = await own.modern("execute_python", {"code": "7"})
        assert "ACA_MCP_MAX_SESSIONS_PER_PRINCIPAL" in text_in(answer)
        assert len(toy_pool.sessions) == 2
        answer = await client_of(server, BOB).modern("execute_python", {"code": "7"})
        assert "This is a new session" in answer.text


async def test_connections_without_a_session_cost_no_share_of_them(serve: Serve) -> None:
    async with serve(authentication=WHO, sessions_per_principal=1) as server:
        idle, busy = client_of(server, ALICE), client_of(server, ALICE)
        await idle.open()
        await busy.open()
        assert 'isError":false' in (await list_files(busy)).replace(" ", "")
        refused = await list_files(idle)
        assert "ACA_MCP_MAX_SESSIONS_PER_PRINCIPAL" in refused
        assert (await server.http.delete("/mcp", headers=busy.headers)).status_code == 200
        assert 'isError":false' in (await list_files(idle)).replace(" ", "")


async def list_files(client: Endpoint) -> str:
    return (await client.post(call("list_files", {}))).text
