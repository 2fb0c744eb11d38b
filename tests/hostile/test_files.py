"""Names, links and trees that code plants for whoever moves its files from outside."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import pytest

from aca_mcp.errors import FileMissingError, InvalidPathError, SessionFileError, StorageFullError
from tests.hostile.arena import DISK_MIB, OUT_OF_DISK, Arena, chunks, download

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

RENAMEAT2 = 316 if os.uname().machine == "x86_64" else 276
"""It can exchange two names in one step."""

LINKS = {
    "a link to a file": "os.symlink({file!r}, 'trap')",
    "a hard link": "refusal(os.link, {file!r}, 'trap')",
    "a FIFO": "os.mkfifo('trap')",
    "a socket": "os.mknod('trap', 0o140600)",
    "a loop": "os.symlink('trap', 'trap')",
    "a link through proc": "os.symlink('/proc/self/root{file}', 'trap')",
    "a link to a descriptor": "os.symlink('/proc/self/fd/0', 'trap')",
    "a device": "os.symlink('/dev/zero', 'trap')",
}


@pytest.mark.parametrize("what", LINKS)
async def test_a_trap_in_place_of_a_file_gives_nothing_and_takes_nothing(
    arena: Arena, canary: Path, what: str
) -> None:
    async with arena.attacker() as attacker:
        await attacker.ask(f"{LINKS[what].format(file=str(canary))}\nsay(0)")
        listing = await arena.pool.list_files(attacker.identifier, recursive=True)
        if what == "a hard link":
            assert listing.entries == ()
            return
        assert [(entry.path, entry.kind, entry.size_bytes) for entry in listing.entries] == [
            ("trap", "other", 0)
        ]
        with pytest.raises(InvalidPathError), anyio.fail_after(20):
            await download(arena.pool, attacker.identifier, "trap")
        # What is uploaded takes the trap's place.
        entry = await arena.pool.upload_file(attacker.identifier, "trap", chunks(b"mine"))
        assert (entry.kind, entry.size_bytes) == ("file", 4)
        assert await download(arena.pool, attacker.identifier, "trap") == b"mine"
        await arena.pool.delete_file(attacker.identifier, "trap")


DIRECTORIES = {
    "a link": "os.symlink({directory!r}, 'trap')",
    "a link upwards": "os.symlink('../' * 20 + {directory!r}, 'trap')",
    "a link to the root": "os.symlink('/', 'trap')",
    "the work directory itself": "os.chdir('..'); os.rename('data', 'd'); os.symlink('/', 'data')",
    "the place of uploads": "os.chdir('..'); os.rmdir('incoming'); os.symlink('/', 'incoming')",
}


@pytest.mark.parametrize("what", DIRECTORIES)
async def test_a_trap_in_place_of_a_directory_leads_nowhere(
    arena: Arena, canary: Path, what: str
) -> None:
    below = f"{str(canary.parent).lstrip('/')}/{canary.name}"
    path = {"a link": "trap/canary.txt", "a link upwards": "trap/canary.txt"}.get(
        what, f"trap/{below}" if what == "a link to the root" else below
    )
    identifier = "directories"
    async with arena.attacker() as attacker:
        identifier = attacker.identifier
        await attacker.ask(f"{DIRECTORIES[what].format(directory=str(canary.parent))}\nsay(0)")
        pool = arena.pool
        with pytest.raises((InvalidPathError, FileMissingError)):
            await download(pool, identifier, path)
        with pytest.raises((InvalidPathError, FileMissingError)):
            await pool.delete_file(identifier, path)
        if what == "the place of uploads":
            path = "elsewhere"
        with pytest.raises(InvalidPathError):
            await pool.upload_file(identifier, path, chunks(b"overwritten"))
        if what.startswith("a link"):
            with pytest.raises(InvalidPathError):
                await pool.list_files(identifier, "trap")


async def test_a_directory_swapped_for_a_link_at_the_wrong_moment_leads_nowhere(
    arena: Arena, canary: Path
) -> None:
    """A process swaps them for as long as files are moved through the name."""
    refused = done = 0
    async with arena.attacker() as attacker:
        await attacker.ask(
            f"os.makedirs('real')\nos.symlink({str(canary.parent)!r}, 'link')\n"
            "open('real/canary.txt', 'w').write('decoy')\n"
            "if os.fork() == 0:\n"
            f"    while True: syscall({RENAMEAT2}, -100, b'real', -100, b'link', 2)\n"
            "say(0)"
        )
        number = 0
        with anyio.fail_after(30):
            # Until the other process was seen in both of its states.
            while number < 100 or not (refused and done):
                number += 1
                try:
                    content = await download(arena.pool, attacker.identifier, "real/canary.txt")
                    assert content in (b"decoy", b"new")
                    await arena.pool.upload_file(
                        attacker.identifier, "real/canary.txt", chunks(b"new")
                    )
                    await arena.pool.list_files(attacker.identifier, recursive=True)
                    if number % 2:
                        await arena.pool.upload_file(attacker.identifier, "real/x", chunks(b"x"))
                        await arena.pool.delete_file(attacker.identifier, "real/x")
                    done += 1
                except SessionFileError:
                    refused += 1


NAMES = [
    "with\nnewlines\r\n",
    "\x1b[31mred\x1b[0m",
    "\x07bell\x7f",
    "-rf",
    "'; rm -rf ~",
    "\u202etxt.exe",
    "x" * 255,
    "\U0001f4a3",
    "...",
    " ",
]


async def test_strange_names_are_listed_and_harm_nobody(arena: Arena) -> None:
    async with arena.attacker() as attacker:
        await attacker.ask(
            f"for name in {NAMES!r} + [os.fsdecode(b'\\xff\\xfe')]: open(name, 'w').close()\nsay(0)"
        )
        listing = await arena.pool.list_files(attacker.identifier)
        assert {entry.path for entry in listing.entries} == {*NAMES, "\\udcff\\udcfe"}
        for name in NAMES:
            if any(ord(character) < 32 or ord(character) == 127 for character in name):
                with pytest.raises(InvalidPathError):
                    await download(arena.pool, attacker.identifier, name)
            else:
                assert await download(arena.pool, attacker.identifier, name) == b""
                await arena.pool.delete_file(attacker.identifier, name)


async def test_deep_and_wide_trees_are_listed_in_part_and_removed_in_whole(arena: Arena) -> None:
    async with arena.attacker() as attacker:
        execution = await attacker.run(
            "import time\nhere = os.getcwd()\n"
            "for _ in range(1900):\n    os.mkdir('d'); os.chdir('d')\n"
            "os.chdir(here)\n"
            "for n in range(20 if here != '/mnt/data' else 100): os.makedirs(f'wide{n}/below')\n"
            "time.sleep(2)"
        )
        if arena.in_namespaces:
            listing = await arena.pool.list_files(attacker.identifier, recursive=True)
            assert 200 <= len(listing.entries) <= 1000
        else:
            # Each directory counts as 4 KiB there, and too deep a tree as one without end.
            assert "ACA_MCP_LOCAL_DISK_MIB" in str(execution.session_lost)


async def test_directories_without_end_do_not_use_up_the_servers_descriptors(arena: Arena) -> None:
    async with arena.attacker() as attacker:
        await attacker.ask("for n in range(1200): os.mkdir(f'd{n}')\nsay(0)")
        listing = await arena.pool.list_files(attacker.identifier, recursive=True)
        assert listing.truncated
        assert len(listing.entries) == 1000


async def test_times_and_sizes_out_of_range_are_no_obstacle(arena: Arena) -> None:
    async with arena.attacker() as attacker:
        await attacker.ask(
            "for n, time in enumerate((2**40, 2**62, -2**40, 0)):\n"
            "    open(f'f{n}', 'w').write('x'); os.utime(f'f{n}', (time, time))\n"
            "with open('sparse', 'wb') as file: file.truncate(30 * 2**20)\nsay(0)"
        )
        listing = await arena.pool.list_files(attacker.identifier)
        assert [entry.size_bytes for entry in listing.entries] == [1, 1, 1, 1, 30 * 2**20]
        assert await download(arena.pool, attacker.identifier, "f1") == b"x"
        assert await download(arena.pool, attacker.identifier, "sparse") == bytes(30 * 2**20)


async def test_a_file_that_shrinks_or_grows_while_it_is_read_ends_the_reading(arena: Arena) -> None:
    async with arena.attacker() as attacker:
        await attacker.ask("open('file', 'wb').write(b'x' * 3 * 2**20)\nsay(0)")
        for code in ("os.truncate('file', 10)", "open('file', 'ab').write(b'y' * 5 * 2**20)"):
            async with arena.pool.download_file(attacker.identifier, "file") as file:
                first = await anext(file.chunks)
                await attacker.run(code)
                rest = [chunk async for chunk in file.chunks]
            assert len(first) + sum(map(len, rest)) <= 3 * 2**20


async def test_an_upload_without_end_stops_at_the_disk_of_the_session(arena: Arena) -> None:
    """Without a file system of its own the session is ended, as if its code had written that."""

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(DISK_MIB + 8):
            yield bytes(2**20)
            await anyio.lowlevel.checkpoint()

    async with arena.attacker() as attacker:
        if arena.in_namespaces:
            with pytest.raises(StorageFullError):
                await arena.pool.upload_file(attacker.identifier, "big", endless())
            listing = await arena.pool.list_files(attacker.identifier)
            assert listing.entries == ()
            return
        await arena.pool.upload_file(attacker.identifier, "big", endless())
        attacker.has_witness = False
        with anyio.fail_after(20):
            while attacker.lost is None:
                execution = await arena.pool.execute(
                    attacker.identifier, "import time; time.sleep(0.1)", timeout_seconds=9
                )
                if execution.lost_before is not None:
                    assert execution.lost_before == OUT_OF_DISK
                    break
                attacker.lost = execution.session_lost


async def test_paths_that_leave_the_work_directory_are_refused(arena: Arena, canary: Path) -> None:
    async with arena.attacker() as attacker:
        for path in (
            str(canary),
            f"../../../../..{canary}",
            f"/mnt/data/../..{canary}",
            f"./x/../../{canary.name}",
            "/mnt/data-of-others/x",
            "/proc/self/environ",
            "a\0b",
            "x" * 256,
            "/".join(["deep"] * 2000),
        ):
            with pytest.raises(InvalidPathError):
                await download(arena.pool, attacker.identifier, path)
            with pytest.raises(InvalidPathError):
                await arena.pool.upload_file(attacker.identifier, path, chunks(b"out"))
            with pytest.raises(InvalidPathError):
                await arena.pool.delete_file(attacker.identifier, path)
            with pytest.raises(InvalidPathError):
                await arena.pool.list_files(attacker.identifier, path)
    assert os.listdir(canary.parent) == [canary.name]  # noqa: PTH208 -- a name
