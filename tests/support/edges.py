"""What hosts and models send that is not quite what they should, by any transport and in each era.

Each is a check that a client makes of a server with real sessions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.calling import Caller

_TALK = """\
import asyncio, http.server, threading, urllib.request

async def talk():
    async def echo(reader, writer):
        writer.write(await reader.readline()); await writer.drain(); writer.close()
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
    writer.write(b"heard\\n"); line = await reader.readline()
    server.close()
    return line

pages = http.server.HTTPServer(("localhost", 0), http.server.SimpleHTTPRequestHandler)
threading.Thread(target=pages.handle_request, daemon=True).start()
page = urllib.request.urlopen(f"http://localhost:{pages.server_port}/").status
(await talk(), page)
"""


async def fences_are_taken_off(call: Caller) -> None:
    for code in (
        "```python\n6 * 7\n```",
        "```\n6 * 7\n```",
        "~~~py\r\n6 * 7\r\n~~~",
        "\ufeff6 * 7",
    ):
        assert (await call("execute_python", code=code)).endswith("42"), code


async def null_is_nothing(call: Caller) -> None:
    tools = (await call.client.list_tools()).tools
    for tool, given in (
        ("execute_python", {"code": "open('a.txt', 'w').close()"}),
        ("upload_file", {"path": "b.txt", "content": "b"}),
        ("download_file", {"path": "b.txt"}),
        ("list_files", {}),
        ("list_packages", {}),
        ("delete_file", {"path": "a.txt"}),
    ):
        (described,) = (each.input_schema for each in tools if each.name == tool)
        optional = set(described["properties"]) - set(described.get("required", ())) - {"session"}
        await call(tool, **given, **dict.fromkeys(optional))


async def names_from_elsewhere_are_understood(call: Caller) -> None:
    await call("upload_file", path="sandbox:/mnt/data/größe 1.txt", content="grüße")
    for path in (
        "größe 1.txt",
        "/mnt/data/größe 1.txt",
        "sandbox:/mnt/data/gr%C3%B6%C3%9Fe%201.txt",
        "file:///mnt/data/gr%C3%B6%C3%9Fe%201.txt",
    ):
        assert await call("download_file", path=path) == "grüße", path


async def loopback_of_the_session_works(call: Caller) -> None:
    assert (await call("execute_python", code=_TALK)).endswith("(b'heard\\n', 200)")


async def files_that_nobody_wants_are_not_named(call: Caller) -> None:
    code = (
        "import os\nos.makedirs('.hidden', exist_ok=True); open('.hidden/x', 'w').close()\n"
        "open('mine.py', 'w').write('x = 1')\nimport mine\nopen('wanted.txt', 'w').close()"
    )
    text = await call("execute_python", code=code)
    assert "[files written: mine.py, wanted.txt]" in text
    assert "pycache" not in text
    assert "hidden" not in text


async def no_network_is_a_sentence(call: Caller) -> None:
    for code in (
        "import urllib.request; urllib.request.urlopen('https://example.com', timeout=5)",
        "import socket; socket.create_connection(('192.0.2.1', 80), timeout=5)",
    ):
        text = await call.refusal("execute_python", code=code)
        assert "Sessions have no network" in text
        assert len(text) < 2000


EDGES: dict[str, Callable[[Caller], Awaitable[None]]] = {
    check.__name__.replace("_", " "): check
    for check in (
        fences_are_taken_off,
        null_is_nothing,
        names_from_elsewhere_are_understood,
        loopback_of_the_session_works,
        files_that_nobody_wants_are_not_named,
        no_network_is_a_sentence,
    )
}
