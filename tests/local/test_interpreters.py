"""The interpreter that the user chose, and the isolation that the host gives."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from aca_mcp.errors import PoolUnavailableError
from aca_mcp.local.pool import open_local_pool
from tests.local.pools import MEBIBYTE, configuration, download, result_of, run, scratch_directories
from tests.support.processes import descendants
from tests.support.reachable import reachable_python
from tests.support.streams import content
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


async def refusal(**changes: object) -> str:
    """What the pool says instead of running code, the first time and again."""
    strangers = descendants()
    async with open_local_pool(configuration(**changes)) as pool:
        said: list[str] = []
        for _ in range(2):
            with pytest.raises(PoolUnavailableError) as refused:
                await run(pool, "identifier", "1")
            said.append(refused.value.message)
        assert said[0] == said[1]
        with pytest.raises(PoolUnavailableError):
            await pool.metadata()
    await until(lambda: not descendants(without=strangers))
    return said[0]


@pytest.fixture
def bare_python(tmp_path: Path) -> str:
    """An interpreter with nothing installed."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    return str(tmp_path / "bare" / "bin" / "python")


async def test_an_interpreter_without_ipython_is_told_of_with_the_command_that_helps(
    bare_python: str,
) -> None:
    assert await refusal(python=bare_python) == (
        f"The interpreter of local sessions, {bare_python}, has no IPython. Install it with: "
        f"{bare_python} -m pip install ipython numpy pandas matplotlib"
    )


async def test_an_interpreter_too_old_is_told_of(tmp_path: Path) -> None:
    """A program that says of itself what an old interpreter would."""
    python = tmp_path / "python3.9"
    python.write_text(
        f"#!{sys.executable}\n"
        "import sys\n"
        "sys.version_info, sys.version = (3, 9, 1), '3.9.1 (old)'\n"
        "sys.executable = '/opt/python3.9'\n"
        "exec(sys.argv[-1])\n"
    )
    python.chmod(0o755)
    assert "/opt/python3.9 is Python 3.9.1; sessions need 3.11 or newer" in await refusal(
        python=str(python)
    )


async def test_a_template_that_ends_with_something_unread_is_heard(tmp_path: Path) -> None:
    """As when it refuses while somebody tells it to hurry: the connection is reset then."""
    python = tmp_path / "python"
    python.write_text(
        f"#!{sys.executable}\n"
        "import re, socket, sys\n"
        "descriptor = int(re.search(r'main\\((\\d+)\\)', sys.argv[-1])[1])\n"
        "connection = socket.socket(fileno=descriptor)\n"
        "while not connection.recv(1, socket.MSG_PEEK): pass\n"
        'connection.send(b\'{"refused": "No, because of this. Do that."}\')\n'
    )
    python.chmod(0o755)
    assert await refusal(python=str(python)) == "No, because of this. Do that."


async def test_what_is_no_interpreter_is_told_of() -> None:
    assert await refusal(python="/bin/false") == (
        "The template process of local sessions (/bin/false) is gone: it ended without a word; no "
        "session was started. The next call starts another."
    )


@pytest.mark.parametrize(
    ("name", "mode", "reason"),
    [
        ("missing", 0, "No such file or directory"),
        ("python", 0o644, "Permission denied"),
        ("python", 0o755, "Exec format error"),
    ],
)
async def test_an_interpreter_that_cannot_be_started_is_told_of(
    tmp_path: Path, name: str, mode: int, reason: str
) -> None:
    path = tmp_path / name
    if mode:
        path.write_text("neither a program nor a script")
        path.chmod(mode)
    with pytest.raises(PoolUnavailableError) as refused:
        async with open_local_pool(configuration(python=str(path))):
            raise AssertionError("it was opened")
    assert refused.value.message == (
        f"The interpreter of local sessions, {path}, cannot be started: {reason}. Set "
        "ACA_MCP_LOCAL_PYTHON to a Python 3.11 or newer that has IPython."
    )


@pytest.fixture(name="reachable_python")
def _reachable_python() -> Iterator[str]:
    with reachable_python() as python:
        yield python


@pytest.mark.parametrize("isolation", ["landlock", "unsafe-none"])
async def test_weaker_isolations_work_alike_and_leave_no_directory(
    isolation: str, temporary: Path, reachable_python: str
) -> None:
    strangers = descendants()
    weaker = configuration(isolation=isolation, python=reachable_python)
    async with open_local_pool(weaker) as pool:
        metadata = await pool.metadata()
        assert (metadata.isolation, metadata.work_directory) == (isolation, ".")
        await pool.upload_file("session", "sub/a", content(b"1"))
        code = "open('sub/a', 'a').write('2'); import os; print(os.getcwd()); os.getuid()"
        execution = await run(pool, "session", code)
        assert execution.error is None, execution.error.traceback
        directory = execution.stdout.text.strip()
        assert directory.startswith(str(temporary))
        assert await download(pool, "session", "/mnt/data/sub/a") == b"12"
        assert await download(pool, "session", f"{directory}/sub/a") == b"12"
        listing = await pool.list_files("session", recursive=True)
        assert [entry.path for entry in listing.entries] == ["sub", "sub/a"]
        other = await run(pool, "other", f"open('{directory}/sub/a').close()")
        if isolation == "landlock":
            assert other.error is not None
            assert other.error.name == "PermissionError"
        timed_out = await run(pool, "session", "kept = 1\n!sleep 60", timeout=0.5)
        assert timed_out.session_lost is None
        assert result_of(await run(pool, "session", "kept")) == "1"
        assert len(scratch_directories(temporary, "session-*")) == 2
        await pool.delete_file("session", "sub/a")
        await pool.stop_session("session")
        assert len(scratch_directories(temporary, "session-*")) == 1
    assert scratch_directories(temporary) == []
    assert descendants(without=strangers) == set()


async def test_without_a_file_system_of_its_own_a_session_is_held_to_its_disk(
    temporary: Path, reachable_python: str
) -> None:
    limited = configuration(isolation="landlock", python=reachable_python, disk_bytes=4 * MEBIBYTE)
    async with open_local_pool(limited) as pool:
        code = (
            "import time\n"
            "for n in range(4): open(str(n), 'wb').write(bytes(3 << 20))\n"
            "time.sleep(30)"
        )
        execution = await run(pool, "greedy", code)
        assert execution.session_lost is not None
        assert "more than its limit of 4 MiB of disk" in execution.session_lost
    assert scratch_directories(temporary) == []
