"""The command line's flags for settings, made from the fields of ``Settings``.

Knows argparse and the settings; decides nothing about what a command does with them.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Literal, get_args, get_origin

from aca_mcp.errors import SettingsError
from aca_mcp.settings import (
    SECRET_FIELDS,
    AuthSettings,
    HttpSettings,
    ObservingSettings,
    Settings,
    describe_default,
    flag_names,
    load_settings,
    variable_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence, Set

    from aca_mcp.cli.parser import Parser
    from aca_mcp.hosts import HostName

SERVING_FIELDS = (
    HttpSettings.model_fields.keys()
    | AuthSettings.model_fields.keys()
    | ObservingSettings.model_fields.keys()
)
"""The settings of a server that others than its own client reach."""
RESULT_FIELDS = frozenset(
    {
        "work_dir",
        "work_dir_max_mib",
        "max_result_tokens",
        "max_image_side_pixels",
        "result_links",
    }
)
"""The settings of what a model gets."""
_ENV_FILE_HELP = (
    "Read settings from this file of NAME=value lines. A .env in the current directory is not read "
    "unless it is named here."
)


def add_setting_flags(
    parser: Parser, *, without: Set[str] = frozenset(), first: Sequence[str] = ()
) -> None:
    """Give the parser one flag for each setting that its command heeds, and ``--env-file``.

    Values stay text: ``Settings`` parses and judges them, as it does those of the environment.
    Secrets have no flag, since every user of a machine can read the arguments of every process;
    the help names their variables.

    Args:
        parser: of a command.
        without: settings that are nothing to it.
        first: settings that the help shows first, and alone unless it shows all.
    """
    heeded = [name for name in Settings.model_fields if name not in without]
    secrets = [name for name in heeded if name in SECRET_FIELDS]
    fields = [*first, *(name for name in heeded if name not in {*first, *secrets})]
    parser.set_defaults(setting_fields=fields)
    parser.add_argument("--help-all", action="help", help="Show every setting, and exit.")
    group = parser.add_argument_group("settings", "Each is also an environment variable.")
    for field in fields:
        _add_setting(group.add_argument, field, shown=parser.shows_all or field in first)
    group.add_argument("--env-file", type=Path, metavar="PATH", help=_ENV_FILE_HELP)
    notes: list[str] = []
    if secrets and parser.shows_all:
        names = ", ".join(map(variable_name, secrets))
        notes.append(f"Secrets are taken from the environment or --env-file alone: {names}.")
    if not parser.shows_all and len(fields) > len(first):
        hidden = len(fields) - len(first)
        notes.append(f"{hidden} more settings: {parser.prog} --help-all")
    parser.epilog = "\n".join(notes)


def _add_setting(add: Callable[..., argparse.Action], field: str, *, shown: bool) -> None:
    info = Settings.model_fields[field]
    # argparse takes % in a help text for its own.
    description = (info.description or "").replace("%", "%%")
    text = f"{description} [{variable_name(field)}; default: {describe_default(field)}]"
    shown_text = text if shown else argparse.SUPPRESS
    names = flag_names(field)
    if info.annotation is bool:
        add(*names, action="store_const", const="true", help=shown_text)
    else:
        metavar = _metavar(info.annotation)
        add(*names, dest=field, metavar=metavar, help=shown_text)


def settings_from(arguments: argparse.Namespace) -> Settings:
    """The settings that flags, environment and the named file give together.

    Raises:
        SettingsError: a value cannot be used.
    """
    given: dict[str, object] = vars(arguments)
    fields: list[str] = arguments.setting_fields
    overrides = {field: value for field in fields if isinstance(value := given[field], str)}
    env_file = given["env_file"]
    return load_settings(overrides, env_file=env_file if isinstance(env_file, Path) else None)


def host_names(text: str, name: str) -> frozenset[HostName]:
    """The names of hosts in a list with commas between.

    Args:
        text: the list.
        name: of the flag or variable that has it.

    Raises:
        SettingsError: one of them is none.
    """
    from aca_mcp.hosts import parse_hosts  # for servers alone

    try:
        return parse_hosts(text)
    except ValueError as error:
        raise SettingsError(f"{name} {error}") from None


def _metavar(annotation: object) -> str:
    if get_origin(annotation) is Literal:
        return "|".join(str(choice) for choice in get_args(annotation))
    kinds = {each for each in get_args(annotation) or (annotation,) if each is not NoneType}
    if kinds <= {int, float}:
        return "N"
    return "TEXT" if kinds == {str} else "PATH"
