"""The command line's flags, made from the fields of ``Settings``.

Knows argparse and the settings; decides nothing about what a command does with them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Literal, NoReturn, get_args, get_origin

from pydantic import SecretStr

from aca_mcp.settings import (
    AuthSettings,
    HttpSettings,
    ObservingSettings,
    Settings,
    describe_default,
    flag_name,
    load_settings,
    variable_name,
)

CLIENT_NAMES = ("claude-desktop", "claude-code", "vscode", "cursor")
SERVING_FIELDS = (
    HttpSettings.model_fields.keys()
    | AuthSettings.model_fields.keys()
    | ObservingSettings.model_fields.keys()
)
"""The settings of a server that others than its own client reach."""
_ENV_FILE_HELP = (
    "Read settings from this file of NAME=value lines. A .env in the current directory is not read "
    "unless it is named here."
)


class Parser(argparse.ArgumentParser):
    """An argument parser whose refusal is a sentence instead of a page of usage."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where the help is; exit code 2."""
        self.exit(2, f"{self.prog}: {message}. See {self.prog} --help\n")


def add_setting_flags(parser: argparse.ArgumentParser, *, serves: bool = False) -> None:
    """Give the parser one flag for each setting, and ``--env-file``.

    Values stay text: ``Settings`` parses and judges them, as it does those of the environment.
    Secrets have no flag: every user of a machine can read the arguments of every process.

    Args:
        parser: of a command.
        serves: the command serves clients; settings of that are nothing to others.
    """
    fields = [
        name
        for name, info in Settings.model_fields.items()
        if (serves or name not in SERVING_FIELDS) and info.annotation is not SecretStr
    ]
    parser.set_defaults(setting_fields=fields)
    group = parser.add_argument_group("settings", "Each is also an environment variable.")
    group.add_argument("--env-file", type=Path, metavar="PATH", help=_ENV_FILE_HELP)
    for field in fields:
        info = Settings.model_fields[field]
        # argparse takes % in a help text for its own.
        description = (info.description or "").replace("%", "%%")
        text = f"{description} [{variable_name(field)}; default: {describe_default(field)}]"
        if info.annotation is bool:
            group.add_argument(flag_name(field), action="store_const", const="true", help=text)
        else:
            group.add_argument(flag_name(field), metavar=_metavar(info.annotation), help=text)


def add_emulator_flags(parser: argparse.ArgumentParser) -> None:
    """Give the parser the flags of ``aca-mcp emulator``, which are nothing to other commands."""
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="Where to listen.")
    parser.add_argument("--port", default="8080", metavar="N", help="0 takes one that is free.")
    parser.add_argument("--certificate", type=Path, metavar="PATH", help="PEM file, for https.")
    parser.add_argument("--key", type=Path, metavar="PATH", help="The certificate's key.")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="KIND:N",
        help="For tests: make requests fail, such as 503:2 or latency:0.5. May be repeated.",
    )


def add_install_flags(parser: argparse.ArgumentParser) -> None:
    """Give the parser the arguments of ``aca-mcp install`` that are no settings."""
    parser.add_argument(
        "client", choices=CLIENT_NAMES, metavar="CLIENT", help=", ".join(CLIENT_NAMES)
    )
    parser.add_argument("--print", action="store_true", help="Print the entry; change no file.")
    parser.add_argument("--name", default="python", help="The server's name there.")
    parser.add_argument(
        "--project", action="store_true", help="For the project in the current directory alone."
    )
    parser.add_argument(
        "--include-secrets",
        action="store_true",
        help="Write secrets that are set now too, in clear text.",
    )


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


def wants_help(arguments: list[str]) -> bool:
    """Nothing was asked, and a person at a terminal is there to read about it.

    A client starts the server with a pipe or a socket as its standard input.
    """
    return not arguments and (sys.stdin is None or sys.stdin.isatty())


def _metavar(annotation: object) -> str:
    if get_origin(annotation) is Literal:
        return "|".join(str(choice) for choice in get_args(annotation))
    if annotation is int or annotation is float:
        return "N"
    return "TEXT" if annotation is str else "PATH"
