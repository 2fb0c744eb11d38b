"""The command as a process that listens on a port."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

_SAYS_WHERE = re.compile(r"^aca-mcp: .* at (https?://\S+)", re.MULTILINE)


@contextmanager
def listening_process(
    log: list[str], *arguments: str, **environment: str
) -> Generator[tuple[str, int]]:
    """``aca-mcp`` on a free port; gives its address and pid. It must end well on SIGTERM.

    What it wrote to stderr since it listened is in ``log`` afterwards.
    """
    command = [sys.executable, "-m", "aca_mcp", *arguments, "--port", "0"]
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("ACA_MCP_")}
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**inherited, **environment}
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
            assert process.returncode == 0
        finally:
            process.kill()
