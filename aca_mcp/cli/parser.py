"""What can be said on the command line: the commands, their own flags, and refusals that help.

Knows argparse; runs nothing.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from aca_mcp import __version__
from aca_mcp.settings import SECRET_FIELDS, flag_name, variable_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

_DESCRIPTION = "Gives a language model a stateful, isolated Python interpreter over MCP."
_EPILOG = """\
Without a command, a client that starts aca-mcp with a pipe is served over stdio.
Start with: aca-mcp doctor      A command's flags: aca-mcp serve --help, --help-all
"""


class Parser(argparse.ArgumentParser):
    """An argument parser whose refusal is a sentence with what was probably meant."""

    shows_all = False
    """Help pages show every setting, and not only those used most."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where the help is; exit code 2."""
        end = "" if message.endswith("?") else "."
        self.exit(2, f"{self.prog}: {message}{end} See {self.prog} --help\n")


class Command(NamedTuple):
    """What can be asked for."""

    add_flags: Callable[[Parser], None]
    summary: str
    """A sentence."""
    takes: str = ""
    """Its positional argument, for the usage. Flags are explained below that."""
    passes_words_on: bool = False
    """What stands behind ``--`` is none of its flags, and more of its ``words``."""


class CommandLine:
    """The whole command line: parses it, and knows which command heeds which flag.

    Args:
        commands: by their words.
        shows_all: help pages show every setting, and not only those used most.
    """

    def __init__(self, commands: Mapping[str, Command], *, shows_all: bool = False) -> None:
        self._commands = commands
        self._shows_all = shows_all
        self._main = Parser(
            prog="aca-mcp",
            description=_DESCRIPTION,
            epilog=_EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self._main.add_argument("--version", action="version", version=f"aca-mcp {__version__}")
        self._subparsers = self._main.add_subparsers(
            dest="command", required=True, metavar="command"
        )
        self._parsers: dict[str, Parser] = {}

    def _parser(self, name: str) -> Parser:
        """Of one command, made when it is needed: a client waits for the server to start."""
        if name not in self._parsers:
            command = self._commands[name]
            parser: Parser = self._subparsers.add_parser(
                name,
                help=command.summary,
                description=command.summary,
                usage=" ".join(filter(None, ("%(prog)s", command.takes, "[flags]"))),
                allow_abbrev=False,
                formatter_class=argparse.RawDescriptionHelpFormatter,
            )
            parser.shows_all = self._shows_all
            command.add_flags(parser)
            self._parsers[name] = parser
        return self._parsers[name]

    def print_help(self) -> None:
        """The page that lists the commands."""
        self._make_all()
        self._main.print_help()

    def _make_all(self) -> None:
        """Have the page that lists the commands list all of them."""
        for name in self._commands:
            self._parser(name)

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """The command and its flags. Leaves the process by itself if they are not understood."""
        ordered = self._with_command_first(list(arguments))
        if ordered and not ordered[0].startswith("-") and ordered[0] not in self._commands:
            near = _nearest(ordered[0], self._commands)
            hint = f"did you mean {near}?" if near else f"commands: {', '.join(self._commands)}"
            self._main.error(f"there is no command {ordered[0]!r}; {hint}")
        passed_on: list[str] = []
        if ordered[0] in self._commands:
            if self._commands[ordered[0]].passes_words_on and "--" in ordered:
                at = ordered.index("--")
                ordered, passed_on = ordered[:at], ordered[at + 1 :]
            ordered[1:] = _words_first(self._parser(ordered[0]), ordered[1:])
        else:
            self._make_all()
        parsed, unknown = self._main.parse_known_args(ordered)
        if unknown:
            self._refuse(self._parser(parsed.command), unknown[0])
        if passed_on:
            parsed.words += passed_on
        return parsed

    def _with_command_first(self, arguments: list[str]) -> list[str]:
        """The command moved before flags that stand before it; ``serve`` where there is none.

        Client configurations are shorter without the word (``aca-mcp --work-dir ~/data``), and a
        person tries the same line with ``doctor`` behind it.
        """
        position = 0
        while position < len(arguments) and arguments[position].startswith("-"):
            if arguments[position] in {"-h", "--help", "--version"}:
                return arguments
            position += 2 if self._takes_value(*arguments[position : position + 2]) else 1
        if position >= len(arguments):
            return ["serve", *arguments]
        before, command, after = (
            arguments[:position],
            arguments[position],
            arguments[position + 1 :],
        )
        return [command, *before, *after]

    def _takes_value(self, flag: str, behind: str | None = None) -> bool:
        for name in self._commands:
            action = _actions(self._parser(name)).get(flag)
            if action is not None:
                return action.nargs is None
        # A flag that nobody knows, and is refused as that: what stands behind it is its value.
        return "=" not in flag and behind not in self._commands

    def _refuse(self, parser: Parser, argument: str) -> NoReturn:
        flag = argument.partition("=")[0]
        variables = {flag_name(name): variable_name(name) for name in SECRET_FIELDS}
        others = [name for name in self._commands if flag in _actions(self._parser(name))]
        near = _nearest(flag, [*_actions(parser), *variables])
        # What was given is not repeated beyond the flag's name: it may be a secret.
        if flag in variables:
            hint = f"{flag} is a secret and so no flag: set {variables[flag]} in the environment"
        elif others:
            hint = f"{flag} is a flag of {' and '.join(others)}, not of this command"
        elif not flag.startswith("-"):
            hint = f"{flag!r} is one argument too many"
        elif near:
            hint = f"there is no flag {flag}; did you mean {near}?"
        else:
            hint = f"there is no flag {flag}"
            if self._commands[parser.prog.split()[-1]].passes_words_on:
                hint += "; what is for the code's own sys.argv stands behind --"
        parser.error(hint)


def wants_help(arguments: Sequence[str]) -> bool:
    """Nothing was asked, and a person at a terminal is there to read about it.

    A client starts the server with a pipe or a socket as its standard input.
    """
    return not arguments and sys.stdin.isatty()


def _actions(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    return parser._option_string_actions  # pyright: ignore[reportPrivateUsage] -- argparse tells it in no other way


def _words_first(parser: Parser, arguments: list[str]) -> list[str]:
    """The same, with flags behind all else: argparse leaves words unread that stand behind one."""
    words: list[str] = []
    flags: list[str] = []
    left = list(arguments)
    while left:
        argument = left.pop(0)
        is_flag = argument.startswith("-") and argument != "-"
        (flags if is_flag else words).append(argument)
        action = _actions(parser).get(argument)
        # A flag that nobody knows is refused with what stands behind it, which is its value.
        takes_value = action.nargs is None if action is not None else "=" not in argument
        if is_flag and takes_value and left:
            flags.append(left.pop(0))
    return [*words, *flags]


def _nearest(word: str, known: Iterable[str]) -> str | None:
    import difflib  # only here: the import is slow, and a client that is started right needs none

    found = difflib.get_close_matches(word, list(known), n=1)
    return found[0] if found else None
