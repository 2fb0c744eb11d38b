"""The emulator as plain HTTP clients of either dialect see it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import anyio
import httpx
import pytest

from aca_mcp.emulator.emulator import open_emulator
from aca_mcp.emulator.options import EmulatorOptions
from tests.emulator.caller import LEGACY, NEWEST, Caller

if TYPE_CHECKING:
    from aca_mcp.local.pool import LocalSessionPool


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("1+1", 2),
        ("1.5", 1.5),
        ("True", True),
        ("'nan'", "nan"),
        ("float('nan')", None),
        ("None", ""),
        ("x = 1", ""),
        ("[1, 2]", "[1, 2]"),
        ("list(map(str, range(60)))", "['0',\n '1',\n '2',\n"),
    ],
)
async def test_values_are_typed(call: Caller, code: str, value: object) -> None:
    got = await call.value(code)
    assert (got[: len(value)] if isinstance(got, str) and isinstance(value, str) else got) == value
    older = (await call.run(code, LEGACY))["properties"]
    assert older["result"] == older["executionResult"] == got


async def test_values_in_jupyters_form(call: Caller) -> None:
    form = {"returnJupyterFormatExecutionResult": True}
    assert await call.value("float('nan')", **form) == "nan"
    assert await call.value("'nan'", **form) == "'nan'"


async def test_a_figure_is_the_result_and_of_several_the_last(call: Caller) -> None:
    code = (
        "import matplotlib.pyplot as plt\nplt.plot([1]); plt.show()\nplt.plot([2]); plt.show(); 5"
    )
    for version in (LEGACY, NEWEST):
        body = await call.run(code, version)
        result = (
            body["properties"]["result"] if version == LEGACY else body["result"]["executionResult"]
        )
        assert result["type"] == "image"
        assert result["format"] == "png"
        assert base64.b64decode(result["base64_data"]).startswith(b"\x89PNG")


async def test_both_dialects_say_how_code_failed(call: Caller) -> None:
    older = (await call.run("print('a')\n1/0", LEGACY))["properties"]
    assert older["status"] == "Failure"
    assert older["stdout"] == "a\n"
    assert older["result"] == ""
    assert "ZeroDivisionError" in older["stderr"]
    newer = await call.run("1/0")
    assert newer["status"] == "Failed"
    assert newer["error"]["error"]["code"] == "ExecutionFailed"
    assert "ZeroDivisionError" in newer["result"]["stderr"]


async def test_output_is_cut_as_the_service_cuts_it(call: Caller) -> None:
    assert len((await call.run("print('x' * 10000)"))["result"]["stdout"]) == 4096
    longer = await call.run("print('x' * 10000)", outputStreamsMaxLength=5000)
    assert len(longer["result"]["stdout"]) == 5000
    assert (await call.run("display('shown')"))["result"]["stdout"] == "'shown'\n"


async def test_code_comes_in_every_form(call: Caller) -> None:
    encoded = base64.b64encode(b"40 + 2").decode()
    assert await call.value(encoded, codeInputType="InlineBase64") == 42
    assert await call.value("1", codeInputType="INLINE", executionType="synchronous") == 1


async def test_an_asynchronous_execution_is_asked_for(call: Caller) -> None:
    body = {"code": "import time; time.sleep(0.3); 'done'", "executionType": "Asynchronous"}
    started = await call("POST", "executions", json=body, headers={"operation-id": "mine-1"})
    assert started.json() == {
        "id": "mine-1",
        "identifier": call.identifier,
        "executionType": "Asynchronous",
        "status": "Running",
    }
    location = started.headers["operation-location"]
    assert location.startswith("http://127.0.0.1:8080/any/prefix/pool/executions/mine-1?")
    with anyio.fail_after(10):
        while True:
            answer = (await call.http.get(location)).json()
            if answer["status"] != "Running":
                break
            await anyio.sleep(0.02)
    assert answer["result"]["executionResult"] == "done"
    missing = await call("GET", "executions/other")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "ExecutionNotFound")


async def test_files_in_the_newer_dialect(call: Caller) -> None:
    up = await call(
        "POST", "files", params={"path": "d/e"}, files={"file": ("/mnt/data/ä b.txt", b"abc")}
    )
    assert up.json()["name"] == "ä b.txt"
    assert up.json()["sizeInBytes"] == 3
    listed = (await call("GET", "files", params={"recursive": "true"})).json()
    assert [(each["name"], each["type"], each["directory"]) for each in listed["value"]] == [
        ("d", "directory", "."),
        ("e", "directory", "d"),
        ("ä b.txt", "file", "d/e"),
    ]
    assert "nextLink" not in listed
    below = (await call("GET", "files", params={"path": "/mnt/data/d", "recursive": "true"})).json()
    assert [each["directory"] for each in below["value"]] == [".", "e"]
    path = {"path": "d/e"}
    one = (await call("GET", "files/%C3%A4%20b.txt", params=path)).json()
    assert one["sizeInBytes"] == 3
    assert (await call("GET", "files/d")).json()["type"] == "directory"
    content = await call("GET", "files/%C3%A4%20b.txt/content", params=path)
    assert content.content == b"abc"
    assert content.headers["content-type"] == "application/octet-stream"
    assert (await call("DELETE", "files/%C3%A4%20b.txt", params=path)).status_code == 204
    gone = await call("GET", "files/%C3%A4%20b.txt", params=path)
    assert (gone.status_code, gone.headers["x-ms-error-code"]) == (404, "FileNotFound")


async def test_files_in_the_older_dialect(call: Caller) -> None:
    assert (await call("GET", "files", LEGACY)).json() == {"$id": "1", "value": []}
    up = await call("POST", "files/upload", LEGACY, files={"file": ("/mnt/data/a.txt", b"abc")})
    told = up.json()["value"][0]["properties"]
    assert (told["filename"], told["size"]) == ("a.txt", 3)
    assert told["lastModifiedTime"].endswith("Z")
    await call.run("import os; os.mkdir('/mnt/data/d')", LEGACY)
    listed = (await call("GET", "files", LEGACY, params={"path": ""})).json()["value"]
    assert [each["properties"]["filename"] for each in listed] == ["a.txt"]
    one = (await call("GET", "files/a.txt", LEGACY)).json()
    assert one["properties"]["filename"] == "a.txt"
    assert (await call("GET", "files/content/a.txt", LEGACY)).content == b"abc"
    assert (await call("GET", "files/content/%2Fmnt%2Fdata%2Fa.txt", LEGACY)).content == b"abc"
    assert (await call("DELETE", "files/a.txt", LEGACY)).status_code == 204


async def test_an_upload_is_taken_whatever_it_is_labelled(call: Caller) -> None:
    body = (
        b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
        b"abc\r\n--xyz--\r\n"
    )
    up = await call("POST", "files", content=body, headers={"Content-Type": "application/json"})
    assert up.json()["sizeInBytes"] == 3


@pytest.mark.parametrize(
    ("name", "status"),
    [("a+b.txt", 400), ("..", 400), ("a*b", 400), ("日本語 (1).csv", 200), (".hidden", 200)],
)
async def test_file_names_are_those_that_are_documented(
    call: Caller, name: str, status: int
) -> None:
    up = await call("POST", "files", files={"file": (name, b"abc")})
    assert up.status_code == status
    if status == 400:
        assert up.json()["error"]["code"] == "FileNameInvalid"


@pytest.mark.parametrize("path", ["../up", ".git", "a/.b", "a*b"])
async def test_directories_are_those_that_are_taken(call: Caller, path: str) -> None:
    up = await call("POST", "files", params={"path": path}, files={"file": ("a", b"abc")})
    assert (up.status_code, up.json()["error"]["code"]) == (400, "FilePathInvalid")


async def test_sessions_are_told_of_and_ended(call: Caller) -> None:
    missing = await call("GET", "session")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "NoSessionFoundError")
    assert (await call("DELETE", "session")).status_code == 404
    first = await call("POST", "executions", json={"code": "1"})
    assert first.headers["x-ms-new-allocation"] == "true"
    second = await call("POST", "executions", json={"code": "1"})
    assert second.headers["x-ms-new-allocation"] == "false"
    told = (await call("GET", "session")).json()
    assert told["identifier"] == call.identifier
    assert told["etag"] == first.headers["x-ms-session-etag"]
    assert told["createdAt"] <= told["lastAccessedAt"] < told["expireAt"]
    managed = (await call("POST", ".management/getSession", LEGACY)).json()
    assert managed["etag"] == told["etag"]
    assert set(managed) == set(told) - {"expireAt"} | {"expiresAt"}
    params = {"api-version": LEGACY}
    every = (await call.http.post(".management/listSessions", params=params)).json()
    assert [each["etag"] for each in every["value"]] == [told["etag"]]
    assert (every["count"], set(every)) == (1, {"value", "count"})
    listed = (await call.http.get("listSessions", params={"api-version": NEWEST})).json()
    assert [each["identifier"] for each in listed["sessions"]] == [call.identifier]
    stopped = await call("POST", ".management/stopSession")
    assert stopped.text == f"Session {call.identifier} in session pool pool stopped."
    third = await call("POST", "executions", json={"code": "1"})
    assert third.headers["x-ms-session-etag"] != told["etag"]
    assert (await call("DELETE", "session")).status_code == 204


async def test_long_lists_of_sessions_have_pages(local: LocalSessionPool) -> None:
    async with (
        open_emulator(local, EmulatorOptions(page_sessions=1)) as app,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://127.0.0.1/p/",
            headers={"Authorization": "Bearer any"},
        ) as http,
    ):
        call = Caller(http)
        for identifier in (call.identifier, "another-1"):
            await call("GET", "files", params={"identifier": identifier})
        for method, path, field in (
            ("GET", "listSessions", "sessions"),
            ("POST", ".management/listSessions", "value"),
        ):
            first = (await http.request(method, path, params={"api-version": NEWEST})).json()
            second = (await http.request(method, first["nextLink"])).json()
            assert [each["identifier"] for each in first[field] + second[field]] == [
                call.identifier,
                "another-1",
            ]
            assert "nextLink" not in second
        for identifier in (call.identifier, "another-1"):
            await call("DELETE", "session", params={"identifier": identifier})


async def test_metadata_names_the_runtime_and_packages(call: Caller) -> None:
    told = (await call.http.get("metadata", params={"api-version": NEWEST})).json()
    assert told["runtimes"][0]["name"] == "Python"
    assert "pandas" in [each["name"] for each in told["preInstalledPackages"]]


async def test_the_session_is_as_clients_find_it_on_azure(call: Caller) -> None:
    await call.run("import pkg_resources, os")
    assert await call.value("os.getcwd()") != "/mnt/data"
    names = await call.value("[p.project_name for p in pkg_resources.working_set]")
    assert isinstance(names, str)
    assert ",\n" in names  # one of the clients takes it apart by this
    assert await call.value("sorted(n for n in globals() if n.startswith(('m', 'named')))") == "[]"


async def test_a_person_and_a_probe_are_answered_without_a_token(local: LocalSessionPool) -> None:
    async with (
        open_emulator(local) as app,
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as http,
    ):
        page = await http.get("/")
        assert "emulator" in page.text
        assert "http://localhost/executions" in page.text
        assert (await http.get("/_internal/health")).text == "ok\n"
        assert (await http.get("/files")).status_code == 401
