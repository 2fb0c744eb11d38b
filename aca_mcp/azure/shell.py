"""Sessions of a Shell pool: commands, and Python that is started anew for each execution.

What such a session keeps are its files. The port's code is Python or IPython, so commands come as
IPython writes them: a cell that begins with ``%%bash``, or a line with ``!``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import anyio

from aca_mcp.azure.executions import OWN_CODE_SECONDS
from aca_mcp.azure.results import AzureExecutionContext, read_execution
from aca_mcp.pool import WORK_DIRECTORY

if TYPE_CHECKING:
    from aca_mcp.azure.executions import Executions, ShellFields
    from aca_mcp.azure.known_sessions import KnownSession
    from aca_mcp.pool import Execution

_MAX_ARGUMENT_BYTES = 120_000
_CELL = re.compile(r"\s*%%(?:bash|sh)[ \t]*\n(?P<commands>.*)", re.DOTALL)
_LINE = re.compile(r"\s*!(?P<commands>[^\n]*)\s*")
_STATELESS = (
    "This is a Shell pool: Python is started anew for each execution. Variables and imports of "
    "this one are gone when it ends; files in the work directory stay"
)
_RUNNER = f"""\
import ast, linecache, os, sys
try:
    os.chdir({WORK_DIRECTORY!r})
except OSError:
    pass
def show(kind, error, trace):
    import traceback
    traceback.print_exception(kind, error, trace and trace.tb_next)
sys.excepthook = show
code = sys.argv.pop() if len(sys.argv) > 1 else sys.stdin.read()
linecache.cache["<code>"] = (len(code), None, code.splitlines(True), "<code>")
body = compile(code, "<code>", "exec", ast.PyCF_ONLY_AST).body
last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
names = {{"__name__": "__main__"}}
exec(compile(ast.Module(body, []), "<code>", "exec"), names)
if last is not None:
    sys.displayhook(eval(compile(ast.Expression(last.value), "<code>", "eval"), names))
"""
"""Shows the value of the last expression, as an interpreter does, and no frame of its own."""


class Shell:
    """Runs code in the sessions of one pool. Callers see to it that each has one run at a time."""

    def __init__(self, executions: Executions) -> None:
        self._executions = executions

    async def run(
        self, identifier: str, known: KnownSession, code: str, timeout_seconds: float
    ) -> Execution:
        """Run code, and say at its session's first Python that nothing of it stays.

        Raises:
            ExecutionOutcomeUnknownError: its answer is lost.
            SessionPoolError: it was not run.
        """
        began = anyio.current_time()
        commands = commands_in(code)
        fields = _python(code) if commands is None else _commands(commands)
        reply = await self._executions.run(identifier, fields, timeout_seconds)
        is_first = commands is None and not known.told_of_shell
        known.told_of_shell |= is_first
        about = AzureExecutionContext(
            timeout_seconds=timeout_seconds,
            elapsed_seconds=anyio.current_time() - began,
            stream_characters=self._executions.stream_characters,
            started_session=bool(reply.new_session),
            lost_before=known.take_lost(),
            variables="gone",
            remark=_STATELESS if is_first else "",
        )
        return read_execution(reply.response, None, about)

    async def evaluate(self, identifier: str, expression: str) -> object:
        """The value of an expression that gives text."""
        fields = _python(f"print({expression})")
        reply = await self._executions.run(identifier, fields, OWN_CODE_SECONDS)
        return reply.response.stdout.strip()


def commands_in(code: str) -> str | None:
    """The commands that code is, as IPython writes them, or None if it is Python. Pure."""
    found = _CELL.fullmatch(code) or _LINE.fullmatch(code)
    return found["commands"] if found else None


def _commands(commands: str) -> ShellFields:
    # Where a shell begins is not documented.
    return {"shellCommand": f"cd {WORK_DIRECTORY}\n{commands}"}


def _python(code: str) -> ShellFields:
    # Not every version of the API has `stdin`, and Linux takes no argument of more than 128 KiB.
    if len(code.encode()) <= _MAX_ARGUMENT_BYTES:
        return {"execCommandAndArgs": ["python3", "-c", _RUNNER, code]}
    return {"execCommandAndArgs": ["python3", "-c", _RUNNER], "stdin": code}
