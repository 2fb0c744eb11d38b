"""Answers in every shape that the service and its containers are known to give."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aca_mcp.azure.responses import (
    ExecutionResponse,
    Fault,
    FileListResponse,
    FileResponse,
    MetadataResponse,
    NotUnderstoodError,
    SessionResponse,
)
from aca_mcp.azure.results import AzureExecutionContext, is_absent, read_execution, stream_text
from aca_mcp.pool import Execution, ExecutionStatus

PIXEL = b"\x89PNG\r\n\x1a\n-pixel"
IMAGE = {"type": "image", "format": "png", "base64_data": base64.b64encode(PIXEL).decode()}
ABOUT = AzureExecutionContext(
    timeout_seconds=60,
    elapsed_seconds=1,
    stream_characters=4096,
    started_session=False,
    lost_before=None,
)
COLOURED = (
    "\x1b[0;31m---------------------------------------------------------------------------\x1b[0m\n"
    "\x1b[0;31mNameError\x1b[0m  Traceback (most recent call last)\n"
    "Cell \x1b[0;32mIn[1], line 1\x1b[0m\n"
    "\x1b[0;31mNameError\x1b[0m: name 'x' is not defined\n"
)


def flat(status: str = "Succeeded", **result: Any) -> dict[str, Any]:
    return {"id": "e1", "identifier": "abcd", "status": status, "result": result}


def legacy(status: str = "Success", **fields: Any) -> dict[str, Any]:
    inner = {"$id": "2", "status": status, "stdout": "", "stderr": "", **fields}
    return {"$id": "1", "properties": inner}


def execution(body: object, about: AzureExecutionContext = ABOUT) -> Execution:
    return read_execution(ExecutionResponse.read(json.dumps(body).encode()), None, about)


def shown(body: object) -> list[dict[str, str | bytes]]:
    return [dict(output.data) for output in execution(body).outputs]


@pytest.mark.parametrize("dialect", ["newer", "older", "between"])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", []),
        (None, []),
        (2, [{"text/plain": "2", "application/json": "2"}]),
        (0, [{"text/plain": "0", "application/json": "0"}]),
        (1.5, [{"text/plain": "1.5", "application/json": "1.5"}]),
        (True, [{"text/plain": "True", "application/json": "true"}]),
        (False, [{"text/plain": "False", "application/json": "false"}]),
        ("nan", [{"text/plain": "nan"}]),
        ("['a',\n 'b']", [{"text/plain": "['a',\n 'b']"}]),
        (["a", 1], [{"text/plain": '["a", 1]'}]),
        ({"a": 1}, [{"text/plain": '{"a": 1}'}]),
        (IMAGE, [{"image/png": PIXEL}]),
        ({**IMAGE, "base64_data": 1}, [{"text/plain": json.dumps({**IMAGE, "base64_data": 1})}]),
        ({**IMAGE, "format": "../x"}, [{"text/plain": json.dumps({**IMAGE, "format": "../x"})}]),
        (
            {**IMAGE, "base64_data": "é"},
            [{"text/plain": json.dumps({**IMAGE, "base64_data": "é"})}],
        ),
    ],
)
def test_values_of_every_type_in_both_dialects(
    dialect: str, value: object, expected: object
) -> None:
    body = {
        "newer": flat(executionResult=value),
        "older": legacy(result=value),
        "between": legacy(executionResult=value),
    }
    assert shown(body[dialect]) == expected


def test_the_recorded_answer_of_the_older_dialect() -> None:
    body = legacy(stdout="Hello world\n", result="", executionTimeInMilliseconds=35)
    done = execution(body)
    assert done.status is ExecutionStatus.SUCCEEDED
    assert done.stdout.text == "Hello world\n"
    assert done.duration_seconds == 0.035
    assert done.execution_id


def test_an_exception_in_the_older_dialect() -> None:
    done = execution(legacy("Failure", stderr="a warning\n" + COLOURED, result=""))
    assert done.status is ExecutionStatus.FAILED
    assert done.error is not None
    assert (done.error.name, done.error.message) == ("NameError", "name 'x' is not defined")
    assert "\x1b" not in done.error.traceback
    assert done.error.traceback.startswith("-----")
    assert done.stderr.text == "a warning\n"


def test_an_exception_in_the_newer_dialect() -> None:
    text = 'Traceback (most recent call last):\n  File "<cell 1>", line 1\nValueError\n'
    body = flat("Failed", stderr=text) | {"error": {"error": {"code": "X", "message": "m"}}}
    done = execution(body)
    assert done.error is not None
    assert (done.error.name, done.error.message) == ("ValueError", "")
    body = flat("Failed") | {"error": {"error": {"code": "X", "message": "m"}}}
    assert execution(body).error is not None
    done = execution(flat("Failed"))
    assert done.error is not None
    assert done.error.message == "the service says 'Failed' and does not say why"


def test_an_exception_as_containers_with_microsofts_image_tell_it() -> None:
    raw = {"hresult": 1, "error_name": "KeyError", "error_message": "'a'", "error_stack_trace": ""}
    done = execution(flat("Succeeded", stdout="") | {"rawResult": raw})
    assert done.status is ExecutionStatus.FAILED
    assert done.error is not None
    assert done.error.traceback == "KeyError: 'a'"
    good = {"hresult": 0, "error_name": None}
    assert execution(flat(stdout="") | {"rawResult": good}).status is ExecutionStatus.SUCCEEDED


@pytest.mark.parametrize(
    "body",
    [
        flat("Failed") | {"error": {"error": {"code": "ExecutionTimeout", "message": ""}}},
        flat("Failed") | {"error": {"code": "RequestTimedOut", "message": ""}},
    ],
)
def test_a_timeout_that_is_named(body: object) -> None:
    assert execution(body).status is ExecutionStatus.TIMED_OUT


def test_a_timeout_that_is_known_by_its_length() -> None:
    late = AzureExecutionContext(60, 61, 4096, started_session=False, lost_before=None)
    text = "Traceback (most recent call last):\n  x\nKeyboardInterrupt\n"
    done = execution(flat("Failed", stderr=text), late)
    assert done.status is ExecutionStatus.TIMED_OUT
    assert done.error is not None
    assert "KeyboardInterrupt\nTimeoutError: the code was interrupted" in done.error.traceback
    assert execution(flat("-1"), late).status is ExecutionStatus.TIMED_OUT
    assert execution(flat("Failed", stderr=text)).status is ExecutionStatus.FAILED
    assert execution(flat("Canceled")).status is ExecutionStatus.CANCELED


def test_what_the_service_says_twice_is_said_once() -> None:
    told = {"error": {"error": {"code": "ExecutionTimeout", "message": "TimeoutError: too long"}}}
    done = execution(flat("Failed", stderr="a warning\nTimeoutError: too long\n") | told)
    assert done.stderr.text == "a warning\n"
    assert done.error is not None
    traceback = "Traceback (most recent call last):\n  x\nTimeoutError: too long"
    done = execution(flat("Failed", stderr=traceback) | told)
    assert done.error is not None
    assert done.error.traceback == traceback


@pytest.mark.parametrize(
    ("status", "failed"),
    [("0", False), ("1", True), ("-1", True), ("SUCCEEDED", False), ("", False)],
)
def test_exit_codes_and_other_words(status: str, failed: bool) -> None:
    assert ExecutionResponse.read(json.dumps(flat(status, stdout="")).encode()).has_failed is failed


def test_a_stream_as_long_as_the_bound_was_cut() -> None:
    assert stream_text("x" * 4096, 4096).cut
    assert stream_text("é" * 2047, 4096).cut  # 4,094 bytes: had bytes been counted, it would be cut
    assert not stream_text("x" * 4092, 4096).cut
    assert not stream_text("", 4096).cut
    assert "did not keep the rest" in stream_text("x" * 4096, 4096).text
    assert not stream_text("日" * 3000, 4096).cut


def test_the_answer_of_a_session_without_our_module() -> None:
    body = json.dumps(flat(executionResult="aca-mcp-absent")).encode()
    assert is_absent(ExecutionResponse.read(body))
    assert not is_absent(ExecutionResponse.read(json.dumps(flat(executionResult=1)).encode()))


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"null", b"{}", b'{"properties": {}}', b'{"a":', b"\xff"]
)
def test_what_is_no_execution_is_not_taken_for_one(body: bytes) -> None:
    with pytest.raises(NotUnderstoodError):
        ExecutionResponse.read(body)


def test_running_executions_are_pending() -> None:
    for status in ("Running", "NotStarted", "running"):
        body = {"id": "e1", "identifier": "abcd", "status": status}
        assert ExecutionResponse.read(json.dumps(body).encode()).is_pending


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"error": {"code": "A", "message": "m", "traceId": "t"}}, "A", "m"),
        ({"error": {"error": {"code": "A", "message": "m"}}}, "A", "m"),
        ({"code": "A", "message": "m"}, "A", "m"),
        (
            {"title": "Bad", "status": 400, "errors": {"Code": ["The Code field is required."]}},
            "ValidationFailed",
            "Bad (Code)",
        ),
        ({"title": "Bad", "status": 400}, "", "Bad"),
        ({"detail": "d"}, "", "d"),
        ({"error": "text"}, "", "text"),
        ({"code": ["x"], "message": {}}, "", ""),
        ([], "", ""),
    ],
)
def test_errors_of_every_shape(body: object, code: str, message: str) -> None:
    fault = Fault.find(json.dumps(body).encode())
    assert (fault.code, fault.message) == (code, message)


@pytest.mark.parametrize("body", [b"", b"<html><body>502 Bad Gateway</body></html>", b"\xff\xfe"])
def test_a_gateways_page_is_an_error_without_words(body: bytes) -> None:
    assert Fault.find(body) == Fault()


def test_files_in_both_dialects() -> None:
    new = FileResponse.read(
        b'{"name":"a","type":"Directory","sizeInBytes":4096,"lastModifiedAt":"2025-01-01T00:00:00Z","directory":"d"}'
    )
    assert (new.name, new.type, new.size_in_bytes, new.directory) == ("a", "Directory", 4096, "d")
    old = {
        "properties": {
            "$id": "3",
            "filename": "cert.txt",
            "size": 7,
            "lastModifiedTime": "2024-05-16T01:25:49.3717303Z",
        }
    }
    for body in (old, {"value": [old]}):
        read = FileResponse.read(json.dumps(body).encode())
        assert (read.name, read.size_in_bytes) == ("cert.txt", 7)
        assert read.last_modified_at.isoformat() == "2024-05-16T01:25:49.371730+00:00"
    listed = FileListResponse.read(
        json.dumps({"value": [old, "x", {"name": "b"}], "nextLink": None}).encode()
    )
    assert [each.name for each in listed.value] == ["cert.txt", "b"]
    assert listed.next_link == ""


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
times = st.datetimes().map(lambda moment: f"{moment.isoformat()}Z")
states = st.sampled_from(["NotStarted", "Running", "Succeeded", "Failed", "Canceled", "0", "New"])
errors = st.fixed_dictionaries(
    {"code": st.text(), "message": st.text()},
    optional={
        "target": st.text(),
        "details": st.lists(st.fixed_dictionaries({"code": st.text()})),
        "innererror": st.dictionaries(st.just("code"), st.text()),
    },
)
executions: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"id": st.text(), "identifier": st.text(), "status": states},
    optional={
        "executionType": st.sampled_from(["Synchronous", "Asynchronous"]),
        "error": errors.map(lambda error: {"error": error}),
        "result": st.fixed_dictionaries(
            {},
            optional={
                "stdout": st.text(),
                "stderr": st.text(),
                "executionResult": anything,
                "executionTimeInMilliseconds": st.integers(0, 2**63),
            },
        ),
    },
)
files = st.fixed_dictionaries(
    {"name": st.text(), "type": st.text(), "lastModifiedAt": times},
    optional={
        "contentType": st.text(),
        "sizeInBytes": st.integers(0, 2**63),
        "directory": st.text(),
    },
)
sessions = st.fixed_dictionaries(
    {
        "identifier": st.text(),
        "createdAt": times,
        "lastAccessedAt": times,
        "expireAt": times,
        "etag": st.text(),
    }
)
named = st.lists(st.fixed_dictionaries({"name": st.text(), "version": st.text()}), max_size=4)
metadata = st.fixed_dictionaries(
    {
        "runtimes": named,
        "preInstalledPackages": named,
        "createdAt": times,
        "lastUpdatedAt": times,
        "jupyterKernel": st.dictionaries(st.text(), st.text()),
    }
)


@given(executions)
def test_every_execution_of_the_published_shape_is_understood(body: dict[str, Any]) -> None:
    answer = ExecutionResponse.read(json.dumps(body).encode())
    assert answer.status == body["status"]
    assert answer.stdout == body.get("result", {}).get("stdout", "")
    done = read_execution(answer, None, ABOUT)
    assert (done.status is ExecutionStatus.SUCCEEDED) is not answer.has_failed


@given(files, sessions, metadata, st.lists(files, max_size=3))
def test_every_other_answer_of_the_published_shapes_is_understood(
    file: dict[str, Any], session: dict[str, Any], pool: dict[str, Any], listed: list[Any]
) -> None:
    assert FileResponse.read(json.dumps(file).encode()).name == file["name"]
    assert SessionResponse.read(json.dumps(session).encode()).etag == session["etag"]
    read = MetadataResponse.read(json.dumps(pool).encode())
    assert [each.name for each in read.runtimes] == [each["name"] for each in pool["runtimes"]]
    page = FileListResponse.read(json.dumps({"value": listed, "nextLink": "x"}).encode())
    assert len(page.value) == len(listed)


@given(anything)
def test_answers_of_no_shape_at_all_never_break_anything(body: object) -> None:
    data = json.dumps(body).encode()
    Fault.find(data)
    for model in (
        ExecutionResponse,
        FileResponse,
        FileListResponse,
        SessionResponse,
        MetadataResponse,
    ):
        try:
            read = model.read(data)
        except NotUnderstoodError:
            continue
        if isinstance(read, ExecutionResponse):
            read_execution(read, None, ABOUT)
