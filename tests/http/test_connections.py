"""Whose session a request reaches, and when a connection's session ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest
from mcp import Client
from mcp.client.sse import sse_client

from tests.http.clients import ALICE, BOB, WHO, Endpoint, Model, answer_of, call, connected, text_in
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.http.clients import Era, Transport
    from tests.http.conftest import Serve
    from tests.support.toy_pool import ToyPool


async def test_delete_ends_the_session_at_once(serve: Serve, toy_pool: ToyPool) -> None:
    async with serve() as server:
        client = Endpoint(server.http)
        await client.open()
        await client.post(call("execute_python", {"code": "x = 1"}))
        assert len(toy_pool.sessions) == 1
        assert (await server.http.delete("/mcp", headers=client.headers)).status_code == 200
        assert not toy_pool.sessions
        assert (await client.post(call("execute_python", {"code": "x"}))).status_code == 404


async def test_delete_of_what_is_not_a_connection_ends_nothing(
    serve: Serve, toy_pool: ToyPool
) -> None:
    async with serve() as server:
        client = Endpoint(server.http)
        await client.open()
        await client.post(call("execute_python", {"code": "x = 1"}))
        other = {**client.headers, "Mcp-Session-Id": "0" * 32}
        assert (await server.http.delete("/mcp", headers=other)).status_code == 404
        del other["Mcp-Session-Id"]
        assert (await server.http.delete("/mcp", headers=other)).status_code == 400
        assert len(toy_pool.sessions) == 1


async def test_leaving_ends_the_session_of_an_sse_connection(
    serve: Serve, toy_pool: ToyPool, era: Era
) -> None:
    async with serve() as server:
        async with connected(server.address, "sse", era) as client:
            await client("execute_python", code="x = 1")
            assert len(toy_pool.sessions) == 1
        await until(lambda: not toy_pool.sessions)


@pytest.mark.parametrize(
    ("transport", "era", "said"),
    [
        # The client of SSE stays connected, so only the server can tell it.
        ("sse", "legacy", ("nobody used it", "NameError")),
        ("http", "2026-07-28", ("has ended", "start_session")),
    ],
)
async def test_a_session_that_was_idle_for_too_long_is_said_to_be_gone(
    serve: Serve, toy_pool: ToyPool, transport: Transport, era: Era, said: tuple[str, str]
) -> None:
    async with (
        serve(idle_seconds=0.2) as server,
        connected(server.address, transport, era) as client,
    ):
        await client("execute_python", code="x = 1")
        await until(lambda: not toy_pool.sessions)
        text = await client.refusal("execute_python", code="x")
        assert all(words in text for words in said), text


async def test_a_newer_client_reaches_nothing_by_an_older_ones_name(
    serve: Serve, toy_pool: ToyPool
) -> None:
    async with serve() as server:
        older = Endpoint(server.http)
        name = await older.open()
        await older.post(call("execute_python", {"code": "x = 1"}))
        for sent in (name, "0" * 32, "", "ses_x"):
            answer = await Endpoint(server.http).modern(
                "execute_python", {"code": "x"}, Mcp_Session_Id=sent
            )
            assert answer.status_code == 200
            assert "NameError" in text_in(answer)
            assert "This is a new session" in text_in(answer)
        assert len(toy_pool.sessions) == 5


async def test_a_connection_is_its_principals_alone(serve: Serve) -> None:
    async with serve(authentication=WHO) as server:
        alice = Endpoint(server.http, Authorization=f"Bearer {ALICE}")
        name = await alice.open()
        await alice.post(call("execute_python", {"code": "x = 1"}))
        thief = Endpoint(server.http, **{**alice.headers, "Authorization": f"Bearer {BOB}"})
        assert (await thief.post(call("execute_python", {"code": "x"}))).status_code == 404
        assert (await server.http.get("/mcp", headers=thief.headers)).status_code == 404
        assert (await server.http.delete("/mcp", headers=thief.headers)).status_code == 404
        nobody = {"Mcp-Session-Id": name}
        assert (await server.http.delete("/mcp", headers=nobody)).status_code == 401
        answer = await alice.post(call("execute_python", {"code": "x"}))
        assert text_in(answer) == "1"


async def test_an_sse_connection_is_its_principals_alone(serve: Serve, toy_pool: ToyPool) -> None:
    opened: list[str] = []
    async with serve(authentication=WHO) as server:
        stream = sse_client(
            f"{server.address}/sse",
            headers={"Authorization": f"Bearer {ALICE}"},
            on_session_created=opened.append,
        )
        async with Client(stream, mode="legacy") as connection:
            client = Model(connection)
            await client("execute_python", code="x = 1")
            message = call("execute_python", {"code": "x = 2"})
            path = f"/messages/?session_id={opened[0]}"
            for token, status in ((BOB, 404), ("wrong", 401)):
                headers = {"Authorization": f"Bearer {token}"}
                answer = await server.http.post(path, json=message, headers=headers)
                assert answer.status_code == status
            for wrong in ("", "?session_id=", "?session_id=x", f"?session_id={'0' * 32}"):
                headers = {"Authorization": f"Bearer {ALICE}"}
                answer = await server.http.post(f"/messages/{wrong}", json=message, headers=headers)
                assert answer.status_code in {400, 404}
            assert await client("execute_python", code="x") == "1"


async def test_forged_and_foreign_handles_are_refused_in_the_same_words(serve: Serve) -> None:
    async with (
        serve(authentication=WHO) as server,
        connected(server.address, "http", "2026-07-28", token=ALICE) as alice,
        connected(server.address, "http", "2026-07-28", token=BOB) as bob,
    ):
        await alice("execute_python", code="x = 1")
        forged = alice.handle[:-2] + ("AA" if alice.handle[-2:] != "AA" else "BA")
        said = {
            await bob.refusal(tool, session=handle, **arguments)
            for handle in (alice.handle, forged, "ses_", "x" * 10_000, "\0", "../..", "ä")
            for tool, arguments in (
                ("execute_python", {"code": "x"}),
                ("list_files", {}),
                ("restart_session", {}),
            )
        }
        assert len(said) == 1
        assert "start_session" in said.pop()
        assert await alice("execute_python", code="x") == "1"


@pytest.mark.parametrize("handle", [1, [], {}, True, "ses_\ud800"])
async def test_a_handle_of_any_shape_is_an_answer_not_a_crash(serve: Serve, handle: object) -> None:
    async with serve() as server:
        answer = await Endpoint(server.http).modern(
            "execute_python", {"code": "1", "session": handle}
        )
        assert answer.status_code < 500
        told = answer_of(answer)
        assert "error" in told or told["result"]["isError"]


async def test_connections_leave_nothing_behind(serve: Serve, toy_pool: ToyPool, era: Era) -> None:
    async with serve() as server:
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(_come_and_go, server.address, era)
        # Nobody says when a client of 2026-07-28 has left: its handle is good until it is idle.
        await until(lambda: len(toy_pool.sessions) == (0 if era == "legacy" else 5))
    assert not toy_pool.sessions


async def _come_and_go(address: str, era: Era) -> None:
    for transport in ("http", "sse"):
        async with connected(address, transport, era) as client:
            await client("execute_python", code="1")
