"""The README's Python program does what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def test_the_program_under_use_it_from_python_runs(tmp_path: Path) -> None:
    """As a reader would: copied to a file and run."""
    section = README.read_text(encoding="utf-8").partition("## Use it from Python")[2]
    program = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert program is not None
    script = tmp_path / "example.py"
    script.write_text(program[1], encoding="utf-8")
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=45
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "Succeeded 730",
        "",
        """b'{"shop":{"0":"Harbour","1":"Station"},"cups":{"0":310,"1":420}}'""",
    ]
