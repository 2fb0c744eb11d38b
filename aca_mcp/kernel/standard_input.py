"""What code of a session can read from a person: nothing, and it is told so instead of waiting.

Processes that code starts find the end of their input at once. Standard library only.
"""

from __future__ import annotations

import builtins
import io
import sys
from typing import TYPE_CHECKING, NoReturn

from .error_hints import NO_INPUT

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType


class _Nobody(io.RawIOBase):
    """Stands where a program has its input, and says at each reading that there is none."""

    name = "<stdin>"
    mode = "rb"

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return 0

    def readinto(self, buffer: object, /) -> NoReturn:
        raise EOFError(NO_INPUT.format("sys.stdin"))


def take_stdin() -> None:
    """Have whatever reads from ``sys.stdin`` hear that nobody types into it."""
    sys.stdin = io.TextIOWrapper(io.BufferedReader(_Nobody()), encoding="utf-8")


def input_for(usual: Callable[..., str]) -> Callable[..., str]:
    """An ``input`` that reads what code put in the place of ``sys.stdin``, and else says so too.

    Args:
        usual: Python's own.
    """

    def ask(prompt: object = "", /) -> str:
        raw = getattr(getattr(sys.stdin, "buffer", None), "raw", None)
        if sys.stdin is None or isinstance(raw, _Nobody):
            raise EOFError(NO_INPUT.format("input()"))
        return usual(prompt)

    ask.__name__ = ask.__qualname__ = "input"
    ask.__doc__ = builtins.input.__doc__
    return ask


def no_password(*args: object, **kwargs: object) -> NoReturn:
    """Say what ``getpass`` cannot do, at once."""
    raise EOFError(NO_INPUT.format("getpass()"))


def prepare_help(pydoc: ModuleType) -> None:
    """Have ``help()`` without a topic, which would ask for one, say so too."""

    def interact(self: object) -> NoReturn:
        raise EOFError(NO_INPUT.format("help() without a topic") + " help(topic) prints it.")

    vars(pydoc)["Helper"].interact = interact
