"""Sessions of a local pool apart from their code: their life and their files."""

from __future__ import annotations

import os
import signal
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import anyio
import pytest

from aca_mcp.errors import StorageFullError
from aca_mcp.local.exit_reasons import TEMPLATE_ENDED
from aca_mcp.local.pool import open_local_pool
from tests.local.pools import (
    MEBIBYTE,
    SLEEPING,
    configuration,
    download,
    new_identifier,
    result_of,
    run,
)
from tests.support.processes import descendants
from tests.support.streams import content
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from aca_mcp.local.pool import LocalSessionPool
    from aca_mcp.pool import OutputChunk


# Life


async def test_a_session_is_told_of_with_its_times(pool: LocalSessionPool, identifier: str) -> None:
    assert await pool.get_session(identifier) is None
    before = datetime.now(UTC) - timedelta(seconds=1)
    await run(pool, identifier, "1")
    session = await pool.get_session(identifier)
    assert session is not None
    assert session.identifier == identifier
    assert before <= session.created_at <= session.last_used_at + timedelta(seconds=1)
    assert session.expires_at is not None
    idle = session.expires_at - session.last_used_at
    assert abs(idle - timedelta(seconds=3600)) < timedelta(seconds=1)
    assert not session.running


async def test_keeping_a_session_alive_begins_its_cooldown_anew(
    pool: LocalSessionPool, identifier: str
) -> None:
    assert not await pool.keep_alive(identifier)
    assert await pool.get_session(identifier) is None
    await run(pool, identifier, "1")
    first = await pool.get_session(identifier)
    again = await pool.get_session(identifier)
    assert await pool.keep_alive(identifier)
    kept = await pool.get_session(identifier)
    assert first is not None
    assert again is not None
    assert kept is not None
    assert abs(again.last_used_at - first.last_used_at) < timedelta(milliseconds=5)
    assert kept.last_used_at > first.last_used_at


async def test_a_session_that_nobody_uses_ends_and_the_next_use_is_told_why() -> None:
    strangers = descendants()
    async with open_local_pool(configuration(cooldown_seconds=0.2)) as pool:
        await run(pool, "idle", "x = 1")
        processes = descendants(without=strangers)
        with anyio.fail_after(15):
            while await pool.get_session("idle") is not None:  # noqa: ASYNC110 -- nobody tells
                await anyio.sleep(0.05)
        await until(lambda: len(descendants(without=strangers)) < len(processes))
        after = await run(pool, "idle", "'x' in dir()")
        assert result_of(after) == "False"
        assert after.lost_before == "nobody used it for 0.2 seconds"


@asynccontextmanager
async def pool_with_ready_sessions(
    number: int,
) -> AsyncGenerator[tuple[LocalSessionPool, Callable[[], set[int]]]]:
    """One whose sessions are ready, and what tells its processes."""
    strangers = descendants()
    async with open_local_pool(configuration()) as pool:
        await pool.metadata()
        template = len(descendants(without=strangers))
    async with open_local_pool(configuration(ready_sessions=number)) as pool:
        await pool.metadata()
        await until(lambda: len(descendants(without=strangers)) == template + number)
        yield pool, lambda: descendants(without=strangers)


async def test_ready_sessions_are_started_ahead_and_again_when_they_are_used() -> None:
    async with pool_with_ready_sessions(2) as (pool, processes):
        ready = len(processes())
        await run(pool, "first", "1")
        await until(lambda: len(processes()) == ready + 1)
        await pool.stop_session("first")
        await until(lambda: len(processes()) == ready)


async def test_a_ready_session_that_died_is_not_handed_out() -> None:
    async with pool_with_ready_sessions(1) as (pool, processes):
        ready = max(processes())
        os.kill(ready, signal.SIGKILL)
        await until(lambda: ready not in descendants())
        execution = await run(pool, "first", "1")
        assert result_of(execution) == "1"
        assert execution.lost_before is None


async def test_who_waits_for_a_session_that_another_gave_up_starts_it(
    pool: LocalSessionPool,
) -> None:
    async def wait_for_it(identifier: str) -> None:
        assert result_of(await run(pool, identifier, "40 + 2")) == "42"

    for milliseconds in (0, 1, 3, 10):
        identifier = new_identifier()
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wait_for_it, identifier)
                with anyio.move_on_after(milliseconds / 1000):
                    await run(pool, identifier, "1")


async def kill_all(processes: set[int]) -> None:
    for process in processes:
        with suppress(ProcessLookupError):  # the end of one is the end of others
            os.kill(process, signal.SIGKILL)
    await until(lambda: processes.isdisjoint(descendants()))


async def test_a_template_that_ends_is_replaced_and_only_what_was_lost_is_said() -> None:
    strangers = descendants()
    async with open_local_pool(configuration(ready_sessions=1)) as pool:
        for _ in range(2):
            assert result_of(await run(pool, "first", "x = 1; x")) == "1"
            await kill_all(descendants(without=strangers))
            first = await run(pool, "first", "'x' in globals()")
            while (
                first.session_lost is not None
            ):  # it, or the ready one, was not seen to have ended
                assert first.session_lost == TEMPLATE_ENDED
                first = await run(pool, "first", "'x' in globals()")
            assert result_of(first) == "False"
            assert first.started_session
            assert first.lost_before == TEMPLATE_ENDED
            newcomer = await run(pool, new_identifier(), "1")
            assert newcomer.lost_before is None
    assert descendants(without=strangers) == set()


async def test_code_that_runs_when_the_template_ends_is_told_why_it_ended() -> None:
    strangers = descendants()
    async with open_local_pool(configuration()) as pool:
        await pool.metadata()
        (template,) = descendants(without=strangers) - {
            child for outer in descendants(without=strangers) for child in descendants(outer)
        }

        def end_it(chunk: OutputChunk) -> None:
            os.kill(template, signal.SIGKILL)

        execution = await run(pool, "first", SLEEPING, on_output=end_it)
        assert execution.session_lost == TEMPLATE_ENDED
        assert result_of(await run(pool, "first", "1")) == "1"


async def test_an_answer_that_came_too_late_is_not_taken_for_another() -> None:
    """Whoever asked gave up; the session that was forked for it ends."""
    strangers = descendants()
    async with open_local_pool(configuration()) as pool:
        await pool.metadata()
        template = len(descendants(without=strangers))
        for milliseconds in (0, 1, 2, 4, 8, 16):
            with anyio.move_on_after(milliseconds / 1000):
                await run(pool, new_identifier(), "1")
        assert result_of(await run(pool, "first", "1")) == "1"
        await until(lambda: len(descendants(without=strangers)) <= template + 6)


# Files


async def test_code_may_overwrite_and_remove_what_was_uploaded(
    pool: LocalSessionPool, identifier: str
) -> None:
    await pool.upload_file(identifier, "a/b", content(b"1"))
    await run(pool, identifier, "import os; open('a/b', 'a').write('2'); os.rename('a/b', 'c')")
    assert await download(pool, identifier, "c") == b"12"


async def test_a_file_that_shrinks_or_grows_while_it_is_read_ends(
    pool: LocalSessionPool, identifier: str
) -> None:
    await pool.upload_file(identifier, "a", content(bytes(3 * MEBIBYTE)))
    async with pool.download_file(identifier, "a") as file:
        first = await anext(file.chunks)
        await run(pool, identifier, "import os; os.truncate('a', 1 << 20)")
        assert [len(first), *[len(chunk) async for chunk in file.chunks]] == [MEBIBYTE]
    async with pool.download_file(identifier, "a") as file:
        await run(pool, identifier, "open('a', 'ab').write(bytes(1 << 20));")
        assert [len(chunk) async for chunk in file.chunks] == [MEBIBYTE]


async def test_a_download_outlives_its_session(pool: LocalSessionPool, identifier: str) -> None:
    await pool.upload_file(identifier, "a", content(b"text"))
    async with pool.download_file(identifier, "a") as file:
        await pool.stop_session(identifier)
        assert [chunk async for chunk in file.chunks] == [b"text"]


async def test_a_full_disk_takes_no_file_and_keeps_no_part_of_it(
    pool: LocalSessionPool, identifier: str
) -> None:
    piece = bytes(MEBIBYTE)
    await pool.upload_file(identifier, "kept", content(b"1"))
    await pool.upload_file(identifier, "half", content(*[piece] * 8))
    with pytest.raises(StorageFullError) as refused:
        await pool.upload_file(identifier, "big", content(*[piece] * 20))
    assert refused.value.message == (
        "The session's work directory is full: big was not written. It holds 16 MiB "
        "(ACA_MCP_LOCAL_DISK_MIB), most of it in half (8.0 MiB), kept (0.0 MiB). Delete files "
        "that are not needed."
    )
    execution = await run(pool, identifier, "open('more', 'wb').write(bytes(2**24))")
    assert execution.error is not None
    assert "the largest files there are" in execution.error.message
    assert "half (8.0 MiB)" in execution.error.message
    await pool.delete_file(identifier, "more")
    assert [entry.path for entry in (await pool.list_files(identifier)).entries] == ["half", "kept"]
    await pool.upload_file(identifier, "small", content(*[piece] * 5))


async def test_an_upload_whose_source_fails_or_is_cancelled_leaves_nothing(
    pool: LocalSessionPool, identifier: str
) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise ConnectionError("the other side went away")

    async def endless() -> AsyncIterator[bytes]:
        yield b"half"
        await anyio.sleep_forever()

    with pytest.raises(ConnectionError):
        await pool.upload_file(identifier, "a", broken())
    with anyio.move_on_after(0.05) as scope:
        await pool.upload_file(identifier, "b", endless())
    assert scope.cancelled_caught
    assert (await pool.list_files(identifier)).entries == ()
    code = "import os; os.listdir('/mnt/incoming')"
    assert result_of(await run(pool, identifier, code)) == "[]"
