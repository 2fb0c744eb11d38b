"""What is refused before any tool is called, on a real socket, and what is said."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

import anyio
import httpx
import pytest

from aca_mcp.hosts import parse_hosts
from aca_mcp.server.app import ServerOptions
from aca_mcp.server.http.app import HttpOptions, open_http_app
from aca_mcp.server.sessions.client_sessions import open_sessions
from tests.http.clients import Endpoint, call, connected, text_in
from tests.server.http.serving import served, server_process
from tests.support.odd_pools import OddPool
from tests.support.server_process import INITIALIZE
from tests.support.streams import content, pieces
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.http.conftest import Serve
    from tests.support.toy_pool import ToyPool

NO_MESSAGES = (
    b"",
    b"{",
    b"[]",
    b"null",
    b"{}",
    b"\xff\xfe",
    b"[" * 5000,
    b'{"jsonrpc":"2.0","id":1}',
)
VERSIONS = ("", "2025-11-25", "2026-07-28", "1999-01-01", "x" * 5000)
FOREVER = "import anyio\nprint('on')\nawait anyio.sleep(60)"


async def test_other_names_and_pages_are_refused_on_every_path(serve: Serve) -> None:
    async with serve() as server:
        for path in ("/mcp", "/sse", "/messages/", "/transfers/x", "/nowhere"):
            for method in ("GET", "POST", "DELETE", "OPTIONS"):
                bad_host = {"Host": "evil.example"}
                answer = await server.http.request(method, path, headers=bad_host)
                assert answer.status_code == 421
                bad_origin = {"Origin": "https://evil.example"}
                answer = await server.http.request(method, path, headers=bad_origin)
                assert answer.status_code == 403


async def test_names_and_pages_that_were_allowed_are_let_in(serve: Serve) -> None:
    names, pages = parse_hosts("mcp.example.com"), frozenset({"https://app.example.com"})
    headers = {"Host": "mcp.example.com", "Origin": "https://app.example.com"}
    async with serve(allowed_hosts=names, allowed_origins=pages) as server:
        answer = await Endpoint(server.http, **headers).post(INITIALIZE)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "https://app.example.com"
        asks = {**headers, "Access-Control-Request-Method": "POST"}
        assert (await server.http.options("/mcp", headers=asks)).status_code == 200


def test_listening_everywhere_checks_them_too() -> None:
    everywhere = ("--host", "0.0.0.0", "--allow-unauthenticated")
    with server_process([], *everywhere) as (address, _):
        address = address.replace("0.0.0.0", "127.0.0.1")
        for headers, status in (
            ({"Host": "evil.example"}, 421),
            ({"Origin": "https://evil.example"}, 403),
        ):
            assert httpx.post(f"{address}/mcp", headers=headers).status_code == status
        ready = httpx.get(f"{address}/readyz", headers={"Host": "10.0.0.7:8000"}, timeout=30)
        assert ready.status_code == 200


async def test_a_request_that_is_too_large_is_refused(serve: Serve) -> None:
    async with serve(max_request_bytes=10_000) as server:
        endpoint = Endpoint(server.http)
        assert (await endpoint.post(call("x", {"code": "#" * 20_000}))).status_code == 413
        await endpoint.open()
        assert (await endpoint.post(call("x", {"code": "#" * 20_000}))).status_code == 413
        assert (await endpoint.modern("x", {"code": "#" * 20_000})).status_code == 413
        async with connected(server.address, "sse", "legacy") as client:
            assert await client("execute_python", code="1") == "1"


async def test_a_chunked_request_has_no_length_to_lie_about(serve: Serve) -> None:
    async with serve(max_request_bytes=10_000) as server:
        headers = Endpoint(server.http).headers
        answer = await server.http.post(
            "/mcp", content=content(*[b"#" * 1000] * 20), headers=headers
        )
        assert answer.status_code == 413


@pytest.mark.parametrize("value", [b"[],", b"1,", b'"a",', b'{"a":1},'])
async def test_a_message_of_values_without_end_is_refused_before_it_is_read(
    serve: Serve, value: bytes
) -> None:
    head = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"a":['
    body = head + value * (3 * 2**20 // len(value)) + b"0]}}}"

    async with serve() as server:
        headers = Endpoint(server.http).headers
        for sent in (body, pieces(body, 2**18)):
            answer = await server.http.post("/mcp", content=sent, headers=headers)
            assert answer.status_code == 413
            assert "more values than are read" in answer.text


async def test_a_long_text_in_a_message_is_read(serve: Serve) -> None:
    code = f"len({'[],' * 2**19 * 2!r})"
    message = json.dumps(call("execute_python", {"code": code})).encode()

    async with serve() as server:
        endpoint = Endpoint(server.http)
        await endpoint.open()
        for sent in (message, pieces(message, 2**18)):
            answer = await server.http.post("/mcp", content=sent, headers=endpoint.headers)
            assert answer.status_code == 200
            assert "at most 1000000 characters" in answer.text  # as the tool says


async def test_there_are_so_many_connections(serve: Serve) -> None:
    async with serve(max_connections=1) as server:
        await Endpoint(server.http).open()
        assert (await Endpoint(server.http).post(INITIALIZE)).status_code == 429
        async with server.http.stream("GET", "/sse") as first:
            assert first.status_code == 200
            second = await server.http.get("/sse")
            assert second.status_code == 429
            assert second.headers["retry-after"]


async def test_a_connection_that_ended_makes_room(serve: Serve) -> None:
    async with serve(max_connections=1) as server:
        first = Endpoint(server.http)
        await first.open()
        assert (await server.http.delete("/mcp", headers=first.headers)).status_code == 200
        await Endpoint(server.http).open()
        for _ in range(3):
            async with connected(server.address, "sse", "legacy") as client:
                await client("execute_python", code="1")


async def test_too_many_requests_are_told_when_to_come_back(serve: Serve) -> None:
    async with serve(max_calls_per_minute=3) as server:
        answers = [await Endpoint(server.http).modern("list_files", {}) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert 0 < int(answers[-1].headers["retry-after"]) <= 60


async def test_too_many_requests_at_once_are_too(serve: Serve, toy_pool: ToyPool) -> None:
    async with serve(max_concurrent_calls=1) as server:
        endpoint = Endpoint(server.http)
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_run_for_ever, endpoint)
                await until(lambda: any(each.scope for each in toy_pool.sessions.values()))
                refused = await endpoint.modern("list_files", {})
                assert refused.status_code == 429
                assert refused.headers["retry-after"] == "1"
                tasks.cancel_scope.cancel()
        # The client that left took its execution with it, and its place is free again.
        await until(lambda: not any(each.scope for each in toy_pool.sessions.values()))
        assert (await endpoint.modern("list_files", {})).status_code == 200


async def _run_for_ever(endpoint: Endpoint) -> None:
    await endpoint.modern("execute_python", {"code": FOREVER})


async def test_what_is_no_message_is_refused_and_never_a_crash(serve: Serve) -> None:
    async with serve() as server:
        for body, version in itertools.product(NO_MESSAGES, VERSIONS):
            headers = httpx.Headers(Endpoint(server.http).headers)
            if version:
                headers["Mcp-Protocol-Version"] = version
            answer = await server.http.post("/mcp", content=body, headers=headers)
            assert 400 <= answer.status_code < 500, (body, version)
            assert "Traceback" not in answer.text


async def test_a_pool_that_fails_in_its_own_way_ends_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with (
        open_sessions(OddPool(KeyError("a secret"), "metadata")) as sessions,
        open_http_app(sessions, ServerOptions(), HttpOptions()) as app,
        served(app) as address,
        httpx.AsyncClient(base_url=address, timeout=10) as http,
    ):
        assert (await http.get("/readyz")).status_code == 503
        assert (await http.get("/healthz")).text == "alive\n"
    assert "secret" not in caplog.text


@pytest.mark.parametrize("path", ["/mcp", "/mcp/"])
@pytest.mark.parametrize("accept", [None, "*/*", "application/json"])
async def test_a_slash_at_the_end_and_no_accept_header_are_served(
    serve: Serve, path: str, accept: str | None
) -> None:
    async with serve() as server:
        request = server.http.build_request("POST", path, json=INITIALIZE)
        del request.headers["accept"]
        if accept is not None:
            request.headers["accept"] = accept
        answer = await server.http.send(request)
        assert answer.status_code == 200
        assert "serverInfo" in answer.text


@pytest.mark.parametrize("accept", ["*/*", "application/json"])
async def test_whatever_is_accepted_is_served_in_the_newer_era(serve: Serve, accept: str) -> None:
    async with serve() as server:
        answer = await Endpoint(server.http, Accept=accept).modern("execute_python", {"code": "41"})
        assert answer.status_code == 200
        assert text_in(answer).endswith("41")


async def test_a_slash_at_the_end_of_sse_is_served(serve: Serve) -> None:
    async with serve() as server, server.http.stream("GET", "/sse/") as answer:
        assert answer.status_code == 200
