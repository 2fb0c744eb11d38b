"""``aca-mcp install`` on real files of the clients it knows: what is written, and what stays."""

from __future__ import annotations

import json
import os
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
from mcp import Client as McpClient
from mcp.client.stdio import StdioServerParameters, stdio_client

from aca_mcp.cli import main
from aca_mcp.cli.commands import CLIENT_NAMES
from aca_mcp.cli.json_comments import parse
from aca_mcp.cli.known_clients import CLIENTS, config_file
from aca_mcp.errors import SettingsError

if TYPE_CHECKING:
    from aca_mcp.cli.json_comments import Json

COMMAND = str(Path(sys.executable).parent / "aca-mcp")
POOL = "https://westeurope.dynamicsessions.io/subscriptions/s/resourceGroups/g/sessionPools/p"
CURSOR = """\
{
  // The team's servers.
  "mcpServers": {
    "github": {"command": "npx", "env": {"TOKEN": "hush"}}, // keep
  },
}
"""


pytestmark = pytest.mark.usefixtures("home")


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Json]:
    """The entry that ``--print`` shows."""
    assert main(["install", *arguments, "--print"]) == 0
    (section,) = json.loads(capsys.readouterr().out).values()
    (entry,) = section.values()
    return entry


def test_every_client_can_be_named() -> None:
    assert tuple(CLIENTS) == CLIENT_NAMES


@pytest.mark.parametrize("client", CLIENT_NAMES)
def test_a_missing_file_is_made_with_its_directory_for_its_owner_alone(
    client: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["install", client, "--name", "py", "--work-dir", "."]) == 0
    (file,) = [path for path in home.rglob("*") if path.is_file()]
    section = CLIENTS[client].section
    read = tomllib.loads if client == "codex" else json.loads
    entry = read(file.read_text(encoding="utf-8"))[section]["py"]
    assert entry["command"] == COMMAND
    assert entry["args"] == ["--work-dir", str(home)]
    assert ("type" in entry) == (client in {"claude-code", "vscode"})
    assert file.stat().st_mode & 0o777 == 0o600
    assert ("tool_timeout_sec" in entry) == (client == "codex")
    shown = capsys.readouterr()
    assert f'+  "{section}": {{' in shown.out or f"+[{section}.py]" in shown.out
    assert "is started again" in shown.err


def test_other_servers_comments_and_the_mode_are_kept_and_a_copy_lies_beside(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = home / ".cursor" / "mcp.json"
    file.parent.mkdir()
    file.write_text(CURSOR, encoding="utf-8")
    file.chmod(0o640)
    assert main(["install", "cursor"]) == 0
    after = file.read_text(encoding="utf-8")
    entry = f'    "aca-mcp": {{\n      "command": "{COMMAND}",\n      "args": []\n    }},\n'
    assert after == CURSOR.replace("  },\n}", f"{entry}  }},\n}}")
    backup = file.with_name("mcp.json.aca-mcp-backup")
    assert backup.read_text(encoding="utf-8") == CURSOR
    assert (file.stat().st_mode & 0o777, backup.stat().st_mode & 0o777) == (0o640, 0o600)
    shown = capsys.readouterr()
    assert '+    "aca-mcp": {\n' in shown.out
    assert str(backup) in shown.err

    assert main(["install", "cursor"]) == 0
    assert "has this entry already; nothing was changed" in capsys.readouterr().err
    assert file.read_text(encoding="utf-8") == after
    assert main(["install", "cursor", "--pool", "local"]) == 0
    assert backup.read_text(encoding="utf-8") == after
    assert {path.name for path in file.parent.iterdir()} == {file.name, backup.name}


def test_a_link_stays_a_link_and_a_byte_order_mark_stays(home: Path) -> None:
    kept = home / "dotfiles.json"
    kept.write_bytes(b"\xef\xbb\xbf" + CURSOR.encode())
    link = home / ".cursor" / "mcp.json"
    link.parent.mkdir()
    link.symlink_to(kept)
    assert main(["install", "cursor"]) == 0
    assert link.is_symlink()
    assert kept.read_bytes().startswith(b"\xef\xbb\xbf{\n")
    assert isinstance(parse(kept.read_text(encoding="utf-8-sig")).value, dict)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b'{"mcpServers" {}}', "line 1 is not JSON"),
        (b'{"mcpServers": []}', "mcpServers is not an object"),
        (b"\xff\xfe{}", "it is not UTF-8"),
    ],
)
def test_a_file_that_is_not_understood_is_left_alone(
    content: bytes, fault: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = home / ".claude.json"
    file.write_bytes(content)
    assert main(["install", "claude-code"]) == 2
    error = capsys.readouterr().err
    assert f"{file} was not changed: {fault}. Correct it" in error
    assert file.read_bytes() == content
    assert list(home.iterdir()) == [file]


def test_what_cannot_be_written_is_a_sentence_and_leaves_nothing_behind(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / ".cursor").write_text("not a directory", encoding="utf-8")
    assert main(["install", "cursor"]) == 2
    assert "was not changed: " in capsys.readouterr().err
    (home / ".vscode" / "mcp.json").mkdir(parents=True)
    assert main(["install", "vscode", "--project"]) == 2
    assert "was not touched: it is a directory." in capsys.readouterr().err
    assert list((home / ".vscode").iterdir()) == [home / ".vscode" / "mcp.json"]


def test_a_write_that_fails_leaves_the_file_and_no_other(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = home / ".mcp.json"
    file.write_text("{}", encoding="utf-8")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert main(["install", "claude-code", "--project"]) == 2
    assert "was not changed: No space left on device." in capsys.readouterr().err
    assert file.read_text(encoding="utf-8") == "{}"
    assert {path.name for path in home.iterdir()} == {".mcp.json"}


def test_what_a_file_says_does_not_drive_the_terminal(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / ".mcp.json").write_text('{\n"a": 1 // \x1b[2J\n}', encoding="utf-8")
    assert main(["install", "claude-code", "--project"]) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_settings_of_the_environment_are_written_and_secrets_are_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ACA_MCP_POOL_MANAGEMENT_ENDPOINT", POOL)
    monkeypatch.setenv("ACA_MCP_EMULATOR_TOKEN", "hush-1")
    monkeypatch.setenv("ACA_MCP_PORT", "9000")
    monkeypatch.setenv("AZURE_TENANT_ID", "tenant")
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "hush-2")
    monkeypatch.setenv("PATH", "/usr/bin")
    assert main(["install", "claude-desktop", "--print"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["mcpServers"]["aca-mcp"]["env"] == {
        "ACA_MCP_POOL_MANAGEMENT_ENDPOINT": POOL,
        "AZURE_TENANT_ID": "tenant",
        "PATH": "/usr/bin",
    }
    assert "hush" not in shown.out + shown.err
    assert "ACA_MCP_EMULATOR_TOKEN is set and was left out" in shown.err
    assert "AZURE_CLIENT_SECRET is set and was left out" in shown.err

    entry = printed(capsys, "cursor", "--include-secrets", "--azure-credential", "client-secret")
    assert entry["args"] == ["--azure-credential", "client-secret"]
    assert entry["env"] == {
        "ACA_MCP_POOL_MANAGEMENT_ENDPOINT": POOL,
        "ACA_MCP_EMULATOR_TOKEN": "hush-1",
        "AZURE_TENANT_ID": "tenant",
        "AZURE_CLIENT_SECRET": "hush-2",
    }


def test_a_named_file_is_named_by_its_absolute_path_and_its_settings_stay_there(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "my.env").write_text("ACA_MCP_LOG_LEVEL=debug\n", encoding="utf-8")
    entry = printed(capsys, "cursor", "--env-file", "my.env")
    assert entry == {"command": COMMAND, "args": ["--env-file", str(home / "my.env")]}


def test_a_time_is_written_as_it_was_given(capsys: pytest.CaptureFixture[str]) -> None:
    for given, written in (("120", "120"), ("90.0", "90"), ("0.5", "0.5")):
        assert printed(capsys, "cursor", "--timeout", given)["args"] == ["--timeout", written]


def test_settings_are_judged_before_anything_is_written(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["install", "cursor", "--pool", "lokal"]) == 2
    assert "--pool must be" in capsys.readouterr().err
    assert list(home.iterdir()) == []


def test_without_a_script_beside_the_interpreter_the_package_is_run(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "executable", str(home / "python"))
    entry = printed(capsys, "cursor")
    assert entry == {"command": str(home / "python"), "args": ["-m", "aca_mcp"]}


@pytest.mark.parametrize(
    ("client", "platform", "env", "expected"),
    [
        ("claude-desktop", "darwin", {}, "/h/Library/Application Support/Claude/"),
        ("claude-desktop", "win32", {"APPDATA": "/roaming"}, "/roaming/Claude/"),
        ("claude-desktop", "win32", {}, "/h/AppData/Roaming/Claude/"),
        ("claude-desktop", "linux", {"XDG_CONFIG_HOME": "/xdg"}, "/xdg/Claude/"),
        ("claude-desktop", "freebsd14", {}, "/h/.config/Claude/"),
        ("vscode", "darwin", {}, "/h/Library/Application Support/Code/User/"),
        ("vscode", "linux", {}, "/h/.config/Code/User/"),
        ("cursor", "win32", {}, "/h/.cursor/"),
        ("claude-code", "darwin", {}, "/h/"),
        ("codex", "linux", {"CODEX_HOME": "/moved"}, "/moved/"),
        ("codex", "win32", {}, "/h/.codex/"),
        ("gemini", "linux", {}, "/h/.gemini/"),
        ("windsurf", "darwin", {}, "/h/.codeium/windsurf/"),
        ("zed", "darwin", {}, "/h/.config/zed/"),
    ],
)
def test_each_platform_keeps_it_elsewhere(
    client: str, platform: str, env: dict[str, str], expected: str
) -> None:
    file = config_file(CLIENTS[client], project=None, platform=platform, home=Path("/h"), env=env)
    assert f"{file.parent}/".replace("//", "/") == expected


def test_a_project_has_servers_of_its_own(home: Path) -> None:
    for client, name in (
        ("claude-code", ".mcp.json"),
        ("vscode", ".vscode/mcp.json"),
        ("cursor", ".cursor/mcp.json"),
    ):
        assert main(["install", client, "--project"]) == 0
        assert (home / name).is_file()
    with pytest.raises(SettingsError, match="leave --project out"):
        config_file(CLIENTS["claude-desktop"], project=home, platform="linux", home=home, env={})


async def test_a_client_that_reads_the_file_gets_a_server(home: Path) -> None:
    """With the bare environment that clients give."""
    await anyio.run_process([COMMAND, "install", "cursor", "--work-dir", str(home)])
    config = json.loads((home / ".cursor" / "mcp.json").read_text(encoding="utf-8"))
    server = StdioServerParameters.model_validate(config["mcpServers"]["aca-mcp"])
    with anyio.fail_after(30):
        async with McpClient(stdio_client(server)) as client:
            result = await client.call_tool("execute_python", {"code": "6 * 7"})
    assert "42" in str(result.content)
