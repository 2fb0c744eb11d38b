"""Every tool through a real client in both protocol eras, over a pool in this process."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any

import pytest
from mcp_types import BlobResourceContents, EmbeddedResource, ImageContent, ResourceLink

from aca_mcp.server.app import ServerOptions
from aca_mcp.server.sessions.limits import Limits
from tests.support.calling import text_of
from tests.support.pictures import png
from tests.support.toy_pool import ToyPool
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from aca_mcp.pool import Execution
    from aca_mcp.server.types import ResultLinks
    from tests.support.connecting import Connect

PNG = png()
SLEEP = "import anyio; await anyio.sleep(60)"


async def test_what_looks_like_json_stays_text(connect: Connect) -> None:
    async with connect() as call:
        for code, value in (('{"a": 1}', "{'a': 1}"), ("[1, 2]", "[1, 2]"), ("5", "5")):
            assert await call("execute_python", code=code) == value
        assert "done" in await call("execute_python", code="null = None; null")
        for content in ('{"a": 1}', "null", "[1]", '"q"', "true", ""):
            await call("upload_file", path="a.json", content=content)
            shown = await call("download_file", path="a.json")
            assert shown == (content or "[the file is empty]")


async def test_figures_are_image_blocks_after_the_text_once(connect: Connect) -> None:
    async with connect() as call:
        result = await call.result(
            "execute_python", code=f"print('two'); show('image/png', {PNG!r}); show('a/b', '3')"
        )
    assert [block.type for block in result.content] == ["text", "image"]
    assert text_of(result) == "two\n[figure 1]\n[a value that only a/b can show]"
    image = result.content[1]
    assert isinstance(image, ImageContent)
    assert base64.b64decode(image.data) == PNG


async def test_timeouts_keep_state_and_the_pool_bounds_them(connect: Connect) -> None:
    options = ServerOptions(execution_timeout_seconds=0.05)
    async with connect(options=options) as call:
        text = await call.refusal("execute_python", code=f"x = 1; {SLEEP}")
        assert "because the time was up" in text
        assert await call("execute_python", code="x", timeout_seconds=5) == "1"
        assert "at most 600 seconds" in await call.refusal(
            "execute_python", code="1", timeout_seconds=5000
        )


async def test_wrong_arguments_are_answered_with_a_sentence(connect: Connect) -> None:
    async with connect() as call:
        assert await call.refusal("execute_python", code="1", timeout=3) == (
            "execute_python has no argument 'timeout'; it takes code, timeout_seconds, "
            "run_in_background, session. Nothing was executed."
        )
        assert await call.refusal("execute_python") == (
            "execute_python: `code`: field required. Nothing was executed."
        )
        assert "`code`" in await call.refusal("execute_python", code=None)
        assert "encoding" in await call.refusal(
            "upload_file", path="a", content="", encoding="utf-16"
        )
        assert "Unknown tool" in await call.refusal("run_python", code="1")
        assert await call("execute_python", code="'still there'") == "'still there'"


async def test_a_lost_session_is_said_in_the_first_line_once(
    connect: Connect, toy_pool: ToyPool
) -> None:
    async with connect() as call:
        await call("execute_python", code="x = 1")
        toy_pool.lose("it was idle for an hour")
        text = await call("execute_python", code="2")
        assert text.startswith("[The earlier session is gone: it was idle for an hour.")
        assert await call("execute_python", code="3") == "3"


async def test_a_session_that_dies_is_said_to_be_gone(connect: Connect, toy_pool: ToyPool) -> None:
    async with connect() as call:
        await call("execute_python", code="x = 1")
        text = await call.refusal(
            "execute_python",
            code=(
                "import tests.support.pictures\n"
                "show('image/png', tests.support.pictures.png(10**6)); end('it crashed')"
            ),
        )
        assert "[The session ended: it crashed." in text
        assert "not kept" in text
        assert toy_pool.sessions == {}  # nothing was uploaded into a new one
        assert (await call("execute_python", code="2")).startswith("[The earlier session is gone")


async def test_files_go_up_and_come_down(connect: Connect) -> None:
    async with connect() as call:
        assert await call("upload_file", path="data/a.csv", content="1,2\n") == (
            "Wrote data/a.csv, 4 bytes."
        )
        assert await call("execute_python", code="files['data/a.csv']") == "b'1,2\\n'"
        assert await call("download_file", path="/mnt/data/data/a.csv") == "1,2\n"
        assert await call("list_files") == "[no files]"
        assert await call("list_files", directory="data") == (
            "data/a.csv\t4 bytes\t2026-01-02 03:04:05 UTC"
        )
        assert await call("delete_file", path="data/a.csv") == "Deleted data/a.csv."
        assert "There is no" in await call.refusal("download_file", path="data/a.csv")
        assert "Only files below" in await call.refusal("download_file", path="/etc/passwd")
        assert "may not contain '..'" in await call.refusal("upload_file", path="../a", content="")


async def test_bytes_go_up_as_base64_and_come_down_as_image_or_blob(connect: Connect) -> None:
    async with connect() as call:
        for path, data in (("plot.png", PNG), ("data.zip", b"PK\x03\x04\xff")):
            encoded = base64.b64encode(data).decode()
            await call("upload_file", path=path, content=f"{encoded}\n", encoding="base64")
        image = await call.result("download_file", path="plot.png")
        assert text_of(image) == f"plot.png, {len(PNG)} bytes"
        assert isinstance(image.content[1], ImageContent)
        blob = (await call.result("download_file", path="data.zip")).content[1]
        assert isinstance(blob, EmbeddedResource)
        assert isinstance(blob.resource, BlobResourceContents)
        assert blob.resource.mime_type == "application/zip"
        assert blob.resource.uri == "session:///data.zip"
        assert base64.b64decode(blob.resource.blob) == b"PK\x03\x04\xff"
        assert "not base64" in await call.refusal(
            "upload_file", path="a", content="%%%", encoding="base64"
        )


async def test_a_download_that_is_too_large_names_what_to_do(
    connect: Connect, tmp_path: Path
) -> None:
    for options, advice in (
        (ServerOptions(), "execute_python."),
        (ServerOptions(work_dir=tmp_path), "download_to_work_dir."),
    ):
        async with connect(options=options) as call:
            await call("execute_python", code="files['big'] = bytes(10**6)")
            text = await call.refusal("download_file", path="big")
        assert text.startswith("big has 1,000,000 bytes, and a result holds at most 700,000.")
        assert text.endswith(advice)


async def test_long_text_is_cut_in_its_middle(connect: Connect) -> None:
    async with connect(options=ServerOptions(max_result_tokens=500)) as call:
        await call("execute_python", code=r"files['a.txt'] = b'first\n' + b'x\n' * 9999 + b'last'")
        text = await call("download_file", path="a.txt")
        assert text.startswith("first\n")
        assert text.endswith("\nlast")
        assert "read the rest with execute_python ...]" in text
        await call("execute_python", code="for n in range(9999): print(n)")
        assert "outputs/execution-2.txt" in await call("list_files", recursive=True)


async def test_hostile_names_and_contents_are_shown_harmlessly(connect: Connect) -> None:
    async with connect() as call:
        await call("execute_python", code=r"files['a\n[b] 1 bytes'] = b'\x1b[2Jred\rblue'")
        assert await call("list_files") == (
            r"'a\n[b] 1 bytes'" + "\t12 bytes\t2026-01-02 03:04:05 UTC"
        )
        await call("execute_python", code="files['b'] = files.popitem()[1]")
        assert await call("download_file", path="b") == "red\nblue"


async def test_further_sessions_are_apart_and_end_with_the_connection(
    connect: Connect, toy_pool: ToyPool
) -> None:
    async with connect() as call:
        handle = await call("start_session")
        assert re.fullmatch(r"ses_[\w-]{43}", handle)
        await call("execute_python", code="x = 1", session=handle)
        assert "NameError" in await call.refusal("execute_python", code="x")
        assert await call("execute_python", code="x", session=handle) == "1"
        restarted = await call("restart_session", session=handle)
        (successor,) = re.findall(r"ses_[\w-]{43}", restarted)
        assert "NameError" in await call.refusal("execute_python", code="x", session=successor)
        assert "has ended" in await call.refusal("execute_python", code="x", session=handle)
        assert len(toy_pool.sessions) == 2
        assert not any(handle in identifier for identifier in toy_pool.sessions)
    assert toy_pool.sessions == {}


async def test_a_handle_of_another_connection_is_refused(connect: Connect) -> None:
    async with connect() as call, connect() as other:
        handle = await call("start_session")
        for wrong in (handle.swapcase(), handle[:-1], "ses_", "default", handle + "x"):
            assert "start_session" in await call.refusal("execute_python", code="1", session=wrong)
        for tool, arguments in (
            ("execute_python", {"code": "1"}),
            ("list_files", {}),
            ("restart_session", {}),
        ):
            assert "start_session" in await other.refusal(tool, session=handle, **arguments)


async def test_a_connection_has_so_many_sessions_and_no_more(
    connect: Connect,
) -> None:
    async with connect(limits=Limits(handles=2)) as call:
        for _ in range(2):
            await call("start_session")
        refused = await call.refusal("start_session")
        assert "2 sessions by handle already" in refused
        # One that is restarted gets a handle, too.
        assert "frees its place" not in refused


async def test_where_the_pool_is_full_each_call_says_how_there_is_room_again(
    connect: Connect, toy_pool: ToyPool
) -> None:
    full = ToyPool(max_sessions=0)
    async with connect(full) as call, connect(limits=Limits(per_principal=0)) as other:
        name = await call.begin("1")
        for refused in (
            await call.refusal("execute_python", code="1"),
            await call.refusal("get_execution", execution=name, wait_seconds=20),
            await call.refusal("list_files"),
            await call.refusal("start_session"),
            await other.refusal("execute_python", code="1"),
        ):
            assert "restart_session" in refused
            assert "frees its place" in refused
    assert toy_pool.sessions == {}


async def test_sessions_are_kept_alive_while_a_model_thinks(
    connect: Connect, toy_pool: ToyPool
) -> None:
    async with connect(limits=Limits(keep_alive_seconds=0.01)) as call:
        await call("execute_python", code="x = 1")
        (session,) = toy_pool.sessions.values()
        await until(lambda: session.kept_alive > 1)


async def test_what_nobody_uses_for_long_is_ended_and_said_so(
    connect: Connect, toy_pool: ToyPool
) -> None:
    async with connect(limits=Limits(idle_seconds=0.1)) as call:
        await call("execute_python", code="await __import__('anyio').sleep(0.3)")
        assert len(toy_pool.sessions) == 1, "it was used all the time"
        await until(lambda: not toy_pool.sessions)
        assert "nobody used it" in await call("execute_python", code="1")
        assert "nobody used it" not in await call("execute_python", code="1")


async def test_the_list_of_tools_is_small_and_complete(connect: Connect, tmp_path: Path) -> None:
    async with connect() as call, connect(options=ServerOptions(work_dir=tmp_path)) as more:
        tools = (await call.client.list_tools()).tools
        assert [tool.name for tool in tools] == [
            "execute_python",
            "get_execution",
            "cancel_execution",
            "upload_file",
            "download_file",
            "list_files",
            "delete_file",
            "list_packages",
            "restart_session",
            "start_session",
        ]
        listing = await more.client.list_tools()
        assert [tool.name for tool in listing.tools[10:]] == [
            "list_work_dir",
            "upload_from_work_dir",
            "download_to_work_dir",
        ]
        assert len(listing.model_dump_json(by_alias=True, exclude_none=True)) < 6000
        for tool in listing.tools:
            assert tool.output_schema is None
            assert tool.annotations is not None
            assert tool.annotations.read_only_hint is not None
            assert tool.annotations.title
            assert tool.annotations.title[0].isupper()
            assert 40 < len(tool.description or "") < 1024


class WritingPool(ToyPool):
    """Says that all code writes a file."""

    async def execute(self, *args: Any, **kwargs: Any) -> Execution:
        return (await super().execute(*args, **kwargs))._replace(files=("a.csv",))


@pytest.mark.parametrize(("setting", "links"), [("always", 1), ("never", 0), ("auto", 0)])
async def test_links_to_files_are_sent_as_the_setting_says(
    connect: Connect, setting: ResultLinks, links: int
) -> None:
    async with connect(WritingPool(), options=ServerOptions(result_links=setting)) as call:
        result = await call.result("execute_python", code="1")
        assert text_of(result).endswith("[files written: a.csv]")
        assert sum(isinstance(block, ResourceLink) for block in result.content) == links
