"""What odd answers come to where they are read: in a tool's result, and in a terminal."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING

import anyio
import httpx
import pytest

from aca_mcp.azure.code_wrapping import ABSENT
from aca_mcp.server.sessions.limits import Limits
from tests.azure.service import IDENTIFIER, answer, fault, succeeded
from tests.azure.shown_answers import Scripted, Terminal, no_gzip, told_to_model
from tests.support.connecting import connected
from tests.support.emulators import POOL_PATH, azure_pool_at

if TYPE_CHECKING:
    from collections.abc import Callable

TIMED_OUT = "Request timed out waiting for code execution to complete"


def failed(stderr: str) -> httpx.Response:
    result = {"stdout": "printed before\n", "stderr": stderr, "executionResult": ""}
    return answer(200, {"id": "e", "status": "Failed", "result": result})


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


def service_of(row: str, *, rich: bool) -> Scripted:
    """Answers every execution so; a plain session's is entered before."""
    entered = [] if rich else [succeeded]
    return Scripted(executions=[*entered, ROWS[row][0]])


@pytest.mark.parametrize("rich", [True, False], ids=["rich", "plain"])
@pytest.mark.parametrize("row", ROWS)
async def test_a_model_is_told(row: str, rich: bool) -> None:
    call = ("execute_python", {"code": "1"})
    (told,) = await told_to_model(service_of(row, rich=rich), call, rich=rich)
    assert all(words in told for words in ROWS[row][1]), told
    assert ("time was up" in told) == (row == "timeout")


@pytest.mark.parametrize("rich", [True, False], ids=["rich", "plain"])
@pytest.mark.parametrize("row", ROWS)
def test_a_person_is_told(row: str, rich: bool, terminal: Terminal) -> None:
    code, shown = terminal(service_of(row, rich=rich), "1", rich=rich)
    assert code == 1
    assert all(words in shown for words in ROWS[row][1]), shown
    assert "Traceback (most recent call last)" not in shown or row == "glued"


def printed(value: object) -> httpx.Response:
    return answer(
        200,
        json.dumps(
            {
                "status": "Succeeded",
                "result": {"stdout": "printed\n", "stderr": "warned", "executionResult": value},
            }
        ).encode(),
    )


def no_ipython() -> httpx.Response:
    return failed("ModuleNotFoundError: No module named 'IPython'")


NO_REPORTS: dict[str, list[Callable[[], httpx.Response]]] = {
    **{
        str(value): [functools.partial(printed, value), succeeded, lambda: succeeded(7)]
        for value in (None, {"a": 1}, float("nan"), 3, "text", "", "aca-mcp:9000:AAAA")
    },
    "missing": [
        lambda: answer(200, {"status": "Succeeded", "result": {"stdout": "printed\n"}}),
        succeeded,
        lambda: succeeded(7),
    ],
    # It is looked for, the directory is entered, and the code is sent as it is.
    "no IPython": [
        no_ipython,
        lambda: succeeded(ABSENT),
        succeeded,
        lambda: printed(6),
        lambda: succeeded(7),
    ],
}


@pytest.mark.parametrize("given", NO_REPORTS)
async def test_a_model_is_told_once_that_a_session_becomes_plain(given: str) -> None:
    call = ("execute_python", {"code": "1"})
    give = Scripted(executions=NO_REPORTS[given])
    first, second = await told_to_model(give, call, call, rich=True)
    assert "sent to this session as it is" in first
    assert "printed" in first
    assert second == "7"


@pytest.mark.parametrize("given", NO_REPORTS)
def test_a_person_is_told_that_a_session_becomes_plain(given: str, terminal: Terminal) -> None:
    code, shown = terminal(Scripted(executions=NO_REPORTS[given]), "1", rich=True)
    assert code == 0
    assert "sent to this session as it is" in shown
    assert "printed" in shown


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
        connected(pool, limits=Limits(keep_alive_seconds=0.01)) as call,
    ):
        assert "7" in await call("execute_python", code="1")
        with anyio.fail_after(20):
            while looked < 20:  # noqa: ASYNC110 -- the service tells nobody
                await anyio.sleep(0.005)
        assert "7" in await call("execute_python", code="1")
