"""Answers as services, images and proxies were seen to give them, and what a caller is told."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from aca_mcp.azure.pip_in_session import packed
from aca_mcp.azure.responses import ExecutionResponse, Fault
from aca_mcp.errors import (
    AuthenticationFailedError,
    InvalidRequestError,
    NotSupportedError,
    PoolUnavailableError,
)
from aca_mcp.pool import ExecutionStatus
from tests.azure.service import ENDPOINT, IDENTIFIER, Service, answer, enter, fault, run, succeeded
from tests.support.foreign_errors import content

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

CUSTOM = "https://pool.env.westus2.azurecontainerapps.io"
TIMED_OUT = "Request timed out waiting for code execution to complete"


def failed(stderr: str, **result: object) -> httpx.Response:
    told = {"stdout": "", "stderr": stderr, "executionResult": "", **result}
    return answer(200, {"id": "e", "status": "Failed", "result": told})


@pytest.mark.parametrize(
    ("stderr", "seconds"),
    [
        (TIMED_OUT, "30"),
        (f"{TIMED_OUT} after 120 seconds", "120"),
        (f"warning\n{TIMED_OUT}.\n", "30"),
    ],
)
async def test_a_timeout_in_the_services_words_is_a_timeout(stderr: str, seconds: str) -> None:
    service = Service()
    async with service.pool() as pool:
        await enter(service, pool)
        service.answers += [failed(stderr, stdout="so far"), succeeded("aca-mcp-present")]
        execution = await run(pool)
    assert execution.status is ExecutionStatus.TIMED_OUT
    assert execution.error is not None
    assert (execution.error.name, execution.stdout.text) == ("TimeoutError", "so far")
    assert f"after {seconds} seconds" in execution.error.message
    assert execution.stderr.text == ("warning\n" if "warning" in stderr else "")


@pytest.mark.parametrize(
    ("stderr", "name", "says"),
    [
        ("Kernel restarted", "KernelRestarted", "out of memory. Its variables are gone"),
        ("x\nkernel restarted.\n", "KernelRestarted", "out of memory"),
        ("Execution aborted", "ExecutionAborted", "probably did not run: try it again"),
    ],
)
async def test_an_end_by_the_service_is_told_with_what_to_do(
    stderr: str, name: str, says: str
) -> None:
    service = Service()
    async with service.pool() as pool:
        await enter(service, pool)
        service.answers.append(failed(stderr))
        execution = await run(pool)
    assert execution.status is ExecutionStatus.FAILED
    assert execution.error is not None
    assert execution.error.name == name
    assert says in execution.error.message


async def test_words_that_the_code_wrote_itself_are_its_own() -> None:
    for stderr in ("Kernel restarted by me", "Kernel restarted\nTraceback (most recent call last)"):
        service = Service()
        async with service.pool() as pool:
            await enter(service, pool)
            service.answers.append(failed(stderr))
            execution = await run(pool)
        assert execution.error is not None
        assert execution.error.name != "KernelRestarted"


async def test_bare_lists_of_files_are_taken() -> None:
    file = {"name": "a.txt", "type": "file", "sizeInBytes": 3}
    service = Service(answer(200, [file]), answer(200, [file]), answer(200, []))
    async with service.pool(CUSTOM) as pool:
        listed = await pool.list_files(IDENTIFIER)
        assert [entry.path for entry in listed.entries] == ["a.txt"]
        entry = await pool.upload_file(IDENTIFIER, "a.txt", content(b"abc"))
        assert entry.size_bytes == 3
        assert datetime.now(UTC) - entry.modified_at < timedelta(minutes=1)
        assert (await pool.list_files(IDENTIFIER)).entries == ()


async def test_a_begun_execution_whose_id_is_printed_is_followed() -> None:
    begun = {"status": "NotStarted", "result": {"stdout": "operation-1234\n", "stderr": ""}}
    service = Service()
    async with service.pool(CUSTOM) as pool:
        await enter(service, pool)
        service.answers += [answer(200, begun), succeeded(7)]
        execution = await run(pool, seconds=200)
    assert execution.outputs[0].data["text/plain"] == "7"
    assert service.paths[-1] == "GET /executions/operation-1234"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('"The code is not valid."', "The code is not valid."),
        ('{"error": "No such file."}', "No such file."),
        ('{"error": {"code": "X", "message": "m", "target": "t"}}', "m (t)"),
        ('{"error": {"code": "X", "details": [{"target": "a"}, {"target": "b"}]}}', "(a, b)"),
        ('{"error": {"message": "t is wrong", "target": "t"}}', "t is wrong"),
        ("[1]", ""),
    ],
)
def test_errors_are_found_in_every_shape(body: str, message: str) -> None:
    assert Fault.find(body.encode()).message == message


@pytest.mark.parametrize("status", [400, 404])
async def test_a_session_that_has_ended_is_not_there(status: int) -> None:
    code = "SessionWithIdentifierNotFound" if status == 400 else "NoSessionFoundError"
    service = Service(*[fault(status, code) for _ in range(3)])
    async with service.pool() as pool:
        assert await pool.get_session(IDENTIFIER) is None
        assert not await pool.keep_alive(IDENTIFIER)
        assert not await pool.stop_session(IDENTIFIER)


async def test_a_custom_container_pool_is_asked_by_its_management_operation() -> None:
    there = {"identifier": IDENTIFIER, "expiresAt": "2030-01-01T00:00:00Z", "etag": "1"}
    service = Service(
        answer(200, there),
        fault(400, "SessionWithIdentifierNotFound"),
        answer(200, there),
        answer(200, []),
    )
    async with service.pool(CUSTOM) as pool:
        info = await pool.get_session(IDENTIFIER)
        assert info is not None
        assert info.expires_at is not None
        assert info.expires_at.year == 2030
        assert not await pool.keep_alive(IDENTIFIER)  # and none is allocated by asking
        assert await pool.keep_alive(IDENTIFIER)
    assert service.paths == ["POST /.management/getSession"] * 3 + ["GET /files"]


async def test_a_container_that_does_not_know_the_operation_is_not_a_lost_session() -> None:
    service = Service(answer(404), answer(404), answer(200, []))
    async with service.pool(CUSTOM) as pool:
        with pytest.raises(NotSupportedError):
            await pool.get_session(IDENTIFIER)
        assert await pool.keep_alive(IDENTIFIER)


async def test_a_rejection_without_a_word_names_the_role_and_the_version() -> None:
    service = Service(answer(401), answer(401), fault(401, "X", "expired"), answer(401))
    async with service.pool() as pool:
        with pytest.raises(AuthenticationFailedError) as told:
            await run(pool)
        for word in ("Session Executor", "not reached the pool yet", "ACA_MCP_AZURE_API_VERSION"):
            assert word in told.value.message
        service.answers.clear()
        service.answers += [answer(401), fault(401, "X", "The token has expired.")]
        with pytest.raises(AuthenticationFailedError) as told:
            await run(pool)
    assert told.value.message.endswith("It says: The token has expired.")


async def test_how_long_to_wait_and_where_a_redirection_leads_are_said() -> None:
    moved = answer(302, None, Location=f"https://login.example/x?identifier={IDENTIFIER}")
    service = Service(answer(429, None, Retry_After="120"), moved)
    async with service.pool() as pool:
        with pytest.raises(PoolUnavailableError, match="Try again in 120 s"):
            await run(pool)
        with pytest.raises(PoolUnavailableError) as told:
            await run(pool)
    assert "https://login.example/x" in told.value.message
    assert IDENTIFIER not in told.value.message


@pytest.mark.parametrize(
    "link",
    [
        f"{ENDPOINT}/files?skip=1",
        f"{ENDPOINT.upper().replace('HTTPS', 'https')}/files?skip=1",
        "files?skip=1",
        "/files?skip=1",
        f"{ENDPOINT.removeprefix('https://westus2.dynamicsessions.io')}/files?skip=1",
        "?skip=1",
    ],
)
async def test_a_next_page_is_found_however_it_is_named(link: str) -> None:
    first = {"value": [{"name": "a", "type": "file"}], "nextLink": link}
    service = Service(answer(200, first), answer(200, {"value": [{"name": "b", "type": "file"}]}))
    async with service.pool() as pool:
        listed = await pool.list_files(IDENTIFIER)
    assert [entry.path for entry in listed.entries] == ["a", "b"]
    assert service.requests[1].url.params["skip"] == "1"


@pytest.mark.parametrize(
    "refusal",
    [
        {"error": {"code": "X", "message": "m", "target": "outputStreamsMaxLength"}},
        {"title": "A validation error.", "errors": {"OutputStreamsMaxLength": ["x"]}},
    ],
)
async def test_a_bound_of_output_that_is_refused_is_left_out_from_then_on(refusal: object) -> None:
    cut = succeeded("", stdout="x" * 4096)
    service = Service(answer(400, refusal), succeeded(), cut, succeeded(2))
    async with service.pool() as pool:
        assert (await run(pool)).stdout.cut
        await run(pool)
    bounded = ["outputStreamsMaxLength" in service.sent(at) for at in range(4)]
    assert bounded == [True, False, False, False]


async def test_packages_are_asked_for_by_code_where_metadata_is_refused() -> None:
    service = Service(fault(400, "X"), succeeded(packed([("a", "1", ["a"])])))
    async with service.pool() as pool:
        assert (await pool.metadata()).packages == ()
        assert [each.name for each in await pool.list_packages(IDENTIFIER)] == ["a"]


def runtimes(name: str) -> httpx.Response:
    return answer(200, {"runtimes": [{"name": name, "version": "1"}]})


@pytest.mark.parametrize(
    ("runtime", "kind"), [("Node", "NodeLTS pool"), ("node", "NodeLTS pool"), ("C#", "not run Py")]
)
@pytest.mark.parametrize(
    "given",
    [
        fault(400, "SessionPropertiesMissing", "Property 'shellCommand' is required."),
        failed("evalmachine.<anonymous>:1\nSyntaxError: Unexpected token"),
    ],
    ids=["refused", "failed"],
)
@pytest.mark.parametrize("rich", [True, False])
async def test_a_pool_of_another_kind_is_named_at_the_first_call(
    runtime: str, kind: str, given: httpx.Response, rich: bool
) -> None:
    # Before it, the directory is entered; after it, our module is looked for.
    another = [] if given.status_code == 400 else [given]
    service = Service(*another, given, runtimes(runtime))
    async with service.pool(rich_results=rich) as pool:
        with pytest.raises(NotSupportedError, match=kind):
            await run(pool)


@pytest.mark.parametrize("rich", [True, False])
async def test_a_pool_that_said_it_is_of_another_kind_is_sent_no_code(rich: bool) -> None:
    service = Service(runtimes("Node"))
    async with service.pool(rich_results=rich) as pool:
        await pool.metadata()
        with pytest.raises(NotSupportedError, match="NodeLTS pool"):
            await run(pool)


async def test_code_that_fails_at_first_is_not_taken_for_another_kind_of_pool() -> None:
    bad = failed('Traceback (most recent call last):\n  File "<x>"\nValueError: bad')
    service = Service(succeeded(), bad, runtimes("python"), bad, fault(400, "X"))
    async with service.pool() as pool:
        assert (await run(pool)).status is ExecutionStatus.FAILED
        assert (await run(pool)).status is ExecutionStatus.FAILED
        with pytest.raises(InvalidRequestError):
            await run(pool)


@pytest.mark.parametrize(
    ("body", "id_"),
    [
        ({"status": "NotStarted", "result": {"stdout": "op-12345"}}, "op-12345"),
        ({"status": "NotStarted", "operationId": "op-1"}, "op-1"),
        ({"status": "Running", "rawResult": {"operationId": "op-2"}}, "op-2"),
        ({"status": "NotStarted", "result": {"stdout": "not an id"}}, ""),
        ({"status": "Succeeded", "result": {"stdout": "op-12345"}}, ""),
    ],
)
def test_an_executions_id_is_found_where_it_is_told(body: Mapping[str, Any], id_: str) -> None:
    assert ExecutionResponse.read(json.dumps(body).encode()).id == id_
