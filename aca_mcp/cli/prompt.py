"""The prompt of ``aca-mcp repl``: prompt_toolkit over one session. The only module that imports it.

Completion asks the session, whose answer is hostile like everything it says.
"""

from __future__ import annotations

import codeop
import contextlib
import json
import os
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from aca_mcp.errors import SessionPoolError, SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import Completer
    from prompt_toolkit.history import History
    from prompt_toolkit.key_binding import KeyBindings

    from aca_mcp.cli.counted_session import CountedSession
    from aca_mcp.pool import Execution

_ENDS = re.compile(r"%?(exit|quit)(\(\d*\))?")
_MAGIC = ("%", "!", "?")
_COMPLETION_SECONDS = 2
_MAX_COMPLETIONS = 200
_MAX_NAME = 200
_COMPLETE = (
    "setattr(get_ipython().Completer, 'use_jedi', False) or "
    "print(__import__('json').dumps(get_ipython().complete(None, {line!r}, {column})))"
)


async def prompt_for_code(
    session: CountedSession,
    execute: Callable[[str], Awaitable[Execution]],
    *,
    completes: bool = True,
) -> None:
    """Read code and have it executed until the person leaves.

    Args:
        session: what completes names, and numbers code.
        execute: runs code and shows what comes of it.
        completes: the session has IPython, and names from one execution to the next.

    Raises:
        SettingsError: prompt_toolkit is not installed.
    """
    prompt = _prompt(session if completes else None)
    while True:
        try:
            code = await prompt.prompt_async(f"In [{session.number}]: ", handle_sigint=False)
        except KeyboardInterrupt:
            continue  # the line is thrown away, as everywhere
        except EOFError:
            return
        if _ENDS.fullmatch(code.strip()):
            return
        if code.strip():
            await execute(code.rstrip())


def is_complete(code: str) -> bool:
    """Whether code is whole when Enter is pressed: nothing is open, or it cannot be meant so."""
    lines = code.split("\n")
    if lines[-1].strip() == "":
        return True
    if code.lstrip().startswith("%%"):
        return False
    if code.lstrip().startswith(_MAGIC) or code.rstrip().endswith("?"):
        return True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Top-level await is allowed, and `!ls` within a block is not Python: run as it is.
            compiled = codeop.compile_command(code, symbol="exec")
    except (SyntaxError, ValueError, OverflowError):
        return True
    return compiled is not None and not (len(lines) > 1 and lines[-1].startswith((" ", "\t")))


def _prompt(completing: CountedSession | None) -> PromptSession[str]:
    try:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.layout.processors import TabsProcessor
    except ModuleNotFoundError:
        raise SettingsError(
            "A prompt needs prompt_toolkit: pip install 'aca-mcp[cli]', or 'prompt_toolkit>=3'."
        ) from None
    return PromptSession(
        history=_history(),
        completer=None if completing is None else _completer(completing),
        complete_while_typing=False,
        multiline=True,
        prompt_continuation=_continuation,
        key_bindings=_keys(),
        lexer=_lexer(),
        input_processors=[TabsProcessor(char1=" ", char2=" ")],  # not as ^I
    )


def _history() -> History:
    """Lines of this prompt and of earlier ones; of this one alone where no file can be used."""
    from prompt_toolkit.history import FileHistory

    class BestEffortHistory(FileHistory):
        """A disk that is full or not ours costs what is remembered, and no session."""

        def load_history_strings(self) -> list[str]:
            try:
                return list(super().load_history_strings())
            except OSError:
                return []

        def store_string(self, string: str) -> None:
            with contextlib.suppress(OSError):
                super().store_string(string)

    file = _history_file()
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.touch(mode=0o600)
    return BestEffortHistory(str(file))


def _history_file() -> Path:
    """Where lines are remembered; its owner alone may read it, since people type secrets."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "aca-mcp" / "history"


def _continuation(width: int, _number: int, _wrapped: int) -> str:
    return f"{'...: ':>{width}}"


def _lexer() -> Any:
    from prompt_toolkit.lexers import PygmentsLexer

    try:
        from pygments.lexers.python import PythonLexer  # pyright: ignore[reportMissingTypeStubs] -- it has none
    except ModuleNotFoundError:
        return None
    return PygmentsLexer(PythonLexer)


def _keys() -> KeyBindings:
    from prompt_toolkit.key_binding import KeyBindings

    keys = KeyBindings()

    @keys.add("enter")
    def _enter(event: Any) -> None:  # pyright: ignore[reportUnusedFunction] -- the decorator keeps it
        buffer = event.current_buffer
        at_end = not buffer.document.text_after_cursor.strip()
        if at_end and is_complete(buffer.text):
            buffer.validate_and_handle()
        else:
            before = buffer.document.current_line_before_cursor
            indent = before[: len(before) - len(before.lstrip())]
            buffer.insert_text("\n" + indent + ("    " if before.rstrip().endswith(":") else ""))

    return keys


def _completer(session: CountedSession) -> Completer:
    from prompt_toolkit.completion import Completer, Completion

    class SessionCompleter(Completer):
        """Asks IPython in the session, as a notebook does."""

        def get_completions(self, document: Any, complete_event: Any) -> list[Completion]:
            return []

        async def get_completions_async(
            self, document: Any, complete_event: Any
        ) -> AsyncGenerator[Completion]:
            line: str = document.current_line
            column: int = document.cursor_position_col
            if not line[:column].strip():
                yield Completion("    ")
                return
            replaced, names = await completions(session, line, column)
            for name in names:
                yield Completion(name, start_position=-replaced)

    return SessionCompleter()


async def completions(
    session: CountedSession, line: str, column: int
) -> tuple[int, tuple[str, ...]]:
    """What the session would complete a line with: nothing where it does not answer soon.

    Returns:
        How many characters before the column are replaced, and by what.
    """
    code = _COMPLETE.format(line=line, column=column)
    try:
        execution = await session.execute_unrecorded(code, timeout_seconds=_COMPLETION_SECONDS)
        found: object = json.loads(execution.stdout.text)
    except (SessionPoolError, ValueError, RecursionError):
        return 0, ()
    if not (isinstance(found, list) and len(cast("list[object]", found)) == 2):
        return 0, ()
    replaced, names = cast("list[object]", found)
    if not (isinstance(replaced, str) and isinstance(names, list)):
        return 0, ()
    if not line[:column].endswith(replaced):
        return 0, ()
    texts = [name for name in cast("list[object]", names) if isinstance(name, str)]
    shown = [name for name in texts if name.isprintable() and len(name) <= _MAX_NAME]
    return len(replaced), tuple(shown[:_MAX_COMPLETIONS])
