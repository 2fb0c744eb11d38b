"""Sessions of a local pool apart from their code: life, files, packages, and the pool's own end."""

from __future__ import annotations

import hashlib
import os
import signal
import tempfile
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from aca_mcp.errors import (
    FileMissingError,
    FileTooLargeError,
    InvalidPathError,
    PoolUnavailableError,
    StorageFullError,
)
from aca_mcp.local.pool import open_local_pool
from aca_mcp.pool import Package
from tests.local.pools import (
    MEBIBYTE,
    configuration,
    content,
    descendants,
    download,
    new_identifier,
    open_descriptors,
    result_of,
    run,
    until,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aca_mcp.local.pool import LocalSessionPool


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
    async with open_local_pool(configuration(cooldown_seconds=0.2)) as pool:
        await run(pool, "idle", "x = 1")
        processes = descendants()
        with anyio.fail_after(15):
            while await pool.get_session("idle") is not None:  # noqa: ASYNC110 -- nobody tells
                await anyio.sleep(0.05)
        await until(lambda: len(descendants()) < len(processes))
        after = await run(pool, "idle", "'x' in dir()")
        assert result_of(after) == "False"
        assert after.lost_before == "nobody used it for 0.2 seconds"


async def test_ready_sessions_are_started_ahead_and_again_when_they_are_used() -> None:
    strangers = descendants()
    async with open_local_pool(configuration()) as pool:
        await pool.metadata()
        template = len(descendants() - strangers)
    async with open_local_pool(configuration(ready_sessions=2)) as pool:
        await pool.metadata()
        await until(lambda: len(descendants() - strangers) == template + 2)
        await run(pool, "first", "1")
        await until(lambda: len(descendants() - strangers) == template + 3)
        await pool.stop_session("first")
        await until(lambda: len(descendants() - strangers) == template + 2)


async def test_a_ready_session_that_died_is_not_handed_out() -> None:
    strangers = descendants()
    async with open_local_pool(configuration()) as pool:
        await pool.metadata()
        template = len(descendants() - strangers)
    async with open_local_pool(configuration(ready_sessions=1)) as pool:
        await pool.metadata()
        await until(lambda: len(descendants() - strangers) == template + 1)
        ready = max(descendants() - strangers)
        os.kill(ready, signal.SIGKILL)
        await until(lambda: ready not in descendants())
        execution = await run(pool, "first", "1")
        assert result_of(execution) == "1"
        assert execution.lost_before is None


async def test_a_template_that_is_gone_is_said_so_with_what_to_do() -> None:
    strangers = descendants()
    async with open_local_pool(configuration()) as pool:
        await run(pool, "first", "1")
        for process in descendants() - strangers:
            os.kill(process, signal.SIGKILL)
        await until(lambda: descendants() <= strangers)
        for _ in range(2):
            with pytest.raises(PoolUnavailableError, match="Every session is lost; restart"):
                await run(pool, "second", "1")


# Files


async def test_files_go_up_and_come_back_in_pieces(pool: LocalSessionPool, identifier: str) -> None:
    pieces = [os.urandom(700_000) for _ in range(4)]
    entry = await pool.upload_file(identifier, "sub/file.bin", content(*pieces))
    assert (entry.path, entry.size_bytes) == ("sub/file.bin", 2_800_000)
    code = "import hashlib; hashlib.sha256(open('sub/file.bin', 'rb').read()).hexdigest()"
    expected = hashlib.sha256(b"".join(pieces)).hexdigest()
    assert result_of(await run(pool, identifier, code)) == repr(expected)
    async with pool.download_file(identifier, "/mnt/data/sub/file.bin") as file:
        assert file.entry == entry
        sizes: list[int] = []
        digest = hashlib.sha256()
        async for chunk in file.chunks:
            sizes.append(len(chunk))
            digest.update(chunk)
    assert max(sizes) <= MEBIBYTE
    assert digest.hexdigest() == expected


async def test_files_that_the_code_wrote_are_listed_and_deleted(
    pool: LocalSessionPool, identifier: str
) -> None:
    await run(pool, identifier, "import os; os.mkdir('d'); open('d/☃', 'w').write('12')")
    listing = await pool.list_files(identifier, recursive=True)
    assert [(e.path, e.kind, e.size_bytes) for e in listing.entries] == [
        ("d", "directory", 0),
        ("d/☃", "file", 2),
    ]
    await pool.delete_file(identifier, "d/☃")
    await pool.delete_file(identifier, "d")
    with pytest.raises(FileMissingError):
        await pool.delete_file(identifier, "d")
    assert (await pool.list_files(identifier)).entries == ()


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
    await pool.upload_file(identifier, "kept", content(b"1"))
    piece = bytes(MEBIBYTE)
    with pytest.raises(StorageFullError) as refused:
        await pool.upload_file(identifier, "big", content(*[piece] * 20))
    assert refused.value.message == (
        "The session's work directory is full: big was not written. Delete files that are not "
        "needed."
    )
    assert [entry.path for entry in (await pool.list_files(identifier)).entries] == ["kept"]
    await pool.upload_file(identifier, "small", content(*[piece] * 10))


async def test_a_file_too_large_is_refused_before_the_disk_is_full() -> None:
    async with open_local_pool(configuration(max_file_bytes=MEBIBYTE)) as pool:
        with pytest.raises(FileTooLargeError, match=r"larger than the 1,048,576 bytes"):
            await pool.upload_file("files", "big", content(bytes(MEBIBYTE), b"1"))
        assert (await pool.list_files("files")).entries == ()


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


async def test_paths_that_leave_are_refused_in_both_directions(
    pool: LocalSessionPool, identifier: str
) -> None:
    await run(pool, identifier, "import os; os.symlink('/etc', 'out')")
    for refused in (
        pool.upload_file(identifier, "../a", content(b"1")),
        pool.upload_file(identifier, "out/a", content(b"1")),
        pool.delete_file(identifier, "out/passwd"),
        pool.list_files(identifier, "out"),
        download(pool, identifier, "out/passwd"),
        download(pool, identifier, "/etc/passwd"),
    ):
        with pytest.raises(InvalidPathError):
            await refused


# What a pool says of itself


async def test_a_pool_says_what_its_sessions_are(pool: LocalSessionPool, identifier: str) -> None:
    metadata = await pool.metadata()
    assert metadata.kind == "local"
    assert metadata.max_timeout_seconds == 60
    assert metadata.max_file_bytes == 32 * MEBIBYTE
    assert metadata.network is False
    code = "import sys, os; print(os.getcwd()); 'Python ' + sys.version.split()[0]"
    execution = await run(pool, identifier, code)
    assert result_of(execution) == repr(metadata.runtime)
    if metadata.isolation == "namespaces":
        assert execution.stdout.text == "/mnt/data\n" == f"{metadata.work_directory}\n"
    names = [package.name.lower() for package in metadata.packages]
    assert names == sorted(names)
    assert {"ipython", "numpy", "pandas", "matplotlib"} <= set(names)


async def test_packages_are_those_of_the_session_itself(
    pool: LocalSessionPool, identifier: str
) -> None:
    before = await pool.list_packages(identifier)
    assert before == (await pool.metadata()).packages
    code = (
        "import os; info = os.environ['PIP_TARGET'] + '/thing-1.5.dist-info'; os.makedirs(info)\n"
        "text = 'Metadata-Version: 2.1\\nName: thing\\nVersion: 1.5\\n'\n"
        "open(info + '/METADATA', 'w').write(text)"
    )
    await run(pool, identifier, code)
    after = await pool.list_packages(identifier)
    assert set(after) - set(before) == {Package("thing", "1.5")}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("5", "its code interfered with the interpreter's own connection"),
        ("__import__('os')._exit(4)", "its process ended itself (exit code 4)"),
    ],
)
async def test_a_session_that_cannot_list_its_packages_is_ended_and_told_of(
    pool: LocalSessionPool, identifier: str, answer: str, why: str
) -> None:
    code = f"import aca_mcp.kernel.serve as s; s.installed_packages = lambda: {answer}"
    await run(pool, identifier, code)
    with pytest.raises(PoolUnavailableError) as refused:
        await pool.list_packages(identifier)
    assert why in refused.value.message
    assert "Its variables and files are lost" in refused.value.message
    assert (await run(pool, identifier, "1")).lost_before == why


async def test_with_a_network_code_reaches_this_machine() -> None:
    async with open_local_pool(configuration(network=True)) as pool:
        assert (await pool.metadata()).network is True
        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as server:
            port = server.extra(anyio.abc.SocketAttribute.local_port)
            code = f"import socket; socket.create_connection(('127.0.0.1', {port}), 5).close()"
            execution = await run(pool, "network", code)
            assert execution.error is None, execution.error


# The end


def scratch_directories() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("aca-mcp-*"))


async def test_closing_a_pool_leaves_nothing() -> None:
    async with open_local_pool(configuration()) as pool:  # what is loaded once, loads
        await run(pool, "first", "1")
    strangers, descriptors = descendants(), open_descriptors()
    directories = scratch_directories()
    async with open_local_pool(configuration(ready_sessions=1)) as pool:
        await run(pool, "first", "1")
        await pool.upload_file("first", "a", content(b"1"))
        assert await download(pool, "first", "a") == b"1"
        await run(pool, "second", "import os; os.fork() or __import__('time').sleep(60)")
        await run(pool, "third", "import os; os._exit(1)")
        assert descendants() > strangers
    assert descendants() == strangers
    assert open_descriptors() == descriptors
    assert scratch_directories() == directories


async def test_closing_a_pool_ends_code_that_runs_and_children_that_hide() -> None:
    code = (
        "import os, time, signal\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0: time.sleep(60)\n"
        "    os._exit(0)\n"
        "print('started', flush=True)\n"
        "while True:\n"
        "    try: time.sleep(60)\n"
        "    except BaseException: pass"
    )
    strangers = descendants()
    started = anyio.Event()
    stubborn = configuration(interrupt_grace_seconds=0.2)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks, open_local_pool(stubborn) as pool:
            tasks.start_soon(lambda: run(pool, "hidden", code, on_output=lambda _: started.set()))
            await started.wait()
    assert descendants() == strangers


async def test_an_error_of_the_body_is_raised_as_it_is() -> None:
    strangers = descendants()
    with pytest.raises(KeyError, match="the body's own"):
        async with open_local_pool(configuration()):
            raise KeyError("the body's own")
    assert descendants() == strangers


async def test_cancelling_the_body_closes_the_pool() -> None:
    strangers = descendants()
    with anyio.move_on_after(0.3) as scope:
        async with open_local_pool(configuration()):
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert descendants() == strangers


async def test_a_pool_that_nobody_uses_closes_at_once() -> None:
    strangers = descendants()
    before = anyio.current_time()
    async with open_local_pool(configuration(preimport=("pandas",), ready_sessions=2)):
        pass
    assert anyio.current_time() - before < 5
    assert descendants() == strangers


async def test_two_pools_have_sessions_of_their_own() -> None:
    identifier = new_identifier()
    async with open_local_pool(configuration()) as one, open_local_pool(configuration()) as two:
        await run(one, identifier, "x = 1")
        assert (await two.get_session(identifier)) is None
        assert (await run(two, identifier, "x")).error is not None


async def test_what_a_session_installs_it_can_import_and_list(
    pool: LocalSessionPool, identifier: str, tmp_path: Path
) -> None:
    """From a wheel that is uploaded, for there is no network; other sessions do not have it."""
    wheel = "little-1.0-py3-none-any.whl"
    with zipfile.ZipFile(tmp_path / wheel, "w") as archive:
        archive.writestr("little.py", "answer = 42\n")
        archive.writestr("little-1.0.dist-info/METADATA", "Name: little\nVersion: 1.0\n")
        archive.writestr("little-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("little-1.0.dist-info/RECORD", "")
    await pool.upload_file(identifier, wheel, content((tmp_path / wheel).read_bytes()))

    execution = await run(pool, identifier, f"%pip install --quiet --no-index {wheel}", timeout=50)
    assert execution.error is None
    assert result_of(await run(pool, identifier, "import little; little.answer")) == "42"

    assert Package("little", "1.0") in await pool.list_packages(identifier)
    assert [entry.path for entry in (await pool.list_files(identifier)).entries] == [wheel]
    other = await run(pool, "another-session", "import little")
    assert other.error is not None
    await pool.stop_session("another-session")
