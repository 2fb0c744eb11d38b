"""An index of wheels that tests make, and a broker of it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.packages.sessions import opened
from tests.support.package_index import Index, make_wheel, only_this_index, serve_index
from tests.support.reachable import reachable_python

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from aca_mcp.pool import SessionPool


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Index]:
    """Packages that only tests know."""
    only_this_index(monkeypatch, tmp_path)
    directory = tmp_path / "wheels"
    directory.mkdir()
    make_wheel(directory, "tea-time", "1.0")
    make_wheel(directory, "tea-time", "1.1")
    make_wheel(directory, "needs-tea", "2.0", requires=("tea-time<1.1",))
    program = {
        "has_program.py": "def main(): print('tea is ready')\n",
        "has_program-1.0.dist-info/entry_points.txt": (
            "[console_scripts]\nmake-tea = has_program:main\n"
        ),
    }
    make_wheel(directory, "has-program", files=program)
    make_wheel(directory, "needs-old-numpy", "1.0", requires=("numpy<1",))
    make_wheel(directory, "elsewhere", "1.0", tag="cp27-cp27m-win_amd64")
    with serve_index(directory) as served:
        yield served


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
