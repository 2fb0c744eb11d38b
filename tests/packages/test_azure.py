"""Packages on an Azure pool whose sessions have no network, against the emulator."""

from __future__ import annotations

import random
import uuid
import zipfile
from typing import TYPE_CHECKING, Literal

import anyio
import httpx
import pytest

from aca_mcp.azure.session_packages import pack
from aca_mcp.errors import PackagesNotInstalledError
from aca_mcp.packages.broker import PackageBroker
from aca_mcp.packages.requirements import Policy
from aca_mcp.packages.store import PackageStore
from aca_mcp.request_context import serving
from tests.support.emulators import POOL_PATH, azure_pool_at, emulator_process

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Sequence
    from pathlib import Path

    from aca_mcp.pool import SessionPool
    from tests.support.package_index import Index


@pytest.fixture(scope="module")
def emulator() -> Generator[str]:
    with emulator_process() as address:
        yield address


@pytest.fixture
async def pool(emulator: str, index: Index, tmp_path: Path) -> AsyncGenerator[SessionPool]:
    broker = PackageBroker(PackageStore(tmp_path / "store"), Policy("index"), index=index.url)
    async with azure_pool_at(emulator + POOL_PATH, broker=lambda: broker) as each:
        yield each


INSTALLED = "Successfully installed needs-tea-2.0 tea-time-1.0\n"


async def told(pool: SessionPool, identifier: str, code: str) -> str:
    execution = await pool.execute(identifier, code, timeout_seconds=60)
    return execution.stdout.text + execution.stderr.text


async def printed(pool: SessionPool, identifier: str, code: str) -> str:
    execution = await pool.execute(identifier, code, timeout_seconds=60)
    assert execution.error is None, execution.error.traceback
    return execution.stdout.text


async def test_packages_are_fetched_here_and_imported_there(pool: SessionPool) -> None:
    made = await pool.install_packages("installs-by-tool", ["needs-tea"])
    assert [each.name for each in made.installed] == ["needs-tea", "tea-time"]
    code = "import needs_tea, tea_time; print(tea_time.version)"
    assert await printed(pool, "installs-by-tool", code) == "1.0\n"
    assert (await pool.list_files("installs-by-tool")).entries == ()
    again = await pool.install_packages("installs-by-tool", ["tea-time"])
    assert (again.installed, len(again.present)) == ((), 1)
    with pytest.raises(PackagesNotInstalledError, match="option"):
        await pool.install_packages("installs-by-tool", ["--index-url=http://evil.example"])


CHECK_CALL = """
import subprocess, sys
print(subprocess.check_output([sys.executable, "-m", "pip", "install", "needs-tea"], text=True))
"""


@pytest.mark.parametrize(
    ("command", "prints"),
    [
        ("if True:\n    %pip install -q 'needs-tea'", INSTALLED),
        ("!pip install -q needs-tea 2>&1", INSTALLED),
        ("!pip install needs-tea | tail -5", INSTALLED),
        ("!pip install needs-tea > /dev/null && echo done", "done\n"),
        ("!pip3 install needs-tea >/dev/null 2>&1; echo done", "done\n"),
        ("import sys\n!{sys.executable} -m pip install needs-tea | tail -1", INSTALLED),
        ("!python3 -m pip install no-tea || pip install needs-tea", INSTALLED),
        ("!uv pip install needs-tea | wc -l", "1\n"),
        ("name = 'needs-tea'\n%pip install {name}", INSTALLED),
        ("output = !pip install needs-tea\nprint(output[0])", INSTALLED),
        ("%%bash\nset -e\n# tea\npip install needs-tea 2>&1 | sed s/S/s/", INSTALLED[1:]),
        ("pip install needs-tea", INSTALLED),
        (CHECK_CALL, INSTALLED),
    ],
)
@pytest.mark.parametrize("rich_results", [True, False], ids=["rich", "plain"])
async def test_commands_of_code_do_what_they_do_on_a_machine_with_a_network(
    emulator: str, index: Index, tmp_path: Path, command: str, prints: str, rich_results: bool
) -> None:
    broker = PackageBroker(PackageStore(tmp_path / "store"), Policy("index"), index=index.url)
    identifier = f"commands-{uuid.uuid4()}"
    endpoint = emulator + POOL_PATH
    async with azure_pool_at(endpoint, broker=lambda: broker, rich_results=rich_results) as pool:
        assert prints in await printed(pool, identifier, command)
        program = (
            "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import tea_time'])"
        )
        code = f"import needs_tea, tea_time; print(tea_time.version)\n{program}.check_returncode()"
        assert await printed(pool, identifier, code) == "1.0\n"
        await pool.stop_session(identifier)


async def test_a_command_that_cannot_be_done_says_so_and_fails(pool: SessionPool) -> None:
    text = await told(pool, "fails", "!pip install no-tea && echo no\nprint(1)")
    assert "ERROR: The index has no package 'no-tea'" in text
    assert "no\n" not in text
    unseen = "import os\nfor name in {'tea-time'}:\n    os.system('pip install ' + name)"
    assert "%pip install NAME" in await told(pool, "fails", unseen)
    assert "tea-time" not in {each.name for each in await pool.list_packages("fails")}
    assert "option --index-url" in await told(pool, "fails", "!pip install --index-url y tea")


async def test_text_and_other_commands_of_pip_are_left_alone(
    pool: SessionPool, index: Index
) -> None:
    code = "text = '''\n%pip install needs-tea\n'''\nprint(text)"
    assert await printed(pool, "other", code) == "\n%pip install needs-tea\n\n"
    assert index.asked == []
    assert "numpy" in await printed(pool, "other", "# install\n!pip list")


@pytest.mark.parametrize("policy", ["off", "list"])
async def test_what_is_not_permitted_is_refused_and_recorded(
    emulator: str, index: Index, tmp_path: Path, policy: Literal["off", "list"]
) -> None:
    store = PackageStore(tmp_path / "store")
    broker = PackageBroker(store, Policy(policy), index=index.url)
    recorded: list[tuple[str, list[str], str]] = []

    def record(
        identifier: str, packages: Sequence[str], *, seconds: float, error: BaseException | None
    ) -> None:
        recorded.append((identifier, list(packages), type(error).__name__))

    says = "ACA_MCP_PACKAGES=index" if policy == "off" else "ACA_MCP_PACKAGES_LIST"
    made = None if policy == "off" else lambda: broker
    async with azure_pool_at(emulator + POOL_PATH, broker=made) as pool:
        with serving(record_packages=record):
            text = await told(pool, f"refused-{policy}", "!pip install needs-tea 2>&1 | cat")
            assert says in text
            with pytest.raises(PackagesNotInstalledError, match=says):
                await pool.install_packages(f"refused-{policy}", ["tea-time"])
    assert [each[1:] for each in recorded] == [
        (["needs-tea"], "PackagesNotInstalledError"),
        (["tea-time"], "PackagesNotInstalledError"),
    ]
    assert index.asked == []


async def test_who_asks_too_often_for_what_is_not_permitted_is_told_so(emulator: str) -> None:
    async with azure_pool_at(emulator + POOL_PATH) as pool:
        for _ in range(10):
            with pytest.raises(PackagesNotInstalledError, match="ACA_MCP_PACKAGES=index"):
                await pool.install_packages("asks-often", ["tea-time"])
        with pytest.raises(PackagesNotInstalledError, match="10 times in a minute"):
            await pool.install_packages("asks-often", ["tea-time"])


async def test_a_session_is_asked_once_for_what_a_cell_installs(
    emulator: str, index: Index, tmp_path: Path
) -> None:
    broker = PackageBroker(PackageStore(tmp_path / "store"), Policy("index"), index=index.url)
    asked: list[bytes] = []

    class Listening(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            asked.append(await request.aread())
            return await super().handle_async_request(request)

    pool_path = emulator + POOL_PATH
    async with azure_pool_at(pool_path, transport=Listening(), broker=lambda: broker) as pool:
        text = await printed(
            pool,
            "asks-once",
            "%pip install tea-time==1.0\n%pip install nothing-like-it\n%pip install needs-tea",
        )
    assert "Successfully installed tea-time-1.0\n" in text
    assert "Requirement already satisfied: tea-time" not in text
    assert "Successfully installed needs-tea-2.0\n" in text
    assert sum(b"facts()" in content for content in asked) == 1


async def test_packages_are_listed_by_either_name(pool: SessionPool) -> None:
    await pool.install_packages("lists", ["needs-tea"])
    listed = {each.name.lower(): each.modules for each in await pool.list_packages("lists")}
    assert listed["pillow"] == ("PIL",)
    assert "needs-tea" in listed
    assert "dateutil" in listed["python-dateutil"]


async def test_a_file_of_requirements_is_the_session_s(pool: SessionPool, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("needs-tea")
    write = (
        "import os; os.makedirs('deep', exist_ok=True)\n"
        "open('requirements.txt', 'w').write('# tea\\n-r deep/more.txt\\n')\n"
        "open('deep/more.txt', 'w').write('tea-time==1.0 ; python_version > \"3\"  # old\\n')\n"
    )
    await printed(pool, "installs-by-file", write)
    code = "%pip install -r requirements.txt\nimport tea_time\nprint(tea_time.version)"
    text = await printed(pool, "installs-by-file", code)
    assert text == "Successfully installed tea-time-1.0\n1.0\n"
    for spelling in (f"-r {secret}", f"-r{secret}", f"--requirement={secret}", "-r nowhere.txt"):
        text = await told(pool, "installs-by-file", f"%pip install {spelling}")
        assert "could not open the file of requirements" in text
        assert "needs-tea" not in text


async def test_lines_of_a_shell_cell_get_the_same(pool: SessionPool) -> None:
    cell = (
        "%%bash\nset -e\npip install -q needs-tea  # tea\necho there\npip install no-tea\necho no"
    )
    execution = await pool.execute("installs-by-shell", cell, timeout_seconds=60)
    assert "Successfully installed needs-tea-2.0 tea-time-1.0\nthere\n" in execution.stdout.text
    assert "no package 'no-tea'" in execution.stderr.text
    assert "no\n" not in execution.stdout.text
    assert await printed(pool, "installs-by-shell", "import tea_time; print(1)") == "1\n"


async def test_packages_are_listed_while_code_runs(pool: SessionPool) -> None:
    await pool.install_packages("lists-while-busy", ["needs-tea"])
    await printed(pool, "lists-while-busy", "import tea_time")
    assert "tea-time" in {each.name for each in await pool.list_packages("lists-while-busy")}
    async with anyio.create_task_group() as tasks:
        code = "import time; time.sleep(60)"
        tasks.start_soon(lambda: pool.execute("lists-while-busy", code, timeout_seconds=90))
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(30):
            listed = await pool.list_packages("lists-while-busy")
        assert "tea-time" in {each.name for each in listed}
        tasks.cancel_scope.cancel()


def test_what_is_large_is_packed_in_parts(tmp_path: Path) -> None:
    source, archives = tmp_path / "source", tmp_path / "archives"
    (source / "inner").mkdir(parents=True)
    archives.mkdir()
    files = {f"inner/{n}.bin": random.Random(n).randbytes(2000) for n in range(5)}
    for name, content in files.items():
        (source / name).write_bytes(content)
    made = pack(source, archives, most_bytes=3000)
    assert len(made) > 1
    for archive in made:
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(tmp_path / "there")
    assert {name: (tmp_path / "there" / name).read_bytes() for name in files} == files
