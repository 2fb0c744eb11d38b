"""Where MCP clients keep their servers, and what an entry for this one looks like.

Pure: the platform, the environment and the settings are given. Writes nothing.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from aca_mcp.cli.flags import SERVING_FIELDS
from aca_mcp.errors import SettingsError
from aca_mcp.settings import Settings, flag_name, variable_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Set

    from aca_mcp.cli.json_comments import Json

_AZURE_VARIABLES = (
    "AZURE_CLIENT_ID",
    "AZURE_TENANT_ID",
    "AZURE_AUTHORITY_HOST",
    "AZURE_CONFIG_DIR",
    "AZURE_FEDERATED_TOKEN_FILE",
    "SSL_CERT_FILE",
)
"""What an Azure credential is made from, which clients do not hand down by themselves."""
_AZURE_SECRETS = ("AZURE_CLIENT_SECRET", "HTTPS_PROXY")
"""The same, where a password may stand in it."""
_CREDENTIALS_OF_COMMANDS = ("default", "azure-cli", "developer-cli")


@dataclasses.dataclass(frozen=True, slots=True)
class Client:
    """An MCP client with a configuration file."""

    title: str
    user_file: Mapping[str, str]
    """For each ``sys.platform``, the file of a user's own servers; ``~`` or ``$NAME`` is first."""
    project_file: str | None
    """The file of a project's servers, in the project's directory."""
    section: str = "mcpServers"
    names_type: bool = False
    """Its entries say which transport they are for."""


_HOME = {
    "linux": "$XDG_CONFIG_HOME",
    "darwin": "~/Library/Application Support",
    "win32": "$APPDATA",
}
_DEFAULTS = {"$XDG_CONFIG_HOME": "~/.config", "$APPDATA": "~/AppData/Roaming"}

CLIENTS = {
    "claude-desktop": Client(
        "Claude Desktop",
        {platform: f"{home}/Claude/claude_desktop_config.json" for platform, home in _HOME.items()},
        None,
    ),
    "claude-code": Client(
        "Claude Code", dict.fromkeys(_HOME, "~/.claude.json"), ".mcp.json", names_type=True
    ),
    "vscode": Client(
        "VS Code",
        {platform: f"{home}/Code/User/mcp.json" for platform, home in _HOME.items()},
        ".vscode/mcp.json",
        section="servers",
        names_type=True,
    ),
    "cursor": Client("Cursor", dict.fromkeys(_HOME, "~/.cursor/mcp.json"), ".cursor/mcp.json"),
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
        env: the environment, for the platform's own variables.

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


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """What starts this server, for a client."""

    value: dict[str, Json]
    left_out: tuple[str, ...]
    """Variables with secrets that are set and were not written."""


def entry_for(
    client: Client,
    command: list[str],
    settings: Settings,
    *,
    flags: Set[str],
    env_file: Path | None,
    env: Mapping[str, str],
    include_secrets: bool,
) -> Entry:
    """The entry that serves with these settings, wherever and by whomever it is started.

    Args:
        client: whose entry.
        command: what starts the server; its first word is an absolute path.
        settings: as flags, environment and file give them together.
        flags: the settings that flags named; they become arguments, as they were.
        env_file: a file that gives settings again at each start. What it gives is not repeated.
        env: the environment; settings that it gives become the entry's.
        include_secrets: write secrets too, in clear text.
    """
    arguments = command[1:]
    if env_file is not None:
        arguments += ["--env-file", str(env_file.absolute())]
    variables: dict[str, Json] = {}
    left_out: list[str] = []
    for field in Settings.model_fields:
        variable = variable_name(field)
        if field in SERVING_FIELDS or not (field in flags or env.get(variable)):
            continue
        value: object = getattr(settings, field)
        if isinstance(value, SecretStr) and not include_secrets:
            left_out.append(variable)
        elif field in flags:
            arguments += [flag_name(field), str(value)]
        else:
            variables[variable] = _text(value)
    if settings.pool_kind == "azure":
        named, secret = _of_azure(settings, env)
        variables |= named | (secret if include_secrets else {})
        left_out += [] if include_secrets else secret
    entry: dict[str, Json] = {"type": "stdio"} if client.names_type else {}
    entry["command"] = command[0]
    entry["args"] = [*arguments]
    if variables:
        entry["env"] = variables
    return Entry(entry, tuple(left_out))


def _text(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def _of_azure(
    settings: Settings, env: Mapping[str, str]
) -> tuple[dict[str, Json], dict[str, Json]]:
    names = _AZURE_VARIABLES
    if settings.azure_credential in _CREDENTIALS_OF_COMMANDS:
        # `az` and `azd` are found by it.
        names = (*names, "PATH")
    named: dict[str, Json] = {name: env[name] for name in names if env.get(name)}
    secret: dict[str, Json] = {name: env[name] for name in _AZURE_SECRETS if env.get(name)}
    return named, secret
