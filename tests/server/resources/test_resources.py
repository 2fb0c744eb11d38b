"""What clients can read, list and complete, in both protocol eras."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Literal

import pytest
from mcp.shared.exceptions import MCPError
from mcp_types import (
    BlobResourceContents,
    PromptReference,
    ResourceTemplateReference,
    TextContent,
    TextResourceContents,
)

from aca_mcp.errors import NotSupportedError, PoolUnavailableError
from aca_mcp.server.app import ServerOptions
from aca_mcp.server.resources.uris import TEMPLATES, ResourceUri, uri_of
from tests.server.http.serving import serving
from tests.support.connecting import connected
from tests.support.odd_pools import OddPool
from tests.support.pictures import png
from tests.support.toy_pool import ToyPool

if TYPE_CHECKING:
    from tests.support.calling import Caller
    from tests.support.connecting import Connect

ROOT = "aca://sessions/current"
MODES: tuple[Literal["legacy", "2026-07-28"], ...] = ("legacy", "2026-07-28")


async def text_at(call: Caller, uri: str) -> tuple[str, str | None]:
    (content,) = (await call.client.read_resource(uri)).contents
    assert isinstance(content, TextResourceContents)
    return content.text, content.mime_type


async def refusal(call: Caller, uri: str) -> str:
    with pytest.raises(MCPError) as refused:
        await call.client.read_resource(uri)
    return str(refused.value)


async def test_files_are_read_as_what_they_are(connect: Connect) -> None:
    async with connect() as call:
        for path, content in (
            ("data/a b.csv", "x,y\r\n1,2\r\n"),
            ("page.html", "<b>"),
            ("note", "plain ümlaut"),
            ("fake.png", "no image"),
            ("x.json", "{}"),
        ):
            await call("upload_file", path=path, content=content)
        assert await text_at(call, f"{ROOT}/files/data/a%20b.csv") == (
            "x,y\r\n1,2\r\n",
            "text/csv",
        )
        assert await text_at(call, f"{ROOT}/files/page.html") == ("<b>", "text/html")
        assert await text_at(call, f"{ROOT}/files/note") == ("plain ümlaut", "text/plain")
        assert await text_at(call, f"{ROOT}/files/fake.png") == ("no image", "text/plain")
        assert await text_at(call, f"{ROOT}/files/x.json") == ("{}", "application/json")


@pytest.mark.parametrize(
    ("name", "content", "mime_type"),
    [
        ("figure.dat", png(), "image/png"),
        ("bytes", b"\0\1", "application/octet-stream"),
        ("lies.txt", b"\xff\xfe", "application/octet-stream"),
        ("a.zip", b"PK\3\4\0", "application/zip"),
    ],
)
async def test_bytes_are_blobs(connect: Connect, name: str, content: bytes, mime_type: str) -> None:
    async with connect() as call:
        encoded = base64.b64encode(content).decode()
        await call("upload_file", path=name, content=encoded, encoding="base64")
        (read,) = (await call.client.read_resource(f"{ROOT}/files/{name}")).contents
        assert isinstance(read, BlobResourceContents)
        assert (read.blob, read.mime_type) == (encoded, mime_type)


async def test_the_whole_of_a_result_that_was_cut_is_there(connect: Connect) -> None:
    async with connect() as call:
        shown = await call("execute_python", code="print('x' * 100_000)")
        assert len(shown) < 50_000
        whole, mime_type = await text_at(call, f"{ROOT}/outputs/execution-1")
        assert (whole, mime_type) == ("x" * 100_000, "text/plain")
        assert "no such execution" in await refusal(call, f"{ROOT}/outputs/execution-9")


async def test_a_session_tells_of_itself(connect: Connect) -> None:
    async with connect() as call:
        before = json.loads((await text_at(call, ROOT))[0])
        assert before["status"] == "not started"
        assert before["limits"]["timeout_seconds"] == ServerOptions().execution_timeout_seconds
        await call("execute_python", code="1")
        text, mime_type = await text_at(call, ROOT)
        assert mime_type == "application/json"
        after = json.loads(text)
        assert (after["status"], after["executions"]) == ("ready", 1)
        assert after["created"]


async def test_a_pool_that_cannot_tell_is_not_quoted_wrongly(connect: Connect) -> None:
    async with connect(OddPool(NotSupportedError("It cannot tell."), "get_session")) as call:
        await call("execute_python", code="1")
        assert json.loads((await text_at(call, ROOT))[0])["status"] == "unknown"


async def test_packages_all_and_one(connect: Connect) -> None:
    async with connect() as call:
        assert (await text_at(call, f"{ROOT}/packages"))[0].startswith("numpy==")
        assert (await text_at(call, f"{ROOT}/packages/numpy"))[0] == "numpy==2.3.0"
        assert "no package" in await refusal(call, f"{ROOT}/packages/nmpy")


async def test_the_notebook_has_what_ran(connect: Connect) -> None:
    async with connect() as call:
        await call("execute_python", code="print('hi')")
        text, mime_type = await text_at(call, f"{ROOT}/notebook")
        assert mime_type == "application/x-ipynb+json"
        assert json.loads(text)["cells"][0]["source"] == "print('hi')"
        await call("restart_session")
        assert json.loads((await text_at(call, f"{ROOT}/notebook"))[0])["cells"] == []


async def test_what_is_not_there_is_said_to_be(connect: Connect) -> None:
    async with connect() as call, connect() as other:
        await call("upload_file", path="a", content="mine")
        handle = await call("start_session")
        await call("upload_file", path="a", content="hers", session=handle)
        mine = uri_of(ResourceUri(handle, "files", "a"))
        assert (await text_at(call, mine))[0] == "hers"
        forged = uri_of(ResourceUri(handle[:-1] + "_", "files", "a"))
        assert await refusal(other, mine) == await refusal(call, forged), "foreign is as forged"
        for path in ("none", "../a", "%2e%2e/a", "a%00b", "%ff", "x" * 4000, "line%0Abreak"):
            assert await refusal(call, f"{ROOT}/files/{path}")
        assert "Unknown resource" in await refusal(call, "aca://sessions/current/else")


async def test_a_file_that_is_too_large_says_how_to_get_it(connect: Connect) -> None:
    async with connect() as call:
        await call("execute_python", code="print('x' * 900_000)")
        assert await call("list_files", recursive=True)
        await call("upload_file", path="large", content="x" * 800_000)
        assert "at most" in await refusal(call, f"{ROOT}/files/large")


async def test_trouble_of_the_pool_is_another_error(connect: Connect) -> None:
    async with connect(ToyPool(max_sessions=0)) as call:
        with pytest.raises(MCPError) as refused:
            await call.client.read_resource(f"{ROOT}/packages")
        assert refused.value.error.code == -32603


async def test_templates_are_the_same_for_all(connect: Connect) -> None:
    async with connect() as call:
        listed = (await call.client.list_resource_templates()).resource_templates
        assert [template.uri_template for template in listed] == list(TEMPLATES.values())
        assert all(template.description for template in listed)


async def test_a_connections_files_are_listed_where_lists_may_vary(toy_pool: ToyPool) -> None:
    for mode in MODES:
        async with connected(toy_pool, era=mode) as call:
            client = call.client
            uris = [resource.uri for resource in (await client.list_resources()).resources]
            assert toy_pool.sessions == {}, "nothing is allocated for being listed"
            await call("upload_file", path="data/ü 1.csv", content="x")
            listed = (await client.list_resources()).resources
            if mode == "legacy":
                assert uris == [ROOT, f"{ROOT}/packages", f"{ROOT}/notebook"]
                assert listed[-1].uri == f"{ROOT}/files/data/%C3%BC%201.csv"
                assert (listed[-1].name, listed[-1].size) == ("data/ü 1.csv", 1)
                assert await text_at(call, listed[-1].uri) == ("x", "text/csv")
            else:
                assert uris == listed == []


async def test_a_pool_that_lists_no_files_leaves_the_rest() -> None:
    pool = OddPool(PoolUnavailableError("The pool is away."), "list_files")
    async with connected(pool) as call:
        await call("execute_python", code="1")
        assert len((await call.client.list_resources()).resources) == 3


async def test_paths_packages_and_executions_are_completed(connect: Connect) -> None:
    async with connect() as call:
        client = call.client
        prompt = PromptReference(name="plot_file")
        nothing = await client.complete(prompt, {"name": "path", "value": ""})
        assert nothing.completion.values == []
        for name in ("sales.csv", "Sales 2.csv", "other"):
            await call("upload_file", path=name, content="")
        await call("execute_python", code="1")

        async def completed(kind: str, argument: str, typed: str, **given: str) -> list[str]:
            reference = ResourceTemplateReference(uri=TEMPLATES[kind])  # pyright: ignore[reportArgumentType] -- one of them
            arguments = {"name": argument, "value": typed}
            answer = await client.complete(reference, arguments, context_arguments=given)
            return answer.completion.values

        assert sorted(await completed("files", "path", "sa")) == ["Sales 2.csv", "sales.csv"]
        assert await completed("files", "path", "oth", session="current") == ["other"]
        assert await completed("package", "package", "sci") == ["scikit-learn"]
        assert await completed("outputs", "execution", "") == ["execution-1"]
        assert await completed("files", "session", "") == ["current"]
        assert await completed("files", "path", "", session="ses_forged") == []
        assert await completed("files", "else", "") == []
        found = await client.complete(prompt, {"name": "path", "value": "oth"})
        assert found.completion.values == ["other"]


async def test_prompts_are_useful_as_they_are(connect: Connect) -> None:
    async with connect() as call:
        prompts = (await call.client.list_prompts()).prompts
        assert [prompt.title for prompt in prompts] == [
            "Analyse a file",
            "Plot a file",
            "Clean a table",
            "Write a report",
        ]
        for prompt in prompts:
            assert prompt.description
            filled = await call.client.get_prompt(prompt.name, {"path": "sales.csv"})
            (message,) = filled.messages
            assert isinstance(message.content, TextContent)
            assert "sales.csv" in message.content.text
        asked = await call.client.get_prompt(
            "analyse_file", {"path": "a", "question": "Which shop is best?"}
        )
        assert "Which shop is best?" in str(asked.messages[0].content)


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        (
            "plot_files",
            {"path": "a"},
            "There is no such prompt; there are analyse_file, plot_file,",
        ),
        ("plot_file", None, "plot_file takes path, what and needs path."),
        ("plot_file", {"what": "b"}, "plot_file takes path, what and needs path."),
        ("plot_file", {"path": "a", "file": "b"}, "plot_file takes path, what."),
    ],
)
async def test_a_prompt_that_cannot_be_filled_in_says_what_it_takes(
    connect: Connect, name: str, arguments: dict[str, str] | None, told: str
) -> None:
    async with connect() as call:
        with pytest.raises(MCPError) as refused:
            await call.client.get_prompt(name, arguments)
    assert refused.value.error.code == -32602
    assert refused.value.error.message.startswith(told)


async def test_nothing_is_promised_that_is_not_kept(toy_pool: ToyPool) -> None:
    async with connected(toy_pool) as call:
        promised = call.client.server_capabilities
        assert promised is not None
        assert promised.resources is not None
        assert not promised.resources.subscribe
        assert not promised.resources.list_changed
        assert promised.completions is not None


@pytest.mark.parametrize("mode", MODES)
async def test_over_http_resources_go_by_handle(
    toy_pool: ToyPool, mode: Literal["legacy", "2026-07-28"]
) -> None:
    async with serving(toy_pool, mode=mode) as served:
        handle = await served.call("start_session")
        await served.call("upload_file", path="a.txt", content="x", session=handle)
        uri = uri_of(ResourceUri(handle, "files", "a.txt"))
        assert await text_at(served.call, uri) == ("x", "text/plain")
        if mode == "2026-07-28":
            assert "`session` is missing" in await refusal(served.call, f"{ROOT}/notebook")
            assert (await served.call.client.list_tools()).cache_scope == "public"
            assert (await served.call.client.list_resources()).cache_scope == "private"
        else:
            assert json.loads((await text_at(served.call, f"{ROOT}/notebook"))[0])["cells"] == []
