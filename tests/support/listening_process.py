"""A program that listens on a port, as a process."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.support.session_settings import plain_environment

if TYPE_CHECKING:
    from collections.abc import Generator

_SAYS_WHERE = re.compile(r"^(?:aca-mcp: )?[A-Za-z ]+ at (https?://[^\s/,]+)", re.MULTILINE)


@contextmanager
def listening_process(
    log: list[str], *command: str, **environment: str
) -> Generator[tuple[str, int]]:
    """A Python module that serves HTTP; gives its address and pid. It must end well on SIGTERM.

    What it wrote to stderr since it listened is in ``log`` afterwards.
    """
    with subprocess.Popen(
        [sys.executable, "-m", *command],
        stderr=subprocess.PIPE,
        text=True,
        env={**plain_environment(), **environment},
    ) as process:
        assert process.stderr is not None
        try:
            seen = ""
            while not (found := _SAYS_WHERE.search(seen)):
                line = process.stderr.readline()
                assert line, f"it ended: {seen}"
                seen += line
            yield found[1], process.pid
            process.terminate()
            log.append(process.communicate(timeout=20)[1])
            assert process.returncode == 0, f"it ended with {process.returncode}: {log[-1]}"
        finally:
            process.kill()
