"""Where Node and what runs on it are installed, and how they are run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.support.session_settings import plain_environment

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".cache" / "conformance"
MODULES = CACHE / "node_modules"
_NODE = MODULES / "node" / "bin"


def run(*command: str | Path, cwd: Path = CACHE) -> subprocess.CompletedProcess[str]:
    """Run a program of Node's."""
    path = os.pathsep.join((str(_NODE), str(MODULES / ".bin"), os.environ["PATH"]))
    return subprocess.run(
        command,
        cwd=cwd,
        env={**plain_environment(), "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
