"""Progress while code runs: new output, not too often, and a sign of life."""

from __future__ import annotations

import anyio
import pytest

from aca_mcp.errors import PoolFullError
from aca_mcp.pool import Execution, OutputCallback, OutputChunk
from aca_mcp.server.results import progress
from aca_mcp.server.results.progress import run_with_progress
from tests.support.executions import executed

DONE = executed()


class Client:
    """Receives what is reported."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.seconds: list[float] = []
        self.heard = anyio.Event()

    async def __call__(self, seconds: float, total: None, message: str) -> None:
        self.seconds.append(seconds)
        self.messages.append(message)
        self.heard.set()
        self.heard = anyio.Event()


async def test_output_is_reported_while_the_code_runs() -> None:
    client = Client()

    async def run(on_output: OutputCallback) -> Execution:
        heard = client.heard
        on_output(OutputChunk("stdout", "\x1b[31mfirst\x1b[0m\n"))
        await heard.wait()
        heard = client.heard
        on_output(OutputChunk("stdout", "second\n"))
        on_output(OutputChunk("stderr", "third\n"))
        await heard.wait()
        return DONE

    with anyio.fail_after(20):
        assert await run_with_progress(run, client) is DONE
    assert client.messages == ["first", "second\nthird"]
    assert client.seconds == sorted(client.seconds)
    assert client.seconds[1] - client.seconds[0] >= progress.MIN_INTERVAL_SECONDS * 0.9


async def test_silent_code_gives_a_sign_of_life() -> None:
    client = Client()

    async def run(on_output: OutputCallback) -> Execution:
        await client.heard.wait()
        return DONE

    with anyio.fail_after(20):
        await run_with_progress(run, client, heartbeat_seconds=0.01)
    assert client.messages == ["running for 0 s"]


async def test_a_flood_is_reported_by_its_end() -> None:
    client = Client()

    async def run(on_output: OutputCallback) -> Execution:
        heard = client.heard
        for number in range(10_000):
            on_output(OutputChunk("stdout", f"line {number}\n"))
        await heard.wait()
        return DONE

    with anyio.fail_after(20):
        await run_with_progress(run, client)
    assert len(client.messages[0]) <= 2000
    assert client.messages[0].endswith("line 9999")


async def test_errors_come_through_as_they_are() -> None:
    async def run(on_output: OutputCallback) -> Execution:
        raise PoolFullError("full")

    with pytest.raises(PoolFullError, match="full"):
        await run_with_progress(run, Client())


async def test_a_client_that_hears_nothing_any_more_does_not_stop_the_code() -> None:
    failed = anyio.Event()

    async def report(seconds: float, total: None, message: str) -> None:
        failed.set()
        raise anyio.BrokenResourceError

    async def run(on_output: OutputCallback) -> Execution:
        on_output(OutputChunk("stdout", "first\n"))
        await failed.wait()
        await anyio.wait_all_tasks_blocked()
        on_output(OutputChunk("stdout", "second\n"))
        return DONE

    with anyio.fail_after(20):
        assert await run_with_progress(run, report, heartbeat_seconds=0.01) is DONE
