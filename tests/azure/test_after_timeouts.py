"""What became of variables when time was up: the interpreter is asked, as the service is silent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from aca_mcp.azure.code_wrapping import ABSENT, PRESENT
from aca_mcp.emulator.emulator import open_emulator
from aca_mcp.local.pool import open_local_pool
from aca_mcp.pool import Execution, ExecutionStatus
from aca_mcp.server.results.report import report
from tests.azure.service import Answer, Service, answer, enter, fault, run, succeeded
from tests.local.pools import configuration, new_identifier
from tests.support.emulators import POOL_PATH, InProcess, azure_pool_at

if TYPE_CHECKING:
    from collections.abc import Callable

TIMED_OUT = "Request timed out waiting for code execution to complete"


def failed(stderr: str) -> httpx.Response:
    result = {"stdout": "", "stderr": stderr, "executionResult": ""}
    return answer(200, {"id": "e", "status": "Failed", "result": result})


def in_new_session(value: str) -> httpx.Response:
    response = succeeded(value)
    response.headers["x-ms-new-allocation"] = "true"
    return response


async def after(*answers: Answer) -> tuple[Service, Execution]:
    """A timeout, and what the interpreter answers then."""
    service = Service()
    async with service.pool(retry_seconds=0) as pool:
        await enter(service, pool)
        service.answers += [failed(TIMED_OUT), *answers]
        return service, await run(pool)


@pytest.mark.parametrize("value", [PRESENT, f"'{PRESENT}'"])
async def test_an_interpreter_that_is_the_same_has_its_variables(value: str) -> None:
    service, execution = await after(succeeded(value))
    assert (execution.status, execution.variables) == (ExecutionStatus.TIMED_OUT, "kept")
    assert "Variables and files are kept. Continue from there" in report(execution).closing
    assert len(service.paths) == 2


async def test_an_interpreter_that_was_restarted_has_lost_them_and_is_entered_again() -> None:
    service = Service()
    async with service.pool() as pool:
        await enter(service, pool)
        service.answers += [failed(TIMED_OUT), succeeded(ABSENT)]
        execution = await run(pool)
        assert execution.variables == "gone"
        assert execution.session_lost is None
        assert "Variables are gone, files are kept. Do less" in report(execution).closing
        service.answers += [succeeded(), succeeded(7)]
        again = await run(pool)
        # It was told when it happened.
        assert again.lost_before is None
    assert "chdir" in service.sent(-2)["code"]


async def test_another_session_in_its_place_has_lost_the_files_too() -> None:
    _, execution = await after(in_new_session(ABSENT))
    assert execution.session_lost is not None
    assert "The session ended" in report(execution).closing


@pytest.mark.parametrize(
    "given",
    [
        lambda: failed(TIMED_OUT),
        lambda: succeeded("something else"),
        lambda: answer(502, b"<h1>Bad Gateway</h1>"),
        lambda: fault(403, "Forbidden"),
        lambda: answer(200, b"<html>"),
        lambda: httpx.ConnectError("gone"),
    ],
    ids=["still busy", "no answer to it", "a gateway", "refused", "a page", "unreachable"],
)
async def test_where_it_does_not_say_nothing_is_claimed(given: Callable[[], Answer]) -> None:
    made = given()
    # What became of an execution whose answer is lost is asked for first.
    follows = [answer(404)] if isinstance(made, httpx.Response) and made.status_code == 502 else []
    _, execution = await after(made, *follows)
    assert execution.variables == "unknown"
    assert "whether variables are is not known" in report(execution).closing


async def test_a_question_that_is_dropped_right_after_a_timeout_is_asked_again() -> None:
    _, execution = await after(failed("Execution aborted"), succeeded(PRESENT))
    assert execution.variables == "kept"


async def test_what_is_said_is_true_of_real_interpreters() -> None:
    async with (
        open_local_pool(configuration(max_timeout_seconds=220)) as local,
        open_emulator(local) as app,
    ):
        transport = InProcess(app)
        for rich in (True, False):
            async with azure_pool_at(
                f"http://127.0.0.1{POOL_PATH}", transport=transport, rich_results=rich
            ) as pool:
                identifier = new_identifier()
                await pool.execute(identifier, "x = 7", timeout_seconds=30)
                sleeping = "import time; time.sleep(60)"
                execution = await pool.execute(identifier, sleeping, timeout_seconds=1)
                assert execution.status is ExecutionStatus.TIMED_OUT
                assert execution.variables == "kept"
                again = await pool.execute(identifier, "x", timeout_seconds=30)
                assert again.outputs[0].data["text/plain"] == "7"
