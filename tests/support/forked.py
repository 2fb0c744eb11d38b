"""Runs a step in a forked child, for what cannot be undone in the process of the tests.

What the child executes counts for coverage, although a sandboxed child can write no file: it
measures in memory and sends the measurement back, through as many generations as there are.
"""

from __future__ import annotations

import importlib
import os
import pickle
import traceback
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import coverage

if TYPE_CHECKING:
    from collections.abc import Callable

# Coverage imports it when it measures, and a sandboxed child may find no module any more.
importlib.import_module("sqlite3.dump")

_ROOT = Path(__file__).parents[2]
_INCLUDE = [f"{_ROOT}/aca_mcp/*", f"{_ROOT}/tests/*"]

_exit_now = os._exit
"""Kept, because a test may replace it in its child."""

_measured: list[bytes] = []
"""In a child: what its own children have measured."""
_generation = 0


def in_child(action: Callable[[], None]) -> str | None:
    """Run an action in a forked child; None if it went well, else its traceback."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _run_and_report(action, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        report = pipe.read()
    _, status = os.waitpid(child, 0)
    if not report:
        return f"the child ended with {os.waitstatus_to_exitcode(status)} and reported nothing"
    failure, measured = pickle.loads(report)  # of our own child, whose code is a test's
    if _generation:
        _measured.extend(measured)
    else:
        _write(measured)
    return failure


def _run_and_report(action: Callable[[], None], writer: int) -> None:
    global _generation
    _generation += 1
    _measured.clear()
    failure: str | None = None
    outer, own = coverage.Coverage.current(), None
    try:
        if outer is not None:
            outer.stop()
            # All is said here, for a sandbox does not show the configuration's file.
            own = coverage.Coverage(
                data_file=None, config_file=False, branch=True, include=_INCLUDE
            )
            own.start()
        action()
    except BaseException:
        failure = traceback.format_exc()
    finally:
        if own is not None:
            own.stop()
            _measured.append(own.get_data().dumps())
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(pickle.dumps((failure, _measured)))
        _exit_now(0)


def _write(measured: list[bytes]) -> None:
    for data in measured:
        file = coverage.CoverageData(basename=f".coverage.forked.{uuid.uuid4().hex}")
        file.loads(data)
        file.write()
