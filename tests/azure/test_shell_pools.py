"""Shell pools: commands, and Python that keeps nothing; by a model, and by a person."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from aca_mcp.azure.shell import commands_in
from aca_mcp.emulator.emulator import open_emulator
from aca_mcp.emulator.options import EmulatorOptions
from aca_mcp.errors import NotSupportedError
from aca_mcp.local.pool import open_local_pool
from aca_mcp.missing_modules import PackageOffer
from aca_mcp.pool import ExecutionStatus
from aca_mcp.server.app import ServerOptions
from tests.azure.service import IDENTIFIER, Service, answer, fault, run
from tests.local.pools import configuration
from tests.support.calling import Caller, text_of
from tests.support.command_line import aca_mcp
from tests.support.connecting import connected
from tests.support.emulators import POOL_PATH, InProcess, azure_pool_at, emulator_process

if TYPE_CHECKING:
    import subprocess
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    import httpx

    from aca_mcp.local.pool import LocalSessionPool
    from tests.support.toy_pool import ToyPool

SHELL = answer(200, {"runtimes": [{"name": "Shell", "version": "1"}]})
TOOLS = ("run_shell", "execute_python", "get_execution", "cancel_execution")


@pytest.fixture(scope="module")
async def local() -> AsyncIterator[LocalSessionPool]:
    """What is behind the emulators of this module."""
    async with open_local_pool(configuration(max_timeout_seconds=220)) as pool:
        yield pool


@asynccontextmanager
async def model(local: LocalSessionPool, **options: Any) -> AsyncGenerator[Caller]:
    """A model's client, with a Shell pool behind its server."""
    async with (
        open_emulator(local, EmulatorOptions(pool_type="shell")) as app,
        azure_pool_at(f"http://127.0.0.1{POOL_PATH}", transport=InProcess(app)) as pool,
    ):
        runs = (await pool.metadata()).runs
        async with connected(pool, ServerOptions(runs=runs, **options)) as call:
            yield call


async def test_a_model_runs_commands_and_programs_that_share_files(local: LocalSessionPool) -> None:
    async with model(local) as call:
        assert await call("run_shell", command="echo a,b > t.csv; wc -l t.csv") == "1 t.csv"
        told = await call("execute_python", code="x = open('t.csv').read()\nlen(x)")
        assert told.endswith("4")
        assert "Python is started anew for each execution" in told
        # Said once, and true.
        failed = text_of(await call.result("execute_python", code="x"))
        assert "NameError: name 'x' is not defined" in failed
        assert "started anew" not in failed
        assert 'File "<code>", line 1' in failed
        assert "<string>" not in failed
        invalid = text_of(await call.result("execute_python", code="x ="))
        assert invalid.endswith("SyntaxError: invalid syntax")
        assert invalid.count("File") == 1
        killed = text_of(await call.result("run_shell", command="kill -9 $$"))
        assert killed.endswith("137")
        assert "t.csv" in await call("list_files")
        await call("upload_file", path="in/u.txt", content="abc")
        assert await call("run_shell", command="cat in/u.txt") == "abc"
        assert await call("run_shell", command="cd /\nexport A=1") == "[done, no output]"
        assert await call("run_shell", command='pwd; echo "A=$A"') == "/mnt/data\nA="


async def test_what_goes_wrong_is_told_as_a_shell_has_it(local: LocalSessionPool) -> None:
    async with model(local) as call:
        failed = await call.result("run_shell", command="echo out; echo err >&2; exit 3")
        assert failed.is_error
        told = text_of(failed)
        assert "out\n[stderr]\nerr\nCalledProcessError: the command ended with status 3" in told
        late = text_of(await call.result("run_shell", command="sleep 60", timeout_seconds=1))
        assert "because the time was up. Variables are gone, files are kept." in late
        broken = text_of(await call.result("execute_python", code="1 +"))
        assert "SyntaxError" in broken
        refused = text_of(await call.result("execute_python", code="import sys; sys.exit(4)"))
        assert "status 4" in refused
        long = f"x = {'a' * 200_000!r}\nlen(x)"
        assert await call("execute_python", code=long) == "200000"


async def test_a_model_is_promised_what_a_shell_keeps(local: LocalSessionPool) -> None:
    async with model(local, packages=PackageOffer("index")) as call:
        tools = {tool.name: tool for tool in (await call.client.list_tools()).tools}
        assert tuple(tools)[:4] == TOOLS
        assert "install_packages" not in tools
        assert "variables and imports do not stay" in str(tools["execute_python"].description)
        instructions = str(call.client.instructions)
        assert "files stay from call to call" in instructions
        assert "variables, imports, functions" not in instructions
        assert len(instructions) < 2048
        listed = await call.client.list_tools()
        assert len(listed.model_dump_json(by_alias=True, exclude_none=True)) < 6000


async def test_other_pools_offer_no_shell(toy_pool: ToyPool) -> None:
    async with connected(toy_pool) as call:
        assert "run_shell" not in {tool.name for tool in (await call.client.list_tools()).tools}


async def test_a_pool_whose_kind_is_not_known_yet_is_asked_once_and_then_remembered() -> None:
    done = {"status": "0", "result": {"stdout": "2\n", "stderr": ""}}
    service = Service(fault(400, "SessionPropertiesMissing"), SHELL, answer(200, done))
    async with service.pool(rich_results=True) as pool:
        first = await run(pool, "1+1")
        assert first.stdout.text == "2\n"
        service.answers.append(answer(200, done))
        await run(pool, "%%bash\nls")
        with pytest.raises(NotSupportedError, match="Shell pool"):
            await pool.install_packages(IDENTIFIER, ["openpyxl"])
    assert service.sent(-2)["execCommandAndArgs"][-1] == "1+1"
    assert service.sent() == {
        "timeoutInSeconds": 30,
        "outputStreamsMaxLength": 2**20,
        "shellCommand": "cd /mnt/data\nls",
    }


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"status": "0", "result": {"stdout": "", "stderr": ""}}, ExecutionStatus.SUCCEEDED),
        ({"status": "127", "result": {"stderr": "no"}}, ExecutionStatus.FAILED),
        ({"status": 1, "result": {"stdout": None, "stderr": None}}, ExecutionStatus.FAILED),
        ({"status": "-1", "result": {"stderr": ""}}, ExecutionStatus.TIMED_OUT),
        ({"exitCode": 2, "stdout": "", "stderr": ""}, ExecutionStatus.FAILED),
        (
            {"status": "Failed", "exitCode": 3, "errorName": "", "result": {"stdout": ""}},
            ExecutionStatus.FAILED,
        ),
        (
            {"status": "Failed", "exitCode": -1, "errorName": "ExecutionTimeout", "result": {}},
            ExecutionStatus.TIMED_OUT,
        ),
        (
            {"status": "Failed", "exitCode": -1, "errorName": "CommandStartError", "result": {}},
            ExecutionStatus.FAILED,
        ),
        ({"properties": {"exitCode": 0, "stdout": "a"}}, ExecutionStatus.SUCCEEDED),
        ({"status": "Failed", "error": {"code": "X", "message": "no"}}, ExecutionStatus.FAILED),
    ],
)
async def test_exit_codes_are_read_wherever_they_are(body: object, status: ExecutionStatus) -> None:
    service = Service(SHELL, answer(200, body))
    async with service.pool() as pool:
        await pool.metadata()
        assert (await run(pool, "!ls")).status is status


@pytest.mark.parametrize(
    ("code", "commands"),
    [
        ("%%bash\nls\npwd", "ls\npwd"),
        ("\n%%sh\nls", "ls"),
        ("!ls -l", "ls -l"),
        (" !ls\n", "ls"),
        ("!ls\n1 + 1", None),
        ("ls", None),
        ("%%bashful\nls", None),
        ("print('''\n%%bash\nls''')", None),
        ("", None),
    ],
)
def test_what_is_a_command_is_told_from_python(code: str, commands: str | None) -> None:
    assert commands_in(code) == commands


async def test_a_session_that_was_recycled_is_said_to_have_lost_its_files() -> None:
    def done(new: str) -> httpx.Response:
        body = {"status": "0", "result": {"stdout": "a\n"}}
        return answer(200, body, x_ms_new_allocation=new)

    service = Service(SHELL, done("true"), done("false"), done("true"))
    async with service.pool() as pool:
        await pool.metadata()
        assert (await run(pool, "!ls")).started_session
        assert (await run(pool, "!ls")).lost_before is None
        assert (await run(pool, "!ls")).lost_before is not None


SCRIPT = """\
'''A script.'''
from __future__ import annotations
import sys
print(sys.argv, __file__, __name__, open("in.txt").read())
1 / 0
"""


def test_a_person_and_the_doctor_reach_a_shell_pool(tmp_path: Path) -> None:
    (tmp_path / "say it.py").write_text(SCRIPT, encoding="utf-8")
    (tmp_path / "in.txt").write_text("in", encoding="utf-8")
    with emulator_process("--pool", "shell") as address:

        def command(*arguments: str) -> subprocess.CompletedProcess[str]:
            return aca_mcp(
                *arguments,
                cwd=tmp_path,
                ACA_MCP_POOL_MANAGEMENT_ENDPOINT=address + POOL_PATH,
                ACA_MCP_AZURE_CREDENTIAL="emulator",
            )

        done = command("exec", "1+1")
        assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "2"), done.stderr
        done = command("exec", "!echo $((6*7))")
        assert (done.returncode, done.stdout) == (0, "42\n"), done.stderr
        done = command("exec", "say it.py", "a b", "--upload", "in.txt", "--", "$HOME", "-v")
        said = ["say it.py", "a b", "$HOME", "-v"]
        assert done.stdout == f"{said} /mnt/data/say it.py __main__ in\n", done.stderr
        assert 'say it.py", line 5' in done.stderr
        assert "ZeroDivisionError" in done.stderr
        assert done.returncode == 1
        (tmp_path / "-ends.py").write_text("import sys; sys.exit(int(sys.argv[1]))")
        assert [command("exec", "./-ends.py", each).returncode for each in "03"] == [0, 3]
        for code in ("print(1)", "-"):
            done = command("exec", code, "a")
            assert (done.stdout, done.returncode) == ("", 1)
            assert "only a script can have arguments" in done.stderr
        looked = command("doctor")
        assert looked.returncode == 0, looked.stdout
        assert "run_shell, and a Python that keeps no variables" in looked.stdout
