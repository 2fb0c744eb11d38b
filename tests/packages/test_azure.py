"""Packages on an Azure pool whose sessions have no network, against the emulator."""

from __future__ import annotations

import random
import zipfile
from typing import TYPE_CHECKING

import anyio
import pytest

from aca_mcp.azure.session_packages import pack
from aca_mcp.errors import PackagesNotInstalledError
from aca_mcp.packages.broker import PackageBroker
from aca_mcp.packages.requirements import Policy
from aca_mcp.packages.store import PackageStore
from tests.support.emulators import POOL_PATH, azure_pool_at, emulator_process

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator
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


async def test_pip_in_code_gets_the_same(pool: SessionPool) -> None:
    code = "if True:\n    %pip install -q 'needs-tea'\nimport tea_time\nprint(tea_time.version)"
    text = await printed(pool, "installs-by-code", code)
    assert text == "Successfully installed needs-tea-2.0 tea-time-1.0\n1.0\n"
    text = await printed(pool, "installs-by-code", "!pip install no-tea\nprint(1)")
    assert text.startswith("ERROR: The index has no package 'no-tea'")
    assert text.endswith("1\n")


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
        text = await printed(pool, "installs-by-file", f"%pip install {spelling}")
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
