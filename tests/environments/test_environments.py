"""Environments made from a real index by the real installers, and used by real sessions."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from aca_mcp.environments import building
from aca_mcp.environments.store import EnvironmentStore
from aca_mcp.errors import EnvironmentFailedError, InvalidRequestError
from aca_mcp.installing.commands import Installer, find_installer
from aca_mcp.pool import identifier_in
from aca_mcp.pools import open_session_pool
from aca_mcp.settings import Settings
from tests.support.package_index import add_ipython, make_wheel, only_this_index, serve_index

if TYPE_CHECKING:
    from collections.abc import Generator

    from aca_mcp.environments.store import Environment
    from aca_mcp.pool import SessionPool
    from tests.support.package_index import Index

PIP = Installer("pip", (sys.executable, "-m", "pip"))


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Generator[Index]:
    """Packages that only tests know, and an IPython in name alone: it is quicker to install."""
    directory = tmp_path_factory.mktemp("wheels")
    make_wheel(directory, "ipython", "9.9", {"IPython/__init__.py": ""})
    _add_tea(directory)
    with serve_index(directory) as served:
        yield served


@pytest.fixture(scope="module")
def whole_index(tmp_path_factory: pytest.TempPathFactory) -> Generator[Index]:
    """One with which sessions run."""
    directory = tmp_path_factory.mktemp("whole")
    add_ipython(directory)
    _add_tea(directory)
    with serve_index(directory) as served:
        yield served


def _add_tea(directory: Path) -> None:
    make_wheel(directory, "tea-time", "1.0")
    make_wheel(directory, "tea-time", "1.1")
    make_wheel(directory, "needs-tea", "2.0", requires=("tea-time<1.1",))


@pytest.fixture(autouse=True)
def _this_index_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    only_this_index(monkeypatch, tmp_path)


async def make(
    store: EnvironmentStore, index: Index, name: str, *packages: str, by: Installer | None = None
) -> Environment:
    wanted = building.Request(name, packages)
    return await building.make(store, wanted, say=_silent, index=index.url, installer=by)


def _silent(text: str) -> None:
    """Nobody reads what is being done."""


@pytest.mark.parametrize("installer", [find_installer(), PIP], ids=lambda each: each.name)
async def test_an_environment_has_what_was_asked_for_and_a_record_of_it(
    installer: Installer, index: Index, tmp_path: Path
) -> None:
    store = EnvironmentStore(tmp_path / "environments")
    made = await make(store, index, "tea", "needs-tea", by=installer)
    assert store.names() == ("tea",)
    assert store.get("tea") == made
    assert {"needs-tea==2.0", "tea-time==1.0"} <= set(made.record.packages)
    assert all(" sha256:" in entry for entry in made.record.lock)
    assert "127.0.0.1" not in (made.directory / "environment.json").read_text()
    assert made.record.python_version == sys.version.split()[0]


@pytest.mark.parametrize("installer", [find_installer(), PIP], ids=lambda each: each.name)
async def test_nothing_of_a_package_runs_while_an_environment_is_made(
    installer: Installer, index: Index, tmp_path: Path
) -> None:
    marker = _add_pth(index.directory, tmp_path)
    store = EnvironmentStore(tmp_path / "environments")
    made = await make(store, index, "tea", "with-pth", by=installer)
    assert list(made.directory.glob("lib/*/site-packages/with_pth.pth"))
    assert list(made.directory.glob("lib/*/site-packages/__pycache__/with_pth.*.pyc"))
    assert not marker.exists()


def _add_pth(directory: Path, tmp_path: Path) -> Path:
    """A package whose ``.pth`` says in a file which program obeyed it; the file."""
    marker = tmp_path / "obeyed"
    line = f"import sys; open({str(marker)!r}, 'a').write(f'{{sys.orig_argv}}\\n')\n"
    make_wheel(directory, "with-pth", files={"with_pth.py": "", "with_pth.pth": line})
    return marker


async def test_nothing_of_an_environment_runs_while_packages_are_brought_to_its_sessions(
    whole_index: Index, tmp_path: Path
) -> None:
    marker = _add_pth(whole_index.directory, tmp_path)
    store = EnvironmentStore(tmp_path / "data" / "environments")
    await make(store, whole_index, "minimal", "with-pth")
    assert not marker.exists()
    settings = Settings(
        data_dir=tmp_path / "data", local_python=None, package_index=whole_index.url
    )
    async with open_session_pool(settings) as pool:
        made = await pool.install_packages("a-session", ["needs-tea"])
        assert [each.name for each in made.installed] == ["needs-tea", "tea-time"]
        assert await value(pool, "a-session", "import tea_time; tea_time.version") == "'1.0'"
    # The process that sessions are forked from imports what a person chose, and nothing else did.
    obeyed = marker.read_text().splitlines()
    assert obeyed
    assert all("aca_mcp.local" in line and "template" in line for line in obeyed), obeyed


async def test_one_that_cannot_be_made_leaves_the_one_that_was_there(
    index: Index, tmp_path: Path
) -> None:
    store = EnvironmentStore(tmp_path / "environments")
    before = await make(store, index, "tea", "tea-time==1.0")
    with pytest.raises(EnvironmentFailedError, match="no-such-package"):
        await make(store, index, "tea", "no-such-package")
    assert store.get("tea") == before
    assert [path.name for path in before.directory.parent.iterdir()] == [before.directory.name]


async def test_whoever_uses_one_keeps_it_when_it_is_made_anew_or_removed(
    index: Index, tmp_path: Path
) -> None:
    store = EnvironmentStore(tmp_path / "environments")
    old = await make(store, index, "tea", "tea-time==1.0")
    with store.hold(old):
        new = await make(store, index, "tea", "tea-time==1.1")
        assert store.get("tea") == new != old
        store.remove("tea")
        assert old.python.exists()
        assert not new.python.exists()
    store.prune()
    assert not old.python.exists()
    with pytest.raises(EnvironmentFailedError, match="env create"):
        store.get("tea")


async def test_of_several_that_ask_at_once_one_makes_it(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        building.DEFINITIONS,
        "minimal",
        building.DEFINITIONS["minimal"].__class__("tea", ("tea-time",)),
    )
    made: list[Environment] = []
    said: list[str] = []
    store = EnvironmentStore(tmp_path / "environments")

    async def ensure() -> None:
        made.append(await building.ensure(store, "minimal", say=said.append, index=index.url))

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(ensure)
    assert len({each.directory for each in made}) == 1
    assert sum(text.startswith("making") for text in said) == 1


@pytest.mark.parametrize("name", ["", "..", "a/b", "Data", "-x", "x" * 41, ".builds", "a\nb"])
def test_a_name_is_never_a_path(name: str, tmp_path: Path) -> None:
    store = EnvironmentStore(tmp_path)
    assert store.find(name) is None
    with pytest.raises(EnvironmentFailedError, match="cannot name an environment"):
        building.request_for(name, ("tea-time",))


def test_a_name_of_ones_own_needs_packages() -> None:
    with pytest.raises(EnvironmentFailedError, match="minimal and data"):
        building.request_for("mine", ())


async def value(pool: SessionPool, identifier: str, code: str) -> str:
    execution = await pool.execute(identifier, code, timeout_seconds=30)
    assert execution.error is None, execution.error.traceback
    (output,) = execution.outputs
    return str(output.data["text/plain"])


async def test_sessions_of_two_environments_run_side_by_side_apart_from_the_server(
    whole_index: Index, tmp_path: Path
) -> None:
    index = whole_index
    store = EnvironmentStore(tmp_path / "data" / "environments")
    await make(store, index, "minimal", "tea-time==1.0")
    await make(store, index, "other", "tea-time==1.1")
    settings = Settings(data_dir=tmp_path / "data", local_python=None)
    async with open_session_pool(settings) as pool:
        first, second = "first-session", identifier_in("other", "second-session")
        version = "import tea_time; tea_time.version"
        assert await value(pool, first, version) == "'1.0'"
        assert await value(pool, second, version) == "'1.1'"
        there = "import importlib.util as u; [n for n in {} if u.find_spec(n)]"
        assert (
            await value(pool, first, there.format(["mcp", "azure", "uvicorn", "pydantic"])) == "[]"
        )
        server = str(Path(sys.prefix))
        assert await value(pool, first, f"import os; os.path.exists({server!r})") == "False"
        names = [each.name for each in (await pool.metadata()).environments]
        assert names == ["minimal", "other"]
        with pytest.raises(InvalidRequestError, match="minimal, other"):
            await pool.execute(identifier_in("third", "some-session"), "1", timeout_seconds=5)
        assert await pool.get_session(second) is not None
        assert await pool.stop_session(second)
        assert await pool.get_session(second) is None


async def test_where_there_is_none_the_first_is_made_and_calls_wait_for_it(
    whole_index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    definition = building.DEFINITIONS["minimal"]
    monkeypatch.setitem(building.DEFINITIONS, "minimal", definition.__class__("tea", ("tea-time",)))
    settings = Settings(data_dir=tmp_path, local_python=None, package_index=whole_index.url)
    async with open_session_pool(settings) as pool:
        assert await value(pool, "a-session", "import tea_time; tea_time.version") == "'1.1'"
    assert EnvironmentStore(tmp_path / "environments").names() == ("minimal",)


async def test_one_that_is_named_and_not_there_is_refused_with_the_command(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, local_python=None, local_environment="data")
    with pytest.raises(EnvironmentFailedError, match="aca-mcp env create"):
        async with open_session_pool(settings):
            pass


def test_there_is_an_installer_beside_the_server() -> None:
    installer = find_installer()
    assert shutil.which(installer.command[0]) is not None
