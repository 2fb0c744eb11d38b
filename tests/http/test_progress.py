"""Progress, over HTTP in both eras: what is printed as it is printed, and that code runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from aca_mcp.server.app import ServerOptions
from tests.http.clients import Endpoint, connected, text_in
from tests.http.long_runs import Heard
from tests.support.calling import text_of

if TYPE_CHECKING:
    from tests.http.clients import Era, Transport
    from tests.http.conftest import Serve

UNTIL_TOLD = (
    "import pathlib, time\n"
    "print('step 1', flush=True)\n"
    "while not pathlib.Path('go').exists(): time.sleep(0.01)\n"
    "pathlib.Path('go').unlink()\n"
    "print('step 2')\n"
    "'end'"
)


async def test_what_is_printed_is_told_while_the_code_runs(
    address: str, transport: Transport, era: Era
) -> None:
    heard = Heard()
    shown: list[str] = []
    async with connected(address, transport, era) as client:
        await client("execute_python", code="1")

        async def run() -> None:
            arguments = client.passed({"code": UNTIL_TOLD})
            result = await client.client.call_tool(
                "execute_python", arguments, progress_callback=heard
            )
            shown.append(text_of(result))

        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(run)
                await heard.first.wait()
                # The code is still running: it waits for this file.
                await client("upload_file", path="go", content="")
    assert heard.messages[0] == "step 1"
    assert shown == ["step 1\nstep 2\n[value]\n'end'"]


async def test_silent_code_is_told_to_run(serve: Serve, transport: Transport, era: Era) -> None:
    often = ServerOptions(heartbeat_seconds=0.05)
    heard = Heard()
    async with serve(often) as server, connected(server.address, transport, era) as client:
        with anyio.fail_after(20):
            await client.client.call_tool(
                "execute_python",
                {"code": "import anyio; await anyio.sleep(1)"},
                progress_callback=heard,
            )
    assert set(heard.messages) <= {"running for 0 s", "running for 1 s"}
    assert len(heard.messages) >= 2
    assert heard.seconds == sorted(set(heard.seconds))


async def test_each_of_two_calls_is_told_of_its_own(
    serve: Serve, transport: Transport, era: Era
) -> None:
    async with serve() as server, connected(server.address, transport, era) as client:
        heard = {name: Heard() for name in ("one", "two")}

        async def run(name: str) -> None:
            handle = await client("start_session")
            code = f"print({name!r}); import anyio; await anyio.sleep(0.3)"
            await client.client.call_tool(
                "execute_python", {"code": code, "session": handle}, progress_callback=heard[name]
            )

        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                for name in heard:
                    tasks.start_soon(run, name)
    assert {name: each.messages[0] for name, each in heard.items()} == {"one": "one", "two": "two"}


async def test_who_does_not_ask_is_told_nothing(serve: Serve) -> None:
    async with serve() as server:
        code = "print('told'); import anyio; await anyio.sleep(0.5)"
        answer = await Endpoint(server.http).modern("execute_python", {"code": code})
        assert answer.headers["content-type"] == "application/json"
        assert "told" in text_in(answer)
