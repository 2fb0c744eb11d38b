"""Where Node and what runs on it are installed, and how they are run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".cache" / "conformance"
MODULES = CACHE / "node_modules"
_NODE = MODULES / "node" / "bin"
_SAYS_WHERE = re.compile(r" at (http://\S+)")


def run(*command: str | Path, cwd: Path = CACHE) -> subprocess.CompletedProcess[str]:
    """Run a program of Node's."""
    path = os.pathsep.join((str(_NODE), str(MODULES / ".bin"), os.environ["PATH"]))
    return subprocess.run(
        command,
        cwd=cwd,
        env={**_plain_environment(), "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


@contextmanager
def listening(*command: str) -> Generator[str]:
    """A Python module that serves HTTP; gives its address. It must end well on SIGTERM."""
    with subprocess.Popen(
        [sys.executable, "-m", *command],
        stderr=subprocess.PIPE,
        text=True,
        env=_plain_environment(),
    ) as process:
        assert process.stderr is not None
        try:
            seen = ""
            while not (found := _SAYS_WHERE.search(seen)):
                line = process.stderr.readline()
                assert line, f"the server ended: {seen}"
                seen += line
            yield found[1]
            process.terminate()
            process.communicate(timeout=20)
            assert process.returncode == 0
        finally:
            process.kill()


def _plain_environment() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if not name.startswith("ACA_MCP_")}
