"""``aca-mcp install`` and ``uninstall`` where a careless program would do harm."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aca_mcp.cli import main
from aca_mcp.cli.client_entries import is_ours
from aca_mcp.cli.known_clients import CLIENTS, windows_file

if TYPE_CHECKING:
    from collections.abc import Callable

COMMAND = str(Path(sys.executable).parent / "aca-mcp")
FOREIGN = {"command": "uvx", "args": ["mcp-python"], "env": {"TOKEN": "hush"}}
CODEX = """\
model = "gpt-5" # mine

# The team's.
[mcp_servers.github]
command = "npx"
env = { TOKEN = "hush" }
"""


pytestmark = pytest.mark.usefixtures("home")


def write(home: Path, servers: dict[str, object], name: str = ".cursor/mcp.json") -> Path:
    file = home / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"mcpServers": servers}), encoding="utf-8")
    return file


def servers_of(file: Path) -> dict[str, dict[str, object]]:
    return json.loads(file.read_text(encoding="utf-8"))["mcpServers"]


def test_another_server_of_the_name_is_never_replaced_nor_its_environment_inherited(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(home, {"aca-mcp": FOREIGN})
    before = file.read_bytes()
    assert main(["install", "cursor"]) == 2
    error = capsys.readouterr().err
    assert "has another server named aca-mcp" in error
    assert "--name" in error
    assert "--replace" in error
    assert file.read_bytes() == before

    assert main(["install", "cursor", "--name", "mine"]) == 0
    assert servers_of(file)["aca-mcp"] == FOREIGN
    assert main(["install", "cursor", "--replace"]) == 0
    assert servers_of(file)["aca-mcp"] == {"command": COMMAND, "args": []}
    assert "also there under the name mine" in capsys.readouterr().err


def test_our_own_entry_keeps_what_a_person_added_and_loses_settings_that_are_over(
    home: Path,
) -> None:
    ours = {
        "command": "/elsewhere/aca-mcp",
        "args": ["--work-dir", "/old"],
        "env": {"ACA_MCP_LOCAL_DISK_MIB": "64", "ACA_MCP_EMULATOR_TOKEN": "hush", "LANG": "C"},
        "disabled": False,
    }
    file = write(home, {"aca-mcp": ours})
    assert main(["install", "cursor", "--log-level", "info"]) == 0
    assert servers_of(file)["aca-mcp"] == {
        "command": COMMAND,
        "args": ["--log-level", "info"],
        "env": {"ACA_MCP_EMULATOR_TOKEN": "hush", "LANG": "C"},
        "disabled": False,
    }


def test_uninstalling_takes_our_entry_out_and_no_other(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(home, {"aca-mcp": {"command": COMMAND, "args": []}, "github": FOREIGN})
    assert main(["uninstall", "cursor", "--name", "github"]) == 2
    assert "github in" in capsys.readouterr().err
    assert main(["uninstall", "cursor", "--name", "none"]) == 0
    assert "also there under the name aca-mcp" in capsys.readouterr().err
    assert main(["uninstall", "cursor"]) == 0
    assert servers_of(file) == {"github": FOREIGN}
    assert main(["uninstall", "zed"]) == 0


def test_codex_has_its_comments_and_servers_as_before(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = home / ".codex" / "config.toml"
    file.parent.mkdir()
    file.write_text(CODEX, encoding="utf-8")
    assert main(["install", "codex"]) == 0
    added = file.read_text(encoding="utf-8")
    assert added.startswith(CODEX)
    assert "[mcp_servers.aca-mcp]" in added
    assert main(["install", "codex"]) == 0
    assert "has this entry already" in capsys.readouterr().err
    assert main(["uninstall", "codex"]) == 0
    assert file.read_text(encoding="utf-8").strip() == CODEX.strip()
    file.write_text("mcp_servers = [", encoding="utf-8")
    assert main(["install", "codex"]) == 2
    assert "was not changed: it is not TOML" in capsys.readouterr().err
    file.write_text("mcp_servers = 3", encoding="utf-8")
    assert main(["install", "codex"]) == 2
    assert "mcp_servers is not a table" in capsys.readouterr().err


def link_to_zeros(file: Path) -> None:
    file.symlink_to("/dev/zero")


def link_outside(file: Path) -> None:
    outside = file.parent.parent / "outside.json"
    outside.write_text("{}", encoding="utf-8")
    file.symlink_to(outside)


def link_to_nothing(file: Path) -> None:
    file.symlink_to(file.parent.parent / "chosen-by-a-stranger")


@pytest.mark.parametrize(
    "plant", [os.mkfifo, link_to_zeros, link_outside, link_to_nothing], ids=lambda f: f.__name__
)
def test_a_projects_file_that_is_no_file_of_the_project_is_not_touched(
    plant: Callable[[Path], None], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = home / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    plant(project / ".mcp.json")
    outside = {path.name: path.read_bytes() for path in home.iterdir() if path.is_file()}
    for command in ("install", "uninstall"):
        assert main([command, "claude-code", "--project"]) == 2
    assert [path.name for path in project.iterdir()] == [".mcp.json"]
    assert {path.name: path.read_bytes() for path in home.iterdir() if path.is_file()} == outside


def test_a_projects_folder_that_is_a_link_is_not_followed(home: Path) -> None:
    (home / "elsewhere").mkdir()
    (home / ".vscode").symlink_to(home / "elsewhere")
    assert main(["install", "vscode", "--project"]) == 2
    assert list((home / "elsewhere").iterdir()) == []


def test_a_file_that_is_too_large_is_not_read(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(home, {})
    with file.open("r+b") as opened:
        opened.truncate(65 << 20)
    assert main(["install", "cursor"]) == 2
    assert "larger than 64 MiB" in capsys.readouterr().err


def test_a_file_that_gets_secrets_becomes_its_owners(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ACA_MCP_EMULATOR_TOKEN", "hush")
    file = write(home, {}, ".mcp.json")
    file.chmod(0o644)
    assert main(["install", "claude-code", "--project"]) == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert main(["install", "claude-code", "--project", "--include-secrets"]) == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "only you may read it" in capsys.readouterr().err


def test_a_backup_is_never_written_through_a_link(home: Path) -> None:
    file = write(home, {})
    target = home / "precious"
    target.write_text("mine", encoding="utf-8")
    backup = file.with_name("mcp.json.aca-mcp-backup")
    backup.symlink_to(target)
    assert main(["install", "cursor"]) == 0
    assert target.read_text(encoding="utf-8") == "mine"
    assert not backup.is_symlink()


def fake_claude(home: Path, monkeypatch: pytest.MonkeyPatch, *, exits: int = 0) -> Path:
    """A program named claude that writes down how it was called."""
    program = home / "bin" / "claude"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" >> {home}/called\necho no such luck >&2\nexit {exits}\n',
        encoding="utf-8",
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return home / "called"


def test_claude_code_is_told_by_its_own_command_where_it_is_there(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = fake_claude(home, monkeypatch)
    assert main(["install", "claude-code"]) == 0
    *words, value = called.read_text(encoding="utf-8").splitlines()
    assert words == ["mcp", "add-json", "--scope", "user", "aca-mcp"]
    assert json.loads(value) == {"type": "stdio", "command": COMMAND, "args": []}
    called.unlink()
    write(home, {"aca-mcp": {"command": COMMAND, "args": ["--pool", "local"]}}, ".claude.json")
    assert main(["install", "claude-code"]) == 0
    assert called.read_text(encoding="utf-8").startswith("mcp\nremove\n--scope\nuser\naca-mcp\n")
    called.unlink()
    assert main(["uninstall", "claude-code"]) == 0
    assert called.read_text(encoding="utf-8") == "mcp\nremove\n--scope\nuser\naca-mcp\n"


def test_secrets_never_stand_among_the_arguments_of_another_program(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = fake_claude(home, monkeypatch)
    monkeypatch.setenv("ACA_MCP_EMULATOR_TOKEN", "hush")
    assert main(["install", "claude-code", "--include-secrets"]) == 0
    assert not called.exists()
    assert "hush" in (home / ".claude.json").read_text(encoding="utf-8")


def test_a_command_of_the_client_that_fails_is_a_sentence(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_claude(home, monkeypatch, exits=1)
    assert main(["install", "claude-code"]) == 2
    assert capsys.readouterr().err == "aca-mcp: claude mcp add-json failed: no such luck\n"


def test_a_folder_that_was_not_there_is_told_and_inside_wsl_what_that_may_mean(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WSL_DISTRO_NAME", "Ubuntu")
    assert main(["install", "cursor"]) == 0
    error = capsys.readouterr().err
    assert f"{home}/.cursor was not there before: Cursor has not been used here" in error
    assert "--windows prints the entry" in error
    assert main(["install", "cursor", "--name", "second"]) == 0
    assert "was not there before" not in capsys.readouterr().err


def test_inside_wsl_the_entry_for_windows_is_whole_and_its_file_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["install", "claude-desktop", "--windows"]) == 2
    assert "inside WSL, and this is none" in capsys.readouterr().err
    monkeypatch.setenv("WSL_DISTRO_NAME", "Ubuntu")
    monkeypatch.setenv("ACA_MCP_LOG_LEVEL", "info")
    assert main(["install", "claude-desktop", "--windows", "--work-dir", "."]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["mcpServers"]["aca-mcp"] == {
        "command": "wsl.exe",
        "args": [
            *("--distribution", "Ubuntu", "--exec"),
            *("/usr/bin/env", "ACA_MCP_LOG_LEVEL=info"),
            *(COMMAND, "--work-dir", str(home)),
        ],
    }
    assert r"%APPDATA%\Claude\claude_desktop_config.json" in shown.err
    assert windows_file(CLIENTS["codex"]) == r"%USERPROFILE%\.codex\config.toml"
    assert windows_file(CLIENTS["cursor"]) == r"%USERPROFILE%\.cursor\mcp.json"


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"command": "/home/you/.venv/bin/aca-mcp"}, True),
        ({"command": "C:\\tools\\aca-mcp.exe", "args": []}, True),
        ({"command": "/usr/bin/python3", "args": ["-m", "aca_mcp", "serve"]}, True),
        ({"command": "wsl.exe", "args": ["--exec", "/opt/aca-mcp/bin/aca-mcp"]}, True),
        ({"command": "docker", "args": ["run", "-i", "--rm", "aca-mcp:0.1.0"]}, True),
        ({"command": "uvx", "args": ["aca-mcp-tools"]}, False),
        ({"command": "python", "args": ["-m", "server", "aca_mcp"]}, False),
        ({"url": "https://example.com/mcp"}, False),
        ({"command": 3, "args": "aca-mcp"}, False),
        ("aca-mcp", False),
    ],
)
def test_an_entry_is_ours_by_what_it_starts(entry: object, expected: bool) -> None:
    assert is_ours(entry) is expected
