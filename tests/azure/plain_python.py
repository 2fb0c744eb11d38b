"""A container of somebody's own: the service's API over a Python that has no IPython."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio.to_thread

from tests.azure.service import answer

if TYPE_CHECKING:
    from collections.abc import Generator

    import httpx

_PROGRAM = """\
import ast, contextlib, io, json, sys, traceback
names = {"__name__": "__main__"}
for line in sys.stdin:
    out, err, value, failed = io.StringIO(), io.StringIO(), None, False
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            body = ast.parse(json.loads(line)).body
            last = body.pop() if GIVES_VALUES and body and isinstance(body[-1], ast.Expr) else None
            exec(compile(ast.Module(body, []), "<code>", "exec"), names)
            if last is not None:
                value = eval(compile(ast.Expression(last.value), "<code>", "eval"), names)
        except BaseException:
            traceback.print_exc()
            failed = True
    told = {"stdout": out.getvalue(), "stderr": err.getvalue(), "executionResult": value}
    status = "Failed" if failed else "Succeeded"
    sys.__stdout__.write(json.dumps({"status": status, "result": told}, default=repr) + "\\n")
    sys.__stdout__.flush()
"""


class PlainPython:
    """Answers executions by one interpreter."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.codes: list[str] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method != "POST":
            return answer(404)
        self.codes.append(json.loads(await request.aread())["code"])
        return answer(200, json.loads(await anyio.to_thread.run_sync(self._run, self.codes[-1])))

    def _run(self, code: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(code) + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()


@contextmanager
def plain_python(*, gives_values: bool = True) -> Generator[PlainPython]:
    """Start one.

    Args:
        gives_values: the value of the last expression is told.
    """
    program = _PROGRAM.replace("GIVES_VALUES", str(gives_values))
    with subprocess.Popen(
        [sys.executable, "-ISu", "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as process:
        try:
            yield PlainPython(process)
        finally:
            process.kill()
