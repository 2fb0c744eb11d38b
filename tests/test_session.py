"""PythonSession: what a Python program sees of one session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from aca_mcp.errors import (
    FileExistsInSessionError,
    InvalidRequestError,
    NotSupportedError,
    PoolFullError,
    SessionLostError,
)
from aca_mcp.pool import ExecutionStatus
from aca_mcp.session import CodeBlock, PythonSession
from tests.support.streams import content
from tests.support.toy_pool import ToyPool

if TYPE_CHECKING:
    from pathlib import Path

    from aca_mcp.pool import OutputChunk


async def test_state_stays_from_one_execution_to_the_next(toy_pool: ToyPool) -> None:
    async with PythonSession(toy_pool) as session:
        await session.execute("x = 41")
        execution = await session.execute("x + 1")
    assert execution.outputs[0].data == {"text/plain": "42"}
    assert execution.lost_before is None


async def test_the_session_is_stopped_with_the_block(toy_pool: ToyPool) -> None:
    async with PythonSession(toy_pool) as session:
        await session.execute("1")
        assert list(toy_pool.sessions) == [session.identifier]
    assert toy_pool.sessions == {}
    with pytest.raises(SessionLostError, match="closed"):
        await session.execute("1")


async def test_a_session_that_was_not_used_is_never_allocated(toy_pool: ToyPool) -> None:
    async with PythonSession(toy_pool) as session:
        assert toy_pool.sessions == {}
        assert not await session.keep_alive()
    assert toy_pool.sessions == {}


async def test_identifiers_are_random_unless_given(toy_pool: ToyPool) -> None:
    first, second = PythonSession(toy_pool), PythonSession(toy_pool)
    assert first.identifier != second.identifier
    assert len(first.identifier) >= 32
    assert PythonSession(toy_pool, identifier="mine-1234").identifier == "mine-1234"
    with pytest.raises(InvalidRequestError):
        PythonSession(toy_pool, identifier="a/b")


async def test_a_loss_is_said_with_the_pools_reason(toy_pool: ToyPool) -> None:
    async with PythonSession(toy_pool) as session:
        await session.execute("x = 1")
        toy_pool.lose("it was idle for an hour")
        execution = await session.execute("1")
        assert execution.lost_before == "it was idle for an hour"
        assert (await session.execute("1")).lost_before is None


async def test_a_loss_is_said_where_the_pool_gives_no_reason(toy_pool: ToyPool) -> None:
    async with PythonSession(toy_pool) as session:
        await session.upload("a.txt", b"a")
        toy_pool.lose(None)
        execution = await session.execute("1")
    assert execution.lost_before == "the session pool ended it and did not say why"


async def test_a_loss_after_a_cancelled_execution_is_said(toy_pool: ToyPool) -> None:
    async with PythonSession(toy_pool) as session:
        with anyio.move_on_after(0.05):
            await session.execute("import anyio; await anyio.sleep(60)")
        toy_pool.lose(None)
        assert (await session.execute("1")).lost_before is not None


async def test_restart_begins_anew_with_another_identifier(toy_pool: ToyPool) -> None:
    async with PythonSession(toy_pool) as session:
        await session.execute("x = 1")
        before = session.identifier
        await session.restart()
        assert session.identifier != before
        assert toy_pool.sessions == {}
        execution = await session.execute("x")
    assert execution.error is not None
    assert execution.error.name == "NameError"
    assert execution.lost_before is None  # it was asked for


async def test_restart_ends_running_code_and_is_not_mistaken_for_a_loss(toy_pool: ToyPool) -> None:
    async with PythonSession(toy_pool) as session, anyio.create_task_group() as tasks:
        printed = anyio.Event()

        async def run() -> None:
            execution = await session.execute(
                "print('on'); import anyio; await anyio.sleep(60)",
                on_output=lambda _: printed.set(),
            )
            assert execution.session_lost == "it was stopped"

        tasks.start_soon(run)
        with anyio.fail_after(20):
            await printed.wait()
            await session.restart()
    assert toy_pool.sessions == {}


async def test_code_blocks_run_until_one_fails(toy_pool: ToyPool) -> None:
    blocks = [CodeBlock("x = 1", "py"), CodeBlock("1/0"), CodeBlock("x = 2")]
    async with PythonSession(toy_pool) as session:
        done = await session.execute_code_blocks(blocks)
        assert [each.status for each in done] == [
            ExecutionStatus.SUCCEEDED,
            ExecutionStatus.FAILED,
        ]
        assert (await session.execute("x")).outputs[0].data == {"text/plain": "1"}


async def test_no_block_runs_if_one_is_in_another_language(toy_pool: ToyPool) -> None:
    blocks = [CodeBlock("x = 1"), CodeBlock("ls", "bash")]
    async with PythonSession(toy_pool) as session:
        with pytest.raises(NotSupportedError, match="'bash'"):
            await session.execute_code_blocks(blocks)
    assert toy_pool.sessions == {}


async def test_files_go_up_from_bytes_text_paths_and_streams(
    toy_pool: ToyPool, tmp_path: Path
) -> None:
    (tmp_path / "host.bin").write_bytes(bytes(3 << 20))
    async with PythonSession(toy_pool) as session:
        await session.upload("bytes", b"\x00\xff")
        await session.upload("text", "naïve")
        await session.upload("empty", b"")
        await session.upload("stream", content(b"by ", b"parts"))
        entry = await session.upload("big", tmp_path / "host.bin")
        assert entry.size_bytes == 3 << 20
        assert await session.download("bytes") == b"\x00\xff"
        assert await session.download("text") == "naïve".encode()
        assert await session.download("empty") == b""
        assert await session.download("stream") == b"by parts"
        assert await session.download("big") == bytes(3 << 20)
        names = [entry.path for entry in (await session.list_files()).entries]
        assert names == ["big", "bytes", "empty", "stream", "text"]
        with pytest.raises(FileExistsInSessionError):
            await session.upload("text", "again", overwrite=False)
        await session.delete_file("text")
        assert [entry.path for entry in (await session.list_files()).entries][-1] == "stream"


async def test_output_arrives_while_code_runs(toy_pool: ToyPool) -> None:
    seen: list[OutputChunk] = []
    async with PythonSession(toy_pool) as session:
        await session.execute("print('a'); print('b')", on_output=seen.append)
    assert [chunk.text for chunk in seen] == ["a\n", "b\n"]


async def test_interrupt_stops_the_code_and_keeps_the_session(toy_pool: ToyPool) -> None:
    async with PythonSession(toy_pool) as session, anyio.create_task_group() as tasks:
        printed = anyio.Event()

        async def run() -> None:
            execution = await session.execute(
                "x = 5; print('on'); import anyio; await anyio.sleep(60)",
                on_output=lambda _: printed.set(),
            )
            assert execution.status is ExecutionStatus.CANCELED
            assert (await session.execute("x")).outputs[0].data == {"text/plain": "5"}

        tasks.start_soon(run)
        with anyio.fail_after(20):
            await printed.wait()
            assert await session.interrupt()


async def test_keep_alive_is_not_use(toy_pool: ToyPool) -> None:
    async with PythonSession(toy_pool) as session:
        await session.execute("1")
        idle = session.idle_seconds
        assert await session.keep_alive()
        assert session.idle_seconds > idle
        assert toy_pool.sessions[session.identifier].kept_alive == 1


async def test_a_released_session_is_said_to_be_gone_once(toy_pool: ToyPool) -> None:
    async with PythonSession(toy_pool) as session:
        await session.release("nobody used it")  # there is none yet
        assert (await session.execute("x = 1")).lost_before is None
        old = session.identifier
        await session.release("nobody used it")
        assert old not in toy_pool.sessions
        assert (await session.execute("1")).lost_before == "nobody used it"
        assert (await session.execute("1")).lost_before is None
        assert session.identifier != old


async def test_packages_are_those_of_the_pool(toy_pool: ToyPool) -> None:
    async with PythonSession(toy_pool) as session:
        assert await session.list_packages() == toy_pool.packages


async def test_errors_of_the_pool_pass_through() -> None:
    async with PythonSession(ToyPool(max_sessions=0)) as session:
        with pytest.raises(PoolFullError):
            await session.execute("1")
