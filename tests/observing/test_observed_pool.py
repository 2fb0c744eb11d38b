"""What is recorded of the operations of a pool, and what is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest
from opentelemetry.trace import StatusCode

from aca_mcp.errors import FileMissingError, PoolFullError, SessionLostError
from aca_mcp.observed_pool import observed
from tests.support.odd_pools import OddPool
from tests.support.streams import content
from tests.support.toy_pool import ToyPool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.observing.conftest import Watched

CANARY = "canary-5d1f"


async def test_every_operation_makes_a_span_and_a_measurement(watched: Watched) -> None:
    pool, name = watched.pool, CANARY
    await pool.metadata()
    await pool.execute(name, "1 + 1", timeout_seconds=5)
    await pool.upload_file(name, "a.txt", content(b"12", b"345"))
    async with pool.download_file(name, "a.txt") as download:
        assert b"".join([chunk async for chunk in download.chunks]) == b"12345"
    assert (await pool.list_files(name)).entries
    await pool.delete_file(name, "a.txt")
    assert await pool.list_packages(name)
    assert await pool.get_session(name)
    assert await pool.keep_alive(name)
    assert not await pool.interrupt(name)
    assert await pool.stop_session(name)
    operations = [
        "metadata",
        "execute",
        "upload_file",
        "download_file",
        "list_files",
        "delete_file",
        "list_packages",
        "get_session",
        "keep_alive",
        "interrupt",
        "stop_session",
    ]
    assert [span.name for span in watched.spans()] == [f"session_pool.{o}" for o in operations]
    assert {span.status.status_code for span in watched.spans()} == {StatusCode.UNSET}
    measured = watched.points("aca_mcp.pool.operation.duration")
    assert [a["aca_mcp.pool.operation"] for a, _ in measured] == operations
    assert {count for _, count in measured} == {1}
    assert {a["aca_mcp.pool.kind"] for a, _ in measured} == {"local"}
    moved = {a["aca_mcp.file.direction"]: n for a, n in watched.points("aca_mcp.file.io")}
    assert moved == {"upload": 5, "download": 5}


async def test_executions_are_counted_by_how_they_ended(watched: Watched) -> None:
    for code in ("1", "1 / 0", "print('ab')"):
        await watched.pool.execute("abcd", code, timeout_seconds=5)
    counted = watched.points("aca_mcp.executions")
    assert {a["aca_mcp.execution.status"]: n for a, n in counted} == {"Succeeded": 2, "Failed": 1}
    attributes = [dict(span.attributes or {}) for span in watched.spans()]
    assert [a["aca_mcp.execution.status"] for a in attributes] == [
        "Succeeded",
        "Failed",
        "Succeeded",
    ]
    assert [a["aca_mcp.output.size"] for a in attributes] == [0, 0, 3]
    assert "error.type" not in attributes[1], "the pool did what it was asked"


async def test_sessions_begun_and_lost_are_counted(watched: Watched, toy_pool: ToyPool) -> None:
    await watched.pool.execute("abcd", "1", timeout_seconds=5)
    toy_pool.lose("it was idle")
    await watched.pool.execute("abcd", "1", timeout_seconds=5)
    await watched.pool.execute("abcd", "end('it ran out of memory')", timeout_seconds=5)
    assert [n for _, n in watched.points("aca_mcp.sessions.started")] == [2]
    lost = watched.points("aca_mcp.sessions.lost")
    assert {a["aca_mcp.loss.noticed"]: n for a, n in lost} == {"at_once": 1, "at_next_use": 1}


async def test_errors_are_recorded_by_kind_alone(watched: Watched) -> None:
    with pytest.raises(FileMissingError, match=CANARY):
        async with watched.pool.download_file("abcd", CANARY):
            pass
    (span,) = watched.spans()
    assert span.attributes is not None
    assert span.attributes["error.type"] == "FileMissingError"
    assert span.status.status_code is StatusCode.ERROR
    assert CANARY not in span.to_json()
    ((attributes, _),) = watched.points("aca_mcp.pool.operation.duration")
    assert attributes["error.type"] == "FileMissingError"


async def test_nothing_that_a_caller_hands_in_or_gets_is_recorded(watched: Watched) -> None:
    pool, path = watched.pool, f"{CANARY}.txt"
    await pool.execute(CANARY, f"print({CANARY!r}); {CANARY!r}", timeout_seconds=5)
    await pool.execute(CANARY, f"raise ValueError({CANARY!r})", timeout_seconds=5)
    await pool.execute(
        CANARY, f"raise type({CANARY!r}, (Exception,), {{'__module__': 'm'}})", timeout_seconds=5
    )
    await pool.upload_file(CANARY, path, content(CANARY.encode()))
    async with pool.download_file(CANARY, path) as download:
        assert [chunk async for chunk in download.chunks]
    recorded = "".join(span.to_json() for span in watched.spans())
    data = watched.reader.get_metrics_data()
    assert data is not None
    assert len(watched.spans()) == 5
    assert CANARY not in recorded + data.to_json()


async def test_a_call_that_is_cancelled_says_so(watched: Watched) -> None:
    waiting = anyio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"123"
        waiting.set()
        await anyio.sleep_forever()

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watched.pool.upload_file, "abcd", "a.txt", endless())
            await waiting.wait()
            tasks.cancel_scope.cancel()
    (span,) = watched.spans()
    assert span.attributes is not None
    assert span.attributes["error.type"] == "cancelled"
    assert [n for _, n in watched.points("aca_mcp.file.io")] == [3], "what was moved was moved"


async def test_chunks_pass_one_by_one(watched: Watched, toy_pool: ToyPool) -> None:
    """A download that is left early has read no further."""
    toy_pool.sessions.clear()
    await watched.pool.upload_file("abcd", "big", content(bytes(3 << 20)))
    async with watched.pool.download_file("abcd", "big") as download:
        assert len(await anext(download.chunks)) == 1 << 20
    moved = {a["aca_mcp.file.direction"]: n for a, n in watched.points("aca_mcp.file.io")}
    assert moved["download"] == 1 << 20


async def test_a_span_is_part_of_what_called_it(watched: Watched) -> None:
    with watched.tracers.get_tracer("caller").start_as_current_span("tools/call") as caller:
        await watched.pool.metadata()
        await watched.pool.upload_file("abcd", "a", content(b"1"))
        async with watched.pool.download_file("abcd", "a"):
            pass
    *inner, outer = watched.spans()
    context = caller.get_span_context()
    assert outer.context == context
    assert [span.parent and span.parent.span_id for span in inner] == [context.span_id] * 3


async def test_a_session_that_an_operation_finds_gone_is_counted() -> None:
    """Without an SDK nothing is recorded, and errors pass as they are."""

    losing = OddPool(SessionLostError("The session ended."), "execute")
    with pytest.raises(SessionLostError):
        await observed(losing, kind="azure").execute("abcd", "1", timeout_seconds=5)
    with pytest.raises(PoolFullError):
        await observed(ToyPool(max_sessions=0), kind="local").list_packages("abcd")
