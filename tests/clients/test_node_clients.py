"""Published clients of the service that run in Node, unmodified, against the emulator."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.clients.environment import NODE_MODULES
from tests.support.emulators import POOL_PATH, emulator_process

FLOW = Path(__file__).parent / "flows" / "llamaindex_azure_flow.mjs"


@pytest.mark.timeout(180)
def test_llamaindex_for_node(tmp_path: Path) -> None:
    # Node looks for packages beside the program, and this client writes beside itself.
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    program = shutil.copy(FLOW, tmp_path)
    node = NODE_MODULES / "node" / "bin" / "node"
    with emulator_process() as address:
        done = subprocess.run(
            [node, program, address + POOL_PATH],
            cwd=tmp_path,
            env={**os.environ},
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-4000:]
