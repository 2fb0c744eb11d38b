"""What a service's answers come to where they are read: in a tool's result, and in a terminal."""

from __future__ import annotations

import base64
import zlib
from collections import deque
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import httpx

from aca_mcp.cli import main
from aca_mcp.kernel.message_framing import Frame, encode
from tests.azure.service import answer, succeeded
from tests.support.calling import text_of
from tests.support.connecting import connected
from tests.support.emulators import POOL_PATH, azure_pool_at
from tests.support.loopback_service import listening

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pytest


class Scripted:
    """Answers in order, for each kind of request; the last goes on. What is not named is absent.

    Args:
        answers: by operation: ``executions``, ``upload``, ``list``, ``session``, ``stop``,
            ``metadata``.
    """

    def __init__(self, **answers: Sequence[Callable[[], httpx.Response]]) -> None:
        self._answers = {name: deque(given) for name, given in answers.items()}
        self.asked: list[str] = []

    def __call__(self, method: str, path: str) -> httpx.Response:
        ending = path.partition("?")[0].rpartition("/")[2]
        named = {"POST files": "upload", "GET files": "list", "DELETE session": "stop"}
        operation = named.get(f"{method} {ending}", ending)
        self.asked.append(operation)
        left = self._answers.get(operation)
        if not left:
            return answer(404)
        return (left.popleft() if len(left) > 1 else left[0])()


def no_gzip() -> httpx.Response:
    headers = {"content-encoding": "gzip"}
    return httpx.Response(200, stream=httpx.ByteStream(b"{}"), headers=headers)


def reported(*, fresh: bool, text: str = "", **headers: str) -> httpx.Response:
    """An execution whose report our module made."""
    events: list[dict[str, Any]] = []
    if text:
        events.append({"event": "display", "place": None, "data": {"text/plain": text}})
    events.append({"event": "done", "error": None, "fresh": fresh, "seconds": 0.1, "pieces": []})
    packed = base64.b64encode(zlib.compress(b"".join(encode(Frame(each)) for each in events)))
    response = succeeded(f"aca-mcp:{len(packed)}:{packed.decode()};")
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return response


async def told_to_model(
    give: Scripted | str, *calls: tuple[str, dict[str, Any]], rich: bool = False
) -> list[str]:
    """The texts of calls of tools, in one session; the server goes on after them.

    Args:
        give: the service; or the address of one that listens, or of none.
        calls: of tools, with their arguments.
        rich: code is run by our module.
    """

    async def service(request: httpx.Request) -> httpx.Response:
        assert not isinstance(give, str)
        await request.aread()
        return give(request.method, str(request.url))

    transport = None if isinstance(give, str) else httpx.MockTransport(service)
    endpoint = f"{give if isinstance(give, str) else 'http://127.0.0.1'}{POOL_PATH}"
    async with (
        azure_pool_at(endpoint, transport=transport, rich_results=rich, retry_seconds=0) as pool,
        connected(pool) as call,
    ):
        texts = [text_of(await call.result(tool, **arguments)) for tool, arguments in calls]
        assert (await call.client.list_tools()).tools
        return texts


class Terminal:
    """Runs ``aca-mcp exec`` against a service on loopback, or an address."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(
        self, give: Scripted | str, *arguments: str, rich: bool = False
    ) -> tuple[int, str]:
        """The exit code, and all that was shown."""
        with nullcontext(give) if isinstance(give, str) else listening(give) as address:
            settings = {
                "POOL_MANAGEMENT_ENDPOINT": address + POOL_PATH,
                "AZURE_CREDENTIAL": "emulator",
                "AZURE_RESULTS": "rich" if rich else "plain",
                "AZURE_RETRY_SECONDS": "0",
            }
            for name, value in settings.items():
                self._monkeypatch.setenv(f"ACA_MCP_{name}", value)
            code = main(["exec", *arguments])
        shown = self._capsys.readouterr()
        return code, shown.out + shown.err
