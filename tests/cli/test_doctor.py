"""``aca-mcp doctor`` on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING

from aca_mcp.cli.doctor import installed_in
from tests.support.command_line import aca_mcp

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


run = partial(aca_mcp, "doctor")


def test_a_machine_that_is_ready_is_told_so(tmp_path: Path) -> None:
    done = run("--work-dir", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "local, because no pool management endpoint is set" in done.stdout
    assert "1+1 = 2 after" in done.stdout
    assert "Packages" in done.stdout
    assert "Checkpoints" in done.stdout
    assert str(tmp_path) in done.stdout
    assert done.stdout.endswith("\nReady.\n")
    assert len(done.stdout.splitlines()) <= 24
    assert done.stderr == ""


def test_clients_that_have_an_entry_are_found_whatever_else_they_keep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    (tmp_path / ".claude.json").write_text("not JSON", encoding="utf-8")
    (tmp_path / ".gemini").mkdir()
    os.mkfifo(tmp_path / ".gemini" / "settings.json")
    (tmp_path / ".cursor").mkdir()
    (tmp_path / ".cursor" / "mcp.json").write_text(
        '{"mcpServers": {"py": {"command": "/opt/aca-mcp"}, "x": {"command": "x"}}}',
        encoding="utf-8",
    )
    (tmp_path / ".codex").mkdir()
    (tmp_path / ".codex" / "config.toml").write_text(
        '[mcp_servers.aca-mcp]\ncommand = "/opt/aca-mcp"\n', encoding="utf-8"
    )
    assert installed_in() == {"Codex": ["aca-mcp"], "Cursor": ["py"]}


def test_an_interpreter_without_ipython_is_broken_and_has_the_command(tmp_path: Path) -> None:
    """One sentence with what to install, instead of a traceback of another process."""
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True, timeout=45)
    done = run("--local-python", str(bare / "bin" / "python"))
    assert done.returncode == 1
    assert "IPython" in done.stdout
    assert "pip install" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_an_azure_pool_is_answered_with_one_sentence() -> None:
    done = run("--pool-management-endpoint", "https://pool.example.net")
    assert done.returncode == 1
    assert "azure, because a pool management endpoint is set" in done.stdout
    assert "1 of " in done.stdout.splitlines()[-1]
