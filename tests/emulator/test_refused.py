"""What the emulator refuses, and how it says so."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest

from aca_mcp.emulator.access import Access
from aca_mcp.emulator.emulator import open_emulator
from aca_mcp.emulator.execution_requests import read_fields, read_python_request, read_shell_request
from aca_mcp.emulator.options import EmulatorOptions
from aca_mcp.hosts import parse_hosts
from aca_mcp.local.pool import open_local_pool
from tests.emulator.caller import LEGACY, MIDDLE, NEWEST, Caller, calling
from tests.local.pools import configuration

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from aca_mcp.local.pool import LocalSessionPool

MANAGED = "SessionWithIdentifierNotFound"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], "body"),
        ({"code": 1}, "code"),
        ({"code": "1", "timeoutInSeconds": 221}, "timeoutInSeconds"),
        ({"code": "1", "timeoutInSeconds": "x"}, "timeoutInSeconds"),
        ({"code": "1", "outputStreamsMaxLength": 0}, "outputStreamsMaxLength"),
        ({"code": "1", "executionType": "Later"}, "executionType"),
        ({"code": "1", "codeInputType": "Spoken"}, "codeInputType"),
        ({"code": "?", "codeInputType": "InlineBase64"}, "code"),
        ({"shellCommand": "ls"}, "shellCommand"),
    ],
)
async def test_a_body_that_does_not_fit_is_a_problem_report(
    call: Caller, body: object, field: str
) -> None:
    refused = await call("POST", "executions", json=body)
    assert refused.status_code == 400
    assert refused.headers["content-type"].startswith("application/problem+json")
    assert list(refused.json()["errors"]) == [field]


@pytest.mark.parametrize(
    ("method", "path", "params", "status", "code"),
    [
        ("GET", "files", {"api-version": "2020-01-01"}, 400, "InvalidApiVersion"),
        ("GET", "files", {"api-version": ""}, 400, "InvalidApiVersion"),
        ("GET", "files", {"identifier": "abc"}, 400, "InvalidLengthOfSessionIdentifier"),
        ("GET", "files", {"identifier": "ab\nc"}, 400, "InvalidSessionIdentifier"),
        ("PUT", "files", {}, 400, "SessionRequestNotSupported"),
        ("GET", "nothing", {}, 400, "SessionRequestNotSupported"),
        ("DELETE", "session", {"api-version": LEGACY}, 400, "SessionRequestNotSupported"),
        (
            "GET",
            "session",
            {"api-version": "2024-10-02-preview"},
            400,
            "SessionRequestNotSupported",
        ),
        ("POST", ".management/stopSession", {"api-version": MIDDLE}, 400, MANAGED),
        ("POST", ".management/getSession", {}, 400, MANAGED),
        ("GET", "files", {"path": "v1.2"}, 400, "FilePathInvalid"),
        ("GET", "files", {"path": "/mnt/datax"}, 400, "FilePathInvalid"),
        ("GET", "files", {"path": "/etc"}, 400, "FilePathInvalid"),
        ("GET", "files/%2Fmnt%2Fdatax%2Fa", {}, 400, "FileNameInvalid"),
        ("GET", "files/a%2Fb", {}, 400, "FileNameInvalid"),
        ("GET", "files/nothing/content", {}, 404, "FileNotFound"),
    ],
)
async def test_what_the_service_refuses(
    call: Caller, method: str, path: str, params: dict[str, str], status: int, code: str
) -> None:
    refused = await call(method, path, params=params)
    assert (refused.status_code, refused.json()["error"]["code"]) == (status, code)
    assert refused.headers["x-ms-error-code"] == code
    assert refused.json()["error"]["traceId"]


async def test_what_the_pool_refuses_is_said_in_each_dialect() -> None:
    too_long = {"code": "1", "timeoutInSeconds": 200}
    async with (
        open_local_pool(configuration(max_timeout_seconds=100)) as strict,
        calling(strict) as call,
    ):
        newer = await call("POST", "executions", json=too_long)
        older = await call("POST", "code/execute", LEGACY, json={"properties": too_long})
        started = await call(
            "POST", "executions", json={**too_long, "executionType": "Asynchronous"}
        )
        await anyio.wait_all_tasks_blocked()
        later = await call.http.get(started.headers["operation-location"])
        for refused in (newer, older, later):
            assert refused.status_code == 400
            assert "timeout" in refused.json()["error"]["message"]
        # What nobody asked for is no reason to refuse.
        assert await call.value("1") == 1
        assert await call.value("2", timeoutInSeconds=None) == 2
        assert (await call.run("3", LEGACY))["properties"]["executionResult"] == 3


@pytest.mark.parametrize("fields", [{}, {"timeoutInSeconds": None}])
def test_an_execution_that_names_no_timeout_has_the_services(fields: dict[str, object]) -> None:
    python, shell = {"code": "1", **fields}, {"shellCommand": "true", **fields}
    for read, given in ((read_python_request, python), (read_shell_request, shell)):
        asked = read(read_fields(json.dumps(given).encode(), "flat"))
        assert (asked.timeout_seconds, asked.names_timeout) == (220, False)
    asked = read_python_request({"code": "1", "timeoutInSeconds": 60})
    assert (asked.timeout_seconds, asked.names_timeout) == (60, True)


async def test_a_body_that_is_no_json_is_a_problem_report(call: Caller) -> None:
    refused = await call("POST", "executions", content=b"{")
    assert (refused.status_code, list(refused.json()["errors"])) == (400, ["body"])


async def test_a_file_that_is_too_large_is_refused(local: LocalSessionPool) -> None:
    async with calling(local, EmulatorOptions(max_file_bytes=2)) as call:
        for content in (b"abc", b"x" * 100_000):
            refused = await call("POST", "files", files={"file": ("a", content)})
            assert refused.status_code == 413
        assert (await call("GET", "files")).json()["value"] == []


async def test_an_empty_kernel_is_refused_loudly(call: Caller) -> None:
    refused = await call("POST", "executions", json={"code": "1", "useEmptyKernel": True})
    assert refused.json()["error"]["code"] == "SessionRequestNotSupported"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "multipart/form-data; boundary=x"),
        (b"abc", "text/plain"),
        (b"--x\r\ngarbage", "multipart/form-data; boundary=x"),
        (
            b'--x\r\nContent-Disposition: form-data; name="other"\r\n\r\nabc\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
        ),
        (
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc',
            "multipart/form-data; boundary=x",
        ),
    ],
    ids=["empty", "text", "garbage", "another field", "half"],
)
async def test_an_upload_without_a_whole_file_is_refused(
    call: Caller, body: bytes, content_type: str
) -> None:
    refused = await call("POST", "files", content=body, headers={"Content-Type": content_type})
    assert refused.status_code == 400
    assert (await call("GET", "files")).json()["value"] == []


@pytest.mark.parametrize(
    "body",
    [{}, {"code": None}, {"properties": {"code": "1"}}, {"properties": {"code": "1"}, "x": 1}],
)
@pytest.mark.parametrize("version", ["2024-10-02-preview", MIDDLE, NEWEST])
async def test_a_body_without_code_where_the_version_has_it_is_refused(
    call: Caller, version: str, body: object
) -> None:
    refused = await call("POST", "executions", version, json=body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (
        400,
        "SessionPropertiesMissing",
    )
    assert refused.json()["error"]["message"] == "Property 'code' is required but not provided."


@pytest.mark.parametrize(
    ("authorization", "status"),
    [("", 401), ("Bearer ", 401), ("Basic x", 401), ("Bearer x", 400), ("bearer x", 400)],
)
async def test_a_token_is_needed(local: LocalSessionPool, authorization: str, status: int) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    async with asking(local, EmulatorOptions()) as http:
        assert (await http.get("/files", headers=headers)).status_code == status


@pytest.mark.parametrize(
    "host",
    [
        "localhost:1",
        "LOCALHOST",
        "[::1]",
        "[::1]:8080",
        "127.0.0.2",
        "aca.localhost",
        "Aca.LOCAL:1",
        "pool.test",
        "pool.internal",
        "pool.internal.",
        "mine.example.com",
        "MINE.example.com:1",
    ],
)
async def test_names_that_no_web_page_can_have_are_answered(
    local: LocalSessionPool, host: str
) -> None:
    options = EmulatorOptions(Access(allowed_hosts=parse_hosts("mine.example.com")))
    async with asking(local, options) as http:
        headers = {"Authorization": "Bearer x", "Host": host}
        assert (await http.get("/files", headers=headers)).status_code == 400


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("rebound.example", "'rebound.example'"),
        ("Rebound.Example:80", "'rebound.example'"),
        ("localhost.example.com", "'localhost.example.com'"),
        ("notlocalhost", "'notlocalhost'"),
        ("93.184.216.34", "'93.184.216.34'"),
        ("user@localhost", "'user@localhost'"),
        ("localhost/x", "'localhost/x'"),
        ("[::1", "'[::1'"),
        ("", "''"),
    ],
)
async def test_another_host_is_refused_by_its_name_and_with_the_remedy(
    local: LocalSessionPool, host: str, shown: str
) -> None:
    async with asking(local, EmulatorOptions()) as http:
        headers = {"Authorization": "Bearer x", "Host": host}
        refused = await http.get("/files", headers=headers)
        assert refused.status_code == 403
        assert shown in refused.json()["error"]["message"]
        assert "--allowed-hosts" in refused.json()["error"]["message"]


async def test_a_token_that_is_set_is_the_only_one(local: LocalSessionPool) -> None:
    options = EmulatorOptions(Access("good"))
    async with asking(local, options) as http:
        for token, status in (("bad", 401), ("good-without-role", 403), ("good", 400)):
            asked = await http.get(
                "/files", headers={"Authorization": f"Bearer {token}", "Host": "any"}
            )
            assert asked.status_code == status


async def test_what_is_no_request_is_left_alone(local: LocalSessionPool) -> None:
    async with open_emulator(local) as app:
        assert json.dumps(await app({"type": "lifespan"}, _never, _never)) == "null"  # pyright: ignore[reportArgumentType, reportFunctionMemberAccess] -- not called


@asynccontextmanager
async def asking(
    local: LocalSessionPool, options: EmulatorOptions
) -> AsyncGenerator[httpx.AsyncClient]:
    async with (
        open_emulator(local, options) as app,
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as http,
    ):
        yield http


async def _never(*_: object) -> Any:
    raise AssertionError
