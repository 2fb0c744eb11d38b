"""What odd answers come to where they are read: in a tool's result, and in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import httpx
import pytest
from mcp import Client

from aca_mcp.cli import main
from aca_mcp.server.app import ServerOptions, create_server
from aca_mcp.server.callers import Callers
from aca_mcp.server.sessions.client_sessions import open_sessions
from tests.azure.loopback_service import listening
from tests.azure.service import IDENTIFIER, answer, fault, succeeded
from tests.support.calling import Caller, text_of
from tests.support.emulators import POOL_PATH, azure_pool_at

if TYPE_CHECKING:
    from collections.abc import Callable

TIMED_OUT = "Request timed out waiting for code execution to complete"


def failed(stderr: str) -> httpx.Response:
    result = {"stdout": "printed before\n", "stderr": stderr, "executionResult": ""}
    return answer(200, {"id": "e", "status": "Failed", "result": result})


def no_gzip() -> httpx.Response:
    headers = {"content-encoding": "gzip"}
    return httpx.Response(200, stream=httpx.ByteStream(b"{}"), headers=headers)


ROWS: dict[str, tuple[Callable[[], httpx.Response], tuple[str, ...]]] = {
    "timeout": (lambda: failed(f"{TIMED_OUT} after 9 seconds"), ("printed before",)),
    "died": (lambda: failed("Kernel restarted"), ("printed before", "out of memory")),
    "aborted": (lambda: failed("Execution aborted"), ("probably did not run",)),
    "glued": (
        lambda: failed('careful!Traceback (most recent call last):\n  File "a"\nKeyError: 1'),
        ("careful!\n", "KeyError: 1"),
    ),
    "no gzip": (no_gzip, ("it may have run", "not in the encoding")),
    "a page": (
        lambda: answer(200, b"<title>Sign in to your account</title>"),
        ("HTTP status 200: Sign in to your account",),
    ),
    "a gateway": (lambda: answer(502, b"<h1>Bad Gateway</h1>"), ("HTTP status 502: Bad Gateway",)),
    "no content": (lambda: answer(204), ("HTTP status 204 without a word",)),
    "no role": (lambda: answer(401), ("Session Executor", "ACA_MCP_AZURE_API_VERSION")),
    "too many": (lambda: answer(429, None, Retry_After="120"), ("in 120 s",)),
    "moved": (
        lambda: answer(302, None, Location="https://login.example/a"),
        ("https://login.example/a",),
    ),
    "later at a time": (
        lambda: answer(503, None, Retry_After="Wed, 21 Oct 2099 07:28:00 GMT"),
        ("HTTP status 503", " s."),
    ),
    "a proxy": (lambda: answer(407, b"<h1>Log in</h1>"), ("HTTP status 407", "HTTPS_PROXY")),
    "half a body": (
        lambda: answer(200, b'{"status": "Succeeded", "result": {"std'),
        ("it may have run", "HTTP status 200"),
    ),
    "an array": (lambda: answer(200, b"[1]"), ("it may have run", "HTTP status 200")),
    "deep errors": (
        lambda: answer(400, {"error": {"error": {"error": {"code": "X", "message": "Far down."}}}}),
        ("Far down.",),
    ),
    "an error as a text": (
        lambda: answer(200, {"status": "Failed", "error": "Kernel is busy.", "result": None}),
        ("Kernel is busy.",),
    ),
    "a text": (lambda: answer(400, b'"Code is not welcome."'), ("Code is not welcome.",)),
    "a field": (lambda: fault(400, "X", "Validation failed."), ("Validation failed.",)),
}


def service_of(row: str) -> Callable[[str, str], httpx.Response]:
    """Enters the work directory, and then answers every execution so."""
    executions = 0

    def give(method: str, path: str) -> httpx.Response:
        nonlocal executions
        if method == "POST":
            executions += 1
            return succeeded() if executions == 1 else ROWS[row][0]()
        return answer(404)

    return give


@pytest.mark.parametrize("row", ROWS)
async def test_a_model_is_told(row: str) -> None:
    give = service_of(row)

    async def service(request: httpx.Request) -> httpx.Response:
        return give(request.method, str(request.url))

    transport = httpx.MockTransport(service)
    endpoint = f"http://127.0.0.1{POOL_PATH}"
    async with (
        azure_pool_at(endpoint, transport=transport, rich_results=False, retry_seconds=0) as pool,
        open_sessions(pool) as sessions,
        Client(create_server(Callers(sessions), ServerOptions()), mode="legacy") as client,
    ):
        call = Caller(client)
        told = text_of(await call.result("execute_python", code="1"))
        assert all(words in told for words in ROWS[row][1]), told
        assert ("time was up" in told) == (row == "timeout")
        # And the server goes on.
        assert (await client.list_tools()).tools


@pytest.mark.parametrize("row", ROWS)
def test_a_person_is_told(
    row: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with listening(service_of(row)) as address:
        settings = {
            "POOL_MANAGEMENT_ENDPOINT": address + POOL_PATH,
            "AZURE_CREDENTIAL": "emulator",
            "AZURE_RESULTS": "plain",
            "AZURE_RETRY_SECONDS": "0",
        }
        for name, value in settings.items():
            monkeypatch.setenv(f"ACA_MCP_{name}", value)
        assert main(["exec", "1"]) == 1
    shown = capsys.readouterr()
    assert all(words in shown.out + shown.err for words in ROWS[row][1]), shown
    assert "Traceback (most recent call last)" not in shown.err or row == "glued"


async def test_upkeep_that_meets_odd_answers_ends_nothing() -> None:
    looked = 0

    async def service(request: httpx.Request) -> httpx.Response:
        nonlocal looked
        if request.method == "POST":
            return succeeded(7)
        if request.method == "DELETE":
            return answer(204)
        looked += 1
        if request.url.path.endswith("/session"):
            return answer(200, {"identifier": IDENTIFIER, "etag": str(looked)})
        odd = [no_gzip(), answer(200, b"<html>"), answer(200), answer(200, [1]), answer(200, b"[")]
        return odd[looked % 5]

    transport = httpx.MockTransport(service)
    endpoint = f"http://127.0.0.1{POOL_PATH}"
    async with (
        azure_pool_at(endpoint, transport=transport, rich_results=False, retry_seconds=0) as pool,
        open_sessions(pool, keep_alive_seconds=0.01) as sessions,
        Client(create_server(Callers(sessions), ServerOptions()), mode="legacy") as client,
    ):
        call = Caller(client)
        assert "7" in await call("execute_python", code="1")
        with anyio.fail_after(20):
            while looked < 20:  # noqa: ASYNC110 -- the service tells nobody
                await anyio.sleep(0.005)
        assert "7" in await call("execute_python", code="1")
