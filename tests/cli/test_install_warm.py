"""What ``aca-mcp install`` offers where sessions are to be in WebAssembly, not compiled yet."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pexpect
import pytest

from aca_mcp.cli import main

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMAND = str(Path(sys.executable).parent / "aca-mcp")
QUESTION = "Compile it now? [Y/n] "


@pytest.fixture
def environment(tmp_path: Path) -> Mapping[str, str]:
    """A home directory of the test's own, with Cursor in it and an empty cache."""
    (tmp_path / ".cursor").mkdir()
    (tmp_path / "cache").mkdir(mode=0o700)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ACA_MCP_")}
    return {
        **kept,
        "HOME": str(tmp_path),
        "ACA_MCP_POOL": "wasm",
        "ACA_MCP_WASM_CACHE_DIR": str(tmp_path / "cache"),
    }


def asked(environment: Mapping[str, str], tmp_path: Path, answer: str) -> tuple[str, int]:
    """Install at a terminal, and answer the question; what is said then, and the exit code."""
    terminal: Any = cast("Any", pexpect).spawn(
        COMMAND, ["install", "cursor"], env=environment, cwd=str(tmp_path), encoding="utf-8"
    )
    with terminal:
        terminal.expect_exact(QUESTION, timeout=50)
        terminal.sendline(answer)
        terminal.expect(cast("Any", pexpect).EOF, timeout=50)
        said = str(terminal.before)
    return said, int(terminal.exitstatus)


def test_a_person_can_leave_it_for_later(environment: Mapping[str, str], tmp_path: Path) -> None:
    _, code = asked(environment, tmp_path, "n")
    assert code == 0
    assert (tmp_path / ".cursor" / "mcp.json").is_file()
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("answer", ["", "y", "YES"])
def test_a_person_who_wants_it_has_it_begin_at_once(
    environment: Mapping[str, str], tmp_path: Path, answer: str
) -> None:
    """It takes minutes, so that here it meets a directory that it refuses."""
    (tmp_path / "cache").chmod(0o777)
    said, code = asked(environment, tmp_path, answer)
    assert "chmod 700" in said
    assert code != 0
    assert (tmp_path / ".cursor" / "mcp.json").is_file()


def test_without_a_terminal_the_command_is_named(
    environment: Mapping[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main(["install", "cursor"]) == 0
    told = capsys.readouterr().err
    assert "do it ahead with: aca-mcp warm" in told
    assert QUESTION not in told


def test_with_another_pool_nothing_is_offered(
    environment: Mapping[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in {**environment, "ACA_MCP_POOL": "local"}.items():
        monkeypatch.setenv(name, value)
    assert main(["install", "cursor"]) == 0
    assert "compile" not in capsys.readouterr().err
