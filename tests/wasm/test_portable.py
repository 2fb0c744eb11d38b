"""What runs on macOS and Windows imports nothing that only Linux has. Tried on Linux, by hiding it.

The systems themselves are not tried here.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.wasm.foreign_system import ABSENT_MODULES

ROOT = Path(__file__).parents[2]
LINUX_ALONE = (
    "aca_mcp.sandbox",
    "aca_mcp.local",
    "aca_mcp.environments",
    "aca_mcp.cli.env",
    "aca_mcp.cli.emulator",
)

PROGRAM = """
import importlib, pkgutil
from tests.wasm.foreign_system import pretend

pretend({system!r})
import aca_mcp
found = [module.name for module in pkgutil.walk_packages(aca_mcp.__path__, "aca_mcp.")]
wanted = [name for name in found if not name.startswith({skipped!r}) and "__main__" not in name]
for name in wanted:
    importlib.import_module(name)
    print(name)
"""


@pytest.mark.parametrize("system", ABSENT_MODULES)
def test_every_module_but_those_of_linux_can_be_imported(system: str) -> None:
    program = PROGRAM.format(system=system, skipped=LINUX_ALONE)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=50
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert {"aca_mcp.server.stdio", "aca_mcp.wasm.worker", "aca_mcp.cli.doctor"} <= set(
        done.stdout.split()
    )
