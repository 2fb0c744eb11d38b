"""What an entry for this server says in a client's configuration, and whose an entry is.

Pure: the environment and the settings are given.
"""

from __future__ import annotations

import dataclasses
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, cast

from pydantic import SecretStr

from aca_mcp.cli.flags import SERVING_FIELDS
from aca_mcp.settings import ENV_PREFIX, SECRET_FIELDS, Settings, flag_name, variable_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Set
    from pathlib import Path

    from aca_mcp.cli.json_comments import Json
    from aca_mcp.cli.known_clients import Client

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
_MARGIN_SECONDS = 60
"""What a call takes beside its execution: start-up, figures, a kill."""
_SECRETS = frozenset(map(variable_name, SECRET_FIELDS))


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """What starts this server, for a client."""

    value: dict[str, Json]
    left_out: tuple[str, ...] = ()
    """Variables with secrets that are set and were not written."""
    secrets: tuple[str, ...] = ()
    """Variables with secrets that are written."""


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
    secrets: dict[str, Json] = {}
    for field in Settings.model_fields:
        variable = variable_name(field)
        if field in SERVING_FIELDS or not (field in flags or env.get(variable)):
            continue
        value: object = getattr(settings, field)
        if isinstance(value, SecretStr):
            secrets[variable] = value.get_secret_value()
        elif field in flags:
            arguments += [flag_name(field), _text(value)]
        else:
            variables[variable] = _text(value)
    if settings.pool_kind == "azure":
        named, secret = _of_azure(settings, env)
        variables |= named
        secrets |= secret
    entry: dict[str, Json] = {"type": "stdio"} if client.names_type else {}
    entry["command"] = command[0]
    entry["args"] = [*arguments]
    if included := (variables | secrets if include_secrets else variables):
        entry["env"] = included
    if client.call_seconds_key is not None:
        longest = max(settings.local_max_timeout_seconds, settings.execution_timeout_seconds)
        entry[client.call_seconds_key] = round(longest) + _MARGIN_SECONDS
    if include_secrets:
        return Entry(entry, secrets=tuple(secrets))
    return Entry(entry, left_out=tuple(secrets))


def _text(value: object) -> str:
    """A setting's value as a person writes it: ``120`` for 120.0."""
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)


def for_windows(entry: Entry, distribution: str) -> Entry:
    """The entry by which a client on Windows starts a server inside WSL.

    Variables do not cross from Windows, so they become arguments of ``env``.

    Args:
        entry: as a client inside would start it.
        distribution: the name that WSL has for it, such as ``Ubuntu``.
    """
    arguments = cast("list[Json]", entry.value["args"])
    variables = cast("dict[str, str]", entry.value.get("env", {}))
    start: list[Json] = ["--distribution", distribution, "--exec"]
    if variables:
        start += ["/usr/bin/env", *(f"{name}={value}" for name, value in variables.items())]
    value = {name: part for name, part in entry.value.items() if name != "env"}
    value |= {"command": "wsl.exe", "args": [*start, entry.value["command"], *arguments]}
    return dataclasses.replace(entry, value=value)


def is_ours(value: object) -> bool:
    """Whether an entry of a client starts this server, by whichever road."""
    if not isinstance(value, dict):
        return False
    given = cast("dict[str, object]", value)
    arguments = given.get("args")
    words = [
        given.get("command"),
        *(cast("list[object]", arguments) if _is_list(arguments) else []),
    ]
    texts = [word for word in words if isinstance(word, str)]
    # A path of either system, wherever the file was written.
    names = {
        part for text in texts for part in (PurePosixPath(text).name, PureWindowsPath(text).name)
    }
    return (
        bool(names & {"aca-mcp", "aca-mcp.exe"})
        or any(texts[index : index + 2] == ["-m", "aca_mcp"] for index in range(len(texts)))
        or any(text.partition(":")[0] == "aca-mcp" for text in texts)
    )


def stale_variables(old: Mapping[str, object], new: Mapping[str, object]) -> tuple[str, ...]:
    """Settings that an earlier entry of ours had and the new one does not; secrets stay.

    Whoever added a secret to the entry by hand does not have it in this environment.
    """
    before, after = (
        cast("dict[str, object]", env) if isinstance(env := entry.get("env"), dict) else {}
        for entry in (old, new)
    )
    return tuple(
        name
        for name in before
        if name.startswith(ENV_PREFIX) and name not in after and name not in _SECRETS
    )


def _is_list(value: object) -> bool:
    return isinstance(value, list)


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
