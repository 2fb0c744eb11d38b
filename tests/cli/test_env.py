"""``aca-mcp env``, against a real index: what it makes, lists, shows and removes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aca_mcp.cli import main
from tests.support.package_index import make_wheel, only_this_index, serve_index

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from tests.support.package_index import Index

    Env = Callable[..., tuple[int, str, str]]


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Index]:
    """With an IPython in name alone: it is quicker to install."""
    only_this_index(monkeypatch, tmp_path)
    directory = tmp_path / "wheels"
    directory.mkdir()
    make_wheel(directory, "ipython", "9.9", {"IPython/__init__.py": ""})
    make_wheel(directory, "tea-time", "1.0")
    make_wheel(directory, "needs-tea", "2.0", requires=("tea-time",))
    with serve_index(directory) as served:
        yield served


@pytest.fixture
def env(
    index: Index,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Env:
    monkeypatch.delenv("ACA_MCP_LOCAL_PYTHON", raising=False)
    monkeypatch.setenv("ACA_MCP_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("ACA_MCP_PACKAGE_INDEX", index.url)

    def run(*words: str) -> tuple[int, str, str]:
        try:
            code = main(["env", *words])
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        out, err = capsys.readouterr()
        return code or 0, out, err

    return run


def test_an_environment_is_made_listed_shown_made_anew_and_removed(
    env: Env, index: Index, tmp_path: Path
) -> None:
    wanted = tmp_path / "wanted.txt"
    wanted.write_text("# drinks\ntea-time\n")
    code, out, err = env("create", "tea", "--requirements", str(wanted), "needs-tea")
    assert (code, out) == (0, "")
    assert "installing 3 packages" in err
    assert "tea: Python 3." in err

    code, out, _ = env("list")
    assert code == 0
    assert "tea: Python 3." in out
    assert "needs-tea, tea-time" in out
    assert "data: not made; aca-mcp env create data" in out
    assert "(default)" not in out

    code, out, _ = env("show", "tea")
    assert code == 0
    assert "of: needs-tea tea-time\n" in out
    assert out.endswith("ipython==9.9\nneeds-tea==2.0\ntea-time==1.0\n")

    make_wheel(index.directory, "tea-time", "1.1")
    assert env("update", "tea")[0] == 0
    assert "tea-time==1.1\n" in env("show", "tea")[1]

    assert env("remove", "tea") == (0, "", "")
    code, out, err = env("show", "tea")
    assert code != 0
    assert "no environment 'tea'" in err
    assert list((tmp_path / "data" / "environments" / ".builds").iterdir()) == []


def test_updating_keeps_to_what_was_asked_for_and_says_what_the_product_makes_now(env: Env) -> None:
    assert env("create", "minimal", "tea-time")[0] == 0
    code, _, err = env("update", "minimal")
    assert code == 0
    assert "makes minimal with matplotlib>=3.9, numpy>=2.0, pandas>=2.2 and without tea-time" in err
    assert "of: tea-time\n" in env("show", "minimal")[1]
    assert env("create", "tea", "tea-time")[0] == 0
    assert "This version makes" not in env("update", "tea")[2]


def test_the_list_marks_what_sessions_have(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    assert env("create", "minimal", "tea-time")[0] == 0
    assert env("create", "tea", "tea-time")[0] == 0
    assert default_in(env("list")[1]) == "minimal"
    monkeypatch.setenv("ACA_MCP_LOCAL_ENVIRONMENT", "tea")
    assert default_in(env("list")[1]) == "tea"
    monkeypatch.setenv("ACA_MCP_LOCAL_ENVIRONMENT", "other")
    _, out, err = env("list")
    assert default_in(out) == ""
    assert "aca-mcp env create other" in err
    monkeypatch.setenv("ACA_MCP_LOCAL_PYTHON", "/usr/bin/python3")
    _, out, err = env("list")
    assert default_in(out) == ""
    assert "ACA_MCP_LOCAL_PYTHON" in err


def default_in(listed: str) -> str:
    marked = [line for line in listed.splitlines() if line.endswith("(default)")]
    return marked[0].partition(":")[0] if marked else ""


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("show", "tea"), "no environment 'tea'"),
        (("remove", "tea"), "no environment 'tea'"),
        (("update", "tea"), "no environment 'tea'"),
        (("create", "../tea", "tea-time"), "cannot name an environment"),
        (("create", "tea"), "Say what is to be in 'tea'"),
        (("create", "tea", "no-such-package"), "no-such-package"),
        (("show",), "needs a NAME"),
        (("remove", "tea", "tea-time"), "for aca-mcp env create"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_left(
    words: tuple[str, ...], says: str, env: Env, tmp_path: Path
) -> None:
    code, out, err = env(*words)
    assert (code != 0, out) == (True, "")
    assert says in err
    assert not list((tmp_path / "data").glob("environments/[!.]*"))
