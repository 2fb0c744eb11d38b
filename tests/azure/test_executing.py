"""Executing against a service that answers as it is known to."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
import pytest

from aca_mcp.azure.code_wrapping import ABSENT, PRESENT
from aca_mcp.errors import (
    AuthenticationFailedError,
    ExecutionOutcomeUnknownError,
    InvalidRequestError,
    NotSupportedError,
    PoolFullError,
    PoolUnavailableError,
)
from aca_mcp.pool import ExecutionStatus
from tests.azure.service import IDENTIFIER, Service, answer, enter, fault, run, succeeded
from tests.support.emulators import SHORT_WAITS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FULL = {"code": "SessionsCountExceedsLimit", "message": "There are already '5' active sessions."}
LOST = httpx.ReadError("lost")
UNREACHABLE = httpx.ConnectError("refused")


async def test_a_request_is_what_the_service_documents() -> None:
    service = Service()
    async with service.pool() as pool:
        await enter(service, pool)
        service.answers.append(succeeded(2))
        await run(pool, "1+1", 59.2)
    assert service.paths == ["POST /executions"]
    request = service.requests[0]
    assert dict(request.url.params) == {
        "api-version": "2025-10-02-preview",
        "identifier": IDENTIFIER,
    }
    assert request.headers["authorization"] == "Bearer emulator"
    assert len(request.headers["operation-id"]) == 36
    assert service.sent() == {
        "codeInputType": "Inline",
        "executionType": "Synchronous",
        "code": "1+1",
        "timeoutInSeconds": 60,
        "outputStreamsMaxLength": 2**20,
    }


async def test_plain_results_enter_the_work_directory_once() -> None:
    service = Service(succeeded(x_ms="1"), succeeded(1), succeeded(2))
    async with service.pool() as pool:
        await run(pool)
        await run(pool)
    assert [service.sent(at)["code"] for at in range(3)] == [
        "import os, sys; os.chdir('/mnt/data'); sys.modules.setdefault('_aca_mcp_entered', os)",
        "1",
        "1",
    ]


async def test_both_statuses_of_a_started_execution_are_taken_and_it_is_polled() -> None:
    running = {"id": "theirs/1", "identifier": IDENTIFIER, "status": "Running"}
    done = {**running, "status": "Succeeded", "result": {"executionResult": 7}}
    for status in (200, 202):
        service = Service()
        async with service.pool() as pool:
            await enter(service, pool)
            service.answers += [answer(status, running), answer(200, running), answer(200, done)]
            execution = await run(pool, seconds=200)
        assert execution.outputs[0].data["text/plain"] == "7"
        assert execution.execution_id == "theirs/1"
        assert service.sent(0)["executionType"] == "Asynchronous"
        # One segment, whatever its name is.
        assert service.requests[1].url.raw_path.split(b"?")[0].endswith(b"/executions/theirs%2F1")


async def test_an_asynchronous_execution_may_come_back_ended() -> None:
    service = Service()
    async with service.pool() as pool:
        await enter(service, pool)
        service.answers.append(succeeded(7))
        assert (await run(pool, seconds=200)).status is ExecutionStatus.SUCCEEDED
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    "lost",
    [LOST, httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("gone"), httpx.WriteError("cut")],
)
async def test_code_whose_answer_is_lost_is_never_sent_again(lost: Exception) -> None:
    service = Service()
    async with service.pool() as pool:
        await enter(service, pool)
        service.answers += [lost, fault(404, "ExecutionNotFound")]
        with pytest.raises(ExecutionOutcomeUnknownError, match="may have run"):
            await run(pool)
    assert [path.split("/")[1] for path in service.paths] == ["executions", "executions"]
    assert service.requests[0].method == "POST"
    assert service.requests[1].method == "GET"


@pytest.mark.parametrize("status", [408, 500, 502, 504])
async def test_a_gateway_that_does_not_know_leaves_the_outcome_unknown(status: int) -> None:
    service = Service()
    async with service.pool() as pool:
        await enter(service, pool)
        service.answers += [answer(status, b"<html>Bad Gateway</html>"), answer(404)]
        with pytest.raises(ExecutionOutcomeUnknownError):
            await run(pool)


async def test_an_outcome_that_the_service_still_knows_is_fetched() -> None:
    service = Service()
    async with service.pool() as pool:
        await enter(service, pool)
        service.answers += [LOST, succeeded("it ran")]
        execution = await run(pool)
    assert execution.outputs[0].data["text/plain"] == "it ran"
    assert service.paths[1] == f"GET /executions/{service.requests[0].headers['operation-id']}"


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"properties": {"status": '])
async def test_an_answer_that_cannot_be_read_leaves_the_outcome_unknown(body: bytes) -> None:
    service = Service()
    async with service.pool() as pool:
        await enter(service, pool)
        service.answers.append(answer(200, body))
        with pytest.raises(ExecutionOutcomeUnknownError):
            await run(pool)
    assert len(service.requests) == 1


async def test_an_answer_without_end_is_not_read_to_it() -> None:
    service = Service()
    async with service.pool(max_answer_bytes=1000) as pool:
        await enter(service, pool)
        service.answers.append(succeeded("x" * 2000))
        with pytest.raises(ExecutionOutcomeUnknownError, match="too large"):
            await run(pool)


@pytest.mark.parametrize(
    "turned_away",
    [
        UNREACHABLE,
        httpx.ConnectTimeout("slow"),
        answer(429),
        answer(503),
        answer(503, Retry_After="0"),
    ],
)
async def test_what_cannot_have_run_is_sent_again(turned_away: httpx.Response) -> None:
    service = Service()
    async with service.pool() as pool:
        await enter(service, pool)
        service.answers += [turned_away, succeeded(1)]
        assert (await run(pool)).status is ExecutionStatus.SUCCEEDED
    assert len(service.requests) == 2


async def test_trying_again_ends() -> None:
    service = Service(*[UNREACHABLE] * 400)
    async with service.pool(retry_seconds=1.5) as pool:
        with pytest.raises(PoolUnavailableError, match="cannot be reached"):
            await run(pool)
        assert len(service.requests) > 1
        service.answers.clear()


async def test_a_wait_longer_than_the_bound_is_not_begun() -> None:
    service = Service(answer(503, Retry_After="3600"))
    async with service.pool() as pool:
        with pytest.raises(PoolUnavailableError, match="503"):
            await run(pool)
    service = Service(answer(429, Retry_After="Wed, 21 Oct 2099 07:28:00 GMT"))
    async with service.pool() as pool:
        with pytest.raises(PoolUnavailableError, match="too many requests"):
            await run(pool)


@pytest.mark.parametrize(("status", "wrapped"), [(429, False), (429, True), (404, False)])
async def test_a_full_pool_is_explained_at_once(status: int, wrapped: bool) -> None:
    service = Service(answer(status, {"error": FULL} if wrapped else FULL))
    async with service.pool() as pool:
        with pytest.raises(PoolFullError, match="already '5' active"):
            await run(pool)


async def test_a_rejected_token_is_renewed_once_and_the_call_repeated() -> None:
    service = Service(answer(401), succeeded(), succeeded(1))
    async with service.pool() as pool:
        await run(pool)
    assert service.requests[0].content == service.requests[1].content
    service = Service(answer(401), fault(401, "Unauthorized"))
    async with service.pool() as pool:
        with pytest.raises(AuthenticationFailedError, match="audience"):
            await run(pool)


async def test_older_versions_are_not_asked_for_what_they_lack() -> None:
    service = Service(succeeded(), succeeded("", stdout="x" * 4096))
    async with service.pool(api_version="2024-10-02-preview") as pool:
        assert (await run(pool)).stdout.cut
        assert "outputStreamsMaxLength" not in service.sent()
        with pytest.raises(NotSupportedError, match="2024-10-02-preview"):
            await pool.get_session(IDENTIFIER)
        with pytest.raises(NotSupportedError, match="cooldown"):
            await pool.stop_session(IDENTIFIER)
        assert (await pool.metadata()).packages == ()


async def test_a_poll_without_end_is_ended() -> None:
    running = {"id": "1", "identifier": IDENTIFIER, "status": "Running"}
    service = Service()
    async with service.pool(pacing=replace(SHORT_WAITS, grace_seconds=0.1)) as pool:
        await enter(service, pool)
        service.answers += [answer(200, running) for _ in range(500)]
        with pytest.raises(ExecutionOutcomeUnknownError):
            await run(pool, seconds=0.1)
        service.answers.clear()


async def test_a_report_that_is_too_large_is_said_and_what_was_printed_is_kept() -> None:
    large = succeeded("aca-mcp:9999999999:A;", stdout="out", stderr="err")
    service = Service(large, succeeded(ABSENT), succeeded("aca-mcp:x"))
    async with service.pool(rich_results=True) as pool:
        execution = await run(pool)
        await run(pool)
    assert (execution.stdout.text, execution.stderr.text) == ("out", "err")
    assert "Display less" in str(execution.outputs[0].data["text/plain"])
    assert "run(" in service.sent(1)["code"]  # by the module, as before


@pytest.mark.parametrize(
    "value",
    [
        *("", None, {"a": 1}, float("nan"), 3, "text", ["aca-mcp:"]),
        # Cut, or otherwise than our module said it.
        *("aca-mcp:", "aca-mcp:x", "aca-mcp:5:????!;", "aca-mcp:4:AAAA;", "aca-mcp:9000:AAAA"),
        *("aca-mcp:90:AAAA...", "aca-mcp:4:AAAA", "'aca-mcp:8:AAAA", "aca-mcp:3:AAAA;"),
    ],
)
async def test_a_session_without_reports_becomes_plain_by_itself_and_says_so_once(
    value: object,
) -> None:
    odd = answer(
        200,
        json.dumps(
            {
                "status": "Succeeded",
                "result": {"stdout": "out", "stderr": "err", "executionResult": value},
            }
        ).encode(),
    )
    service = Service(odd, succeeded(), succeeded(7), succeeded(8))
    async with service.pool(rich_results=True) as pool:
        first, second, third = [await run(pool, code) for code in ("a", "b", "c")]
    assert (first.stdout.text, first.stderr.text) == ("out", "err")
    assert first.status is ExecutionStatus.SUCCEEDED
    assert "ACA_MCP_AZURE_RESULTS=plain" in str(first.outputs[0].data["text/plain"])
    assert [each.outputs[0].data["text/plain"] for each in (second, third)] == ["7", "8"]
    assert [service.sent(at)["code"] for at in (2, 3)] == ["b", "c"]


@pytest.mark.parametrize("more", ["aca-mcp:10:;", "aca-mcp:10:AA", "aca-mcp:11:AA;", ""])
async def test_a_part_of_a_report_that_is_none_is_said(more: str) -> None:
    service = Service(succeeded("aca-mcp:10:AAAA;", stdout="out"), succeeded(more))
    async with service.pool(rich_results=True) as pool:
        execution = await run(pool)
    assert execution.stdout.text == "out"
    assert "is sent to this session as it is" in str(execution.outputs[0].data["text/plain"])


async def test_a_part_of_a_report_that_cannot_be_fetched_is_said() -> None:
    service = Service(succeeded("aca-mcp:10:AAAA;", stdout="out"), answer(404))
    async with service.pool(rich_results=True) as pool:
        execution = await run(pool)
    assert execution.stdout.text == "out"
    assert "could not be fetched" in str(execution.outputs[0].data["text/plain"])


async def test_a_refusal_whose_words_are_lost_is_one_all_the_same() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"{"
        raise LOST

    service = Service(httpx.Response(400, content=broken()), answer(404))
    async with service.pool() as pool:
        with pytest.raises(InvalidRequestError, match="400"):
            await run(pool)


async def test_code_that_may_have_run_is_not_sent_again_without_the_module() -> None:
    """Only an interpreter that says it has no module has run nothing."""
    failed = {
        "id": "1",
        "identifier": IDENTIFIER,
        "status": "Failed",
        "result": {"stderr": "ImportError: no\n"},
    }
    for looked in (answer(200, failed), succeeded(PRESENT), succeeded("x"), answer(404)):
        service = Service(answer(200, failed), looked, answer(404))
        async with service.pool(rich_results=True) as pool:
            assert (await run(pool)).status is ExecutionStatus.FAILED


async def test_identifiers_are_never_in_an_error() -> None:
    service = Service(fault(400, "X", f"Bad session '{IDENTIFIER}'."), answer(404))
    async with service.pool() as pool:
        with pytest.raises(InvalidRequestError) as raised:
            await run(pool)
    assert IDENTIFIER not in str(raised.value)


async def test_the_body_is_json_whatever_the_code_is() -> None:
    service = Service()
    async with service.pool() as pool:
        await enter(service, pool)
        service.answers.append(succeeded())
        await run(pool, "'é\u2028\ud800'")
    assert json.loads(service.requests[0].content)["code"] == "'é\u2028\ud800'"
