"""An index of wheels that tests make, and a broker of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.package_index import Index, make_wheel, only_this_index, serve_index

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Index]:
    """Packages that only tests know."""
    only_this_index(monkeypatch, tmp_path)
    directory = tmp_path / "wheels"
    directory.mkdir()
    make_wheel(directory, "tea-time", "1.0")
    make_wheel(directory, "tea-time", "1.1")
    make_wheel(directory, "needs-tea", "2.0", requires=("tea-time<1.1",))
    make_wheel(directory, "needs-old-numpy", "1.0", requires=("numpy<1",))
    make_wheel(directory, "elsewhere", "1.0", tag="cp27-cp27m-win_amd64")
    with serve_index(directory) as served:
        yield served
