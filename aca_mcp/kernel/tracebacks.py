"""Exceptions as text for whoever wrote the code: their frames, and where a library stopped.

Bounded in time and size, whatever the exception is: a million frames, a chain or a group without
end, a text that raises, hangs or is endless.
"""

from __future__ import annotations

import ast
import linecache
import signal
import sys
import traceback
from itertools import groupby
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeGuard, cast

from .error_hints import hint_for, says_all
from .missing_modules import missing_module, similar_module
from .traceback_frames import Repeated, has_cell, is_cell, shown_frames
from .truncation import truncate_middle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

_MAX_CHAIN = 5
_MAX_COUNTED = 100_000
"""Exceptions before an error that are counted."""
_MAX_GROUP = 5
_MAX_GROUP_DEPTH = 3
_MAX_CHARACTERS = 32 * 1024
_MAX_MESSAGE_CHARACTERS = 8 * 1024
_MAX_LINE = 500
_SECONDS = 2.0
"""For what runs methods of the exceptions themselves."""
_NO_TEXT = "(its text could not be made)"

# As Python knows them, whatever a class of the user's has under these names.
_TYPE_NAME: Any = type.__dict__["__name__"].__get__
_CAUSE: Any = vars(BaseException)["__cause__"].__get__
_CONTEXT: Any = vars(BaseException)["__context__"].__get__
_SUPPRESS: Any = vars(BaseException)["__suppress_context__"].__get__
_TRACEBACK: Any = vars(BaseException)["__traceback__"].__get__
_EXIT_CODE: Any = vars(SystemExit)["code"].__get__
_SOURCE_NAME: Any = vars(SyntaxError)["filename"].__get__
_GROUPS: tuple[type, ...] = (BaseExceptionGroup,) if sys.version_info >= (3, 11) else ()
_MEMBERS: Any = vars(_GROUPS[0])["exceptions"].__get__ if _GROUPS else None


def describe(error: BaseException) -> dict[str, str]:
    """An exception's name, text and traceback, without the interpreter's own frames or colours."""
    description = _Description()
    if _is_of_cell_itself(error):
        error = _said_in_full(error)
    hint = description.in_time(lambda: hint_for(error)) or ""
    try:
        pieces = description.one(error, 0) if says_all(hint) else description.chain(error)
        shown = truncate_middle("\n".join(pieces).rstrip("\n"), _MAX_CHARACTERS)
    except Exception:
        shown = f"{type_name(error)}: (its traceback could not be made)"
    return {
        "name": type_name(error),
        "message": description.message(error),
        "traceback": shown,
        "hint": hint,
        "missing_module": description.in_time(lambda: missing_module(error)) or "",
    }


def _is_of_cell_itself(error: BaseException) -> TypeGuard[SyntaxError]:
    """Whether the code of an execution is no Python: there is no frame of it, then."""
    if not issubclass(type(error), SyntaxError) or has_cell(_TRACEBACK(error)):
        return False
    name = _SOURCE_NAME(error)
    return type(name) is str and is_cell(name)


def _said_in_full(error: SyntaxError) -> SyntaxError:
    """The error with the line that it is about, and what is wrong where the code ends too soon.

    IPython compiles as for a prompt, where more lines may follow; and what the compiler finds
    after parsing has no line, for it looks for a file of that name.
    """
    lines = linecache.getlines(str(error.filename))
    if error.msg == "incomplete input":
        try:
            compile("".join(lines), str(error.filename), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        except SyntaxError as full:
            error = full
        except ValueError:  # a null character, which is the error itself
            pass
    number = error.lineno or 0
    if error.text is None and 0 < number <= len(lines):
        error.text = lines[number - 1]
    return error


def is_normal_exit(error: BaseException) -> bool:
    """Whether code ended as programs do."""
    if not issubclass(type(error), SystemExit):
        return False
    code = _EXIT_CODE(error)
    return code is None or (type(code) in (int, bool) and not code)


def type_name(value: object) -> str:
    """The name of a value's type, whatever the type itself says of it."""
    return str.__str__(_TYPE_NAME(type(value)))[:1000]


class _Description:
    """One exception's: all that runs methods of exceptions for it shares one time."""

    def __init__(self) -> None:
        self._seconds = _SECONDS

    def chain(self, error: BaseException) -> Iterator[str]:
        """The exceptions that led to this one, the first of them first, and what is between."""
        chain: list[tuple[BaseException, str]] = [(error, "")]
        seen = {id(error)}
        last = error
        while True:
            if (cause := _CAUSE(last)) is not None:
                earlier, between = cause, "The above exception was the direct cause of the "
                between += "following exception:"
            elif (context := _CONTEXT(last)) is not None and not _SUPPRESS(last):
                earlier = context
                between = "During handling of the above exception, another exception occurred:"
            else:
                break
            if id(earlier) in seen or len(seen) > _MAX_COUNTED:
                break
            seen.add(id(earlier))
            last = earlier
            if len(chain) <= _MAX_CHAIN:
                chain.append((earlier, between))
        if left_out := len(seen) - len(chain):
            yield f"[... {left_out:,} earlier exceptions are left out ...]\n"
        for each, between in reversed(chain):
            yield from self.one(each, 0)
            if between:
                yield f"\n{between}\n"

    def one(self, error: BaseException, depth: int) -> Iterator[str]:
        """Its frames, and what it says."""
        steps = [] if _is_of_cell_itself(error) else shown_frames(_TRACEBACK(error))
        if steps:
            yield "Traceback (most recent call last):"
        for kind, group in groupby(steps, key=type):
            if kind is tuple:
                summary = traceback.StackSummary.extract(cast("Any", group), lookup_lines=True)
                lines = "".join(summary.format()).rstrip("\n").split("\n")
                yield "\n".join(map(_shortened, lines))
                continue
            count: int = sum(cast("Any", group))
            plural = "" if count == 1 else "s"
            if kind is Repeated:
                yield f"  [Previous line repeated {count:,} more time{plural}]"
            else:
                yield f"  [... {count:,} frame{plural} left out ...]"
        if issubclass(type(error), _GROUPS):
            yield f"{type_name(error)}: {self.message(error)}"
            yield from self._members(_MEMBERS(error), depth)
        else:
            yield self._last_lines(error)

    def _members(self, members: tuple[BaseException, ...], depth: int) -> Iterator[str]:
        indent = "  | "
        for number, member in enumerate(members[:_MAX_GROUP], 1):
            yield f"  +-- {number} of {len(members):,} --"
            if depth >= _MAX_GROUP_DEPTH:
                yield f"{indent}{type_name(member)}: {self.message(member)}"
                continue
            for piece in self.one(member, depth + 1):
                yield "\n".join(f"{indent}{line}" for line in piece.split("\n"))
        if len(members) > _MAX_GROUP:
            yield f"  +-- [... {len(members) - _MAX_GROUP:,} more ...]"

    def message(self, error: BaseException) -> str:
        """The exception's text, if it can be made in time."""
        text = self.in_time(lambda: str(error))
        return _NO_TEXT if text is None else truncate_middle(text, _MAX_MESSAGE_CHARACTERS)

    def _last_lines(self, error: BaseException) -> str:
        """The name and text, the place of a syntax error, suggestions and notes, as Python does."""
        text = self.in_time(lambda: _as_python_does(error))
        if text is None:
            return f"{type_name(error)}: {self.message(error)}"
        text = text.rstrip("\n")
        if type(error) is ModuleNotFoundError and not text.endswith("?"):
            similar = self.in_time(lambda: similar_module(error))
            text += f". Did you mean: {similar!r}?" if similar else ""
        return truncate_middle(text, _MAX_MESSAGE_CHARACTERS)

    def in_time(self, make: Callable[[], str]) -> str | None:
        """Call what runs methods of an exception; None if it fails, or takes too long."""
        if self._seconds <= 0:
            return None
        started = monotonic()
        try:
            return _in_time(make, self._seconds)
        except TimeoutError:  # it was up just when the text was there
            return None
        finally:
            self._seconds -= monotonic() - started


def _shortened(line: str) -> str:
    """A line of code that is no longer than people read, such as one that is full of data."""
    return line if len(line) <= _MAX_LINE else f"{line[:_MAX_LINE]}…"


def _as_python_does(error: BaseException) -> str:
    # Apart from the exceptions that led to it: they would be read too, with all their frames.
    cause, context, suppress = error.__cause__, error.__context__, error.__suppress_context__
    try:
        error.__cause__ = error.__context__ = None
        last = error.__traceback__
        while last is not None and last.tb_next is not None:
            last = last.tb_next
        formatted = traceback.TracebackException(type(error), error, last, limit=1)
    finally:
        error.__cause__, error.__context__ = cause, context
        error.__suppress_context__ = suppress
    return "".join(formatted.format_exception_only())


def _in_time(make: Callable[[], str], seconds: float) -> str | None:
    if not hasattr(signal, "setitimer"):
        return _made(make)
    try:
        handler = signal.signal(signal.SIGALRM, _too_late)
        timer = signal.setitimer(signal.ITIMER_REAL, seconds)
    except ValueError:  # not in the main thread
        return _made(make)
    try:
        return _made(make)
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, handler)


def _made(make: Callable[[], str]) -> str | None:
    try:
        text = make()
    except BaseException:
        return None
    # Methods of the user's make it: it may be of a class that lies about itself.
    return str.__str__(text) if isinstance(text, str) else None  # pyright: ignore[reportUnnecessaryIsInstance] -- see above


def _too_late(number: int, frame: FrameType | None) -> None:
    raise TimeoutError
