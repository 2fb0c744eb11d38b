"""Processes, mounts and files that code would leave behind on the host."""

from __future__ import annotations

import os
import sys
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from tests.hostile.arena import ended_by, open_arena
from tests.hostile.stage import ROOT
from tests.local.pools import control_groups
from tests.support.processes import descendants

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.hostile.arena import Arena

DAEMONS = """
import os, signal, sys, time
started, ready = os.pipe()
for number in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(each, signal.SIG_IGN)
            os.write(ready, b'.')
            if number == 0:
                # On, from parent to child, for ever.
                end = time.monotonic() + 50
                while time.monotonic() < end:
                    if os.fork(): os._exit(0)
                    time.sleep(0.01)
            sleep = 'import time; time.sleep(50)'
            os.execl(sys.executable, sys.executable, '-c', sleep, {marker!r})
        os._exit(0)
    os.wait()
for _ in range(3): os.read(started, 1)
print('daemons')
"""


def processes_with(marker: str) -> list[int]:
    """The processes of the host that have a word in their command line."""
    found: list[int] = []
    for path in Path("/proc").iterdir():
        if path.name.isdecimal():
            try:
                line = (path / "cmdline").read_bytes()
            except OSError:
                continue
            if marker.encode() in line:
                found.append(int(path.name))
    return found


async def none_left(marker: str) -> None:
    with anyio.fail_after(10):
        while processes_with(marker):  # noqa: ASYNC110 -- nothing tells when a stranger ends
            await anyio.sleep(0.05)


async def some_there(marker: str) -> None:
    with anyio.fail_after(10):
        while not processes_with(marker):  # noqa: ASYNC110 -- likewise
            await anyio.sleep(0.05)


def new_marker() -> str:
    return f"daemon-{uuid.uuid4().hex}"


async def test_daemons_end_with_their_session(arena: Arena) -> None:
    marker = new_marker()
    async with arena.attacker() as attacker:
        execution = await attacker.run(DAEMONS.format(marker=marker))
        assert execution.stdout.text == "daemons\n"
        await some_there(marker)
        await arena.pool.stop_session(attacker.identifier)
        await none_left(marker)
        attacker.has_witness = False
        await attacker.run("'a new one'")


async def test_daemons_end_when_the_first_process_of_their_session_does(arena: Arena) -> None:
    marker = new_marker()
    async with arena.attacker() as attacker:
        execution = await attacker.run(DAEMONS.format(marker=marker) + "\nos._exit(0)")
        assert ended_by(execution) == "its process ended itself (exit code 0)"
        await none_left(marker)


@pytest.fixture
def passable_directory() -> Generator[Path]:
    """A directory for temporary files that other users may pass through, as ``/tmp`` is."""
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o755)
    yield directory
    directory.rmdir()


async def test_daemons_and_files_end_with_their_pool(
    arena: Arena, passable_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = new_marker()
    mounts = mounts_of_the_host()
    strangers = descendants()
    monkeypatch.setattr(tempfile, "tempdir", str(passable_directory))
    async with open_arena(arena.tier) as other, other.attacker() as attacker:
        await attacker.run(DAEMONS.format(marker=marker) + "\nopen('left', 'w').write('x')")
        await some_there(marker)
        groups = control_groups(descendants(without=strangers))
    await none_left(marker)
    assert names_in(passable_directory) == []
    assert mounts_of_the_host() == mounts
    assert [each for each in groups if each.exists()] == []


def names_in(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


def mounts_of_the_host() -> list[str]:
    return sorted(Path("/proc/self/mountinfo").read_text().splitlines())


async def test_nothing_survives_a_server_that_is_killed(
    arena: Arena, passable_directory: Path
) -> None:
    marker = new_marker()
    mounts = mounts_of_the_host()
    command = [sys.executable, "-m", "tests.hostile.pool_program", arena.tier]
    environment = {**os.environ, "TMPDIR": str(passable_directory)}
    async with await anyio.open_process(
        [*command, DAEMONS.format(marker=marker)], cwd=ROOT, env=environment
    ) as program:
        assert program.stdout is not None
        with anyio.fail_after(30):
            assert await program.stdout.receive() == b"Succeeded daemons\n"
        await some_there(marker)
        program.kill()
        await none_left(marker)
        with anyio.fail_after(10):
            # The template's own, where there is no mount namespace.
            while names_in(passable_directory):  # noqa: ASYNC110 -- nothing tells of its end
                await anyio.sleep(0.05)
    assert mounts_of_the_host() == mounts
