"""A record has the shape of what was said, and nothing of what was in it."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import httpx
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import JSONResponse

from aca_mcp.emulator.emulator import open_emulator
from aca_mcp.emulator.options import EmulatorOptions
from aca_mcp.emulator.recording import Recorder, shape_of
from tests.emulator.caller import Caller

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from aca_mcp.local.pool import LocalSessionPool

SECRET = "secret-7f3a"


async def test_an_exchange_is_recorded_without_what_is_in_it(local: LocalSessionPool) -> None:
    file = io.StringIO()
    async with (
        open_emulator(local, EmulatorOptions(record=file)) as app,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url=f"http://127.0.0.1/subscriptions/{SECRET}/",
            headers={"Authorization": f"Bearer {SECRET}", f"X-{SECRET}": SECRET},
        ) as http,
    ):
        call = Caller(http)
        call.identifier = f"{SECRET}-identifier"
        await call.run(f"print('{SECRET}')\n'{SECRET}'", timeoutInSeconds=9)
        await call("POST", "files", files={"file": (f"{SECRET}.txt", SECRET.encode())})
        await call("GET", f"files/{SECRET}.txt/content", params={"path": SECRET})
        await call("GET", f"{SECRET}/no-such", params={SECRET: SECRET})
        await call("POST", "executions", json={"code": "1", SECRET: {SECRET: SECRET}})
        await call("DELETE", "session")
    text = file.getvalue()
    lines = [json.loads(line) for line in text.splitlines()]
    assert len(lines) == 6
    first = lines[0]
    assert first["request"]["operation"] == "EXECUTE"
    assert first["request"]["api-version"] == "2025-10-02-preview"
    assert first["request"]["body"]["timeoutInSeconds"] == 9
    assert first["request"]["body"]["code"].startswith("text of ")
    assert first["response"]["status"] == 200
    assert first["response"]["body"]["status"] == "Succeeded"
    assert "authorization" in first["request"]["headers"]
    assert lines[3]["request"]["operation"] == "unknown"
    assert SECRET not in text


def test_shapes_are_bounded() -> None:
    deep: object = 1
    for _ in range(100):
        deep = {"a": deep}
    assert len(json.dumps(shape_of(deep))) < 200
    many = {"n" + "x" * (number % 30) + chr(97 + number // 30): 1 for number in range(700)}
    assert len(json.dumps(shape_of(many))) < 3000
    assert shape_of({"not a name!": 1}) == {"...": "1 more"}
    assert shape_of([1, 2]) == {"list of": 2, "first": ["number"]}
    assert shape_of({"status": "two words"}) == {"status": "text of 9"}


_NAMES = st.sampled_from(["status", "type", "format", "name", "base64_data", "stdout", "a"])
_DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(SECRET) | st.just("secretword"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(_NAMES | st.just("secretname"), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(document=_DOCUMENTS, wrapped=st.booleans())
async def test_nothing_of_what_code_gave_or_of_a_file_is_recorded(
    document: object, wrapped: bool
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        is_file = scope["path"].endswith("/content")
        body: object = document
        if not is_file and wrapped:
            body = {"result": {"stdout": "", "executionResult": document}}
        elif not is_file:
            body = {"properties": {"result": document, "stdout": SECRET}}
        await JSONResponse(body)(scope, receive, send)

    file = io.StringIO()
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(Recorder(app, file)), base_url="http://127.0.0.1"
    ) as http:
        await http.post("/executions", json={"code": json.dumps(document)})
        await http.get("/files/a/content")
    for secret in ("secret", "true", "false"):
        assert secret not in file.getvalue().replace('"earliest family": false', "")
    assert len(file.getvalue().splitlines()) == 2


def test_names_that_no_api_would_choose_are_not_recorded() -> None:
    assert shape_of({SECRET: 1, "pythonCode": "x"}) == {"pythonCode": "text of 1", "...": "1 more"}


@given(
    method=st.sampled_from(["POST", "PUT", "PATCH"]),
    path=st.sampled_from(["/files", "/files/a.json", "/files/upload", "/elsewhere", "/session"]),
    field=_NAMES,
)
async def test_a_file_that_is_sent_as_no_form_is_a_file_all_the_same(
    method: str, path: str, field: str
) -> None:
    file = io.StringIO()
    transport = httpx.ASGITransport(Recorder(JSONResponse({}), file))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        await http.request(method, path, json={"secretname": 1, field: "secretword"})
    assert "secret" not in file.getvalue()


@given(field=_NAMES | st.sampled_from(["codeInputType", "executionType", "timeoutInSeconds"]))
async def test_a_secret_in_a_field_of_the_api_is_one_all_the_same(field: str) -> None:
    file = io.StringIO()
    transport = httpx.ASGITransport(Recorder(JSONResponse({}), file))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        for value in ("secretword", "123456", 4_111_111_111_111_111):
            await http.post("/executions", json={field: value, "code": SECRET})
    for secret in ("secret", "123456", "411111"):
        assert secret not in file.getvalue()
