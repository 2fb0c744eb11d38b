"""Where MCP clients keep their servers, and in which shape.

Pure: the platform, the home directory and the environment are given. Reads and writes nothing.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from aca_mcp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclasses.dataclass(frozen=True, slots=True)
class Client:
    """An MCP client with a configuration file."""

    title: str
    user_file: Mapping[str, str]
    """For each ``sys.platform``, the file of a user's own servers; ``~`` or ``$NAME`` is first."""
    project_file: str | None
    """The file of a project's servers, in the project's directory."""
    one_connection: str
    """What shares a session there: what the client opens one connection for."""
    section: str = "mcpServers"
    names_type: bool = False
    """Its entries say which transport they are for."""
    is_toml: bool = False
    call_seconds_key: str | None = None
    """The key of an entry that says how long one call may take, in seconds, where the client's own
    default is shorter than an execution may be."""
    command: str | None = None
    """Its own program, which can add a server (``claude mcp add-json``)."""


_CONFIG = {
    "linux": "$XDG_CONFIG_HOME",
    "darwin": "~/Library/Application Support",
    "win32": "$APPDATA",
}
_DEFAULTS = {
    "$XDG_CONFIG_HOME": "~/.config",
    "$APPDATA": "~/AppData/Roaming",
    "$CODEX_HOME": "~/.codex",
}

CLIENTS = {
    "claude-desktop": Client(
        "Claude Desktop",
        {name: f"{home}/Claude/claude_desktop_config.json" for name, home in _CONFIG.items()},
        None,
        one_connection="All its chats share one session: ask for restart_session in a new chat.",
    ),
    # https://code.claude.com/docs/en/mcp
    "claude-code": Client(
        "Claude Code",
        dict.fromkeys(_CONFIG, "~/.claude.json"),
        ".mcp.json",
        one_connection="Each claude that is started has a session of its own.",
        names_type=True,
        command="claude",
    ),
    # https://developers.openai.com/codex/mcp
    "codex": Client(
        "Codex",
        dict.fromkeys(_CONFIG, "$CODEX_HOME/config.toml"),
        ".codex/config.toml",
        one_connection="Each codex that is started has a session of its own.",
        section="mcp_servers",
        is_toml=True,
        call_seconds_key="tool_timeout_sec",
    ),
    "cursor": Client(
        "Cursor",
        dict.fromkeys(_CONFIG, "~/.cursor/mcp.json"),
        ".cursor/mcp.json",
        one_connection="All chats of a window share one session.",
    ),
    # https://geminicli.com/docs/tools/mcp-server
    "gemini": Client(
        "Gemini CLI",
        dict.fromkeys(_CONFIG, "~/.gemini/settings.json"),
        ".gemini/settings.json",
        one_connection="Each gemini that is started has a session of its own.",
    ),
    "vscode": Client(
        "VS Code",
        {name: f"{home}/Code/User/mcp.json" for name, home in _CONFIG.items()},
        ".vscode/mcp.json",
        one_connection="All chats of a window share one session.",
        section="servers",
        names_type=True,
    ),
    # https://docs.windsurf.com/windsurf/cascade/mcp
    "windsurf": Client(
        "Windsurf",
        dict.fromkeys(_CONFIG, "~/.codeium/windsurf/mcp_config.json"),
        None,
        one_connection="All chats of a window share one session.",
    ),
    # https://zed.dev/docs/ai/mcp and https://zed.dev/docs/configuring-zed
    "zed": Client(
        "Zed",
        {
            "linux": "$XDG_CONFIG_HOME/zed/settings.json",
            "darwin": "~/.config/zed/settings.json",
            "win32": "$APPDATA/Zed/settings.json",
        },
        None,
        one_connection="All threads of a window share one session.",
        section="context_servers",
    ),
}


def config_file(
    client: Client, *, project: Path | None, platform: str, home: Path, env: Mapping[str, str]
) -> Path:
    """The file that a client reads.

    Args:
        client: whose file.
        project: the directory of the project whose servers these are; None for the user's own.
        platform: as ``sys.platform`` names it.
        home: the user's home directory.
        env: the environment, for the variables by which places are moved.

    Raises:
        SettingsError: the client has no such file.
    """
    if project is not None:
        if client.project_file is None:
            raise SettingsError(f"{client.title} has no servers of a project; leave --project out.")
        return project / client.project_file
    name = client.user_file.get(platform, client.user_file["linux"])
    first, _, rest = name.partition("/")
    if first in _DEFAULTS:
        first = env.get(first.removeprefix("$")) or _DEFAULTS[first]
    return Path(f"{first}/{rest}".replace("~", str(home), 1))


def windows_file(client: Client) -> str:
    """The file that a client on Windows reads, as its Explorer takes it."""
    name = client.user_file["win32"]
    for sign, variable in (("$APPDATA", "%APPDATA%"), ("$CODEX_HOME", r"%USERPROFILE%\.codex")):
        name = name.replace(sign, variable)
    return name.replace("~", "%USERPROFILE%").replace("/", "\\")
