"""An interpreter that sessions of root can reach where they have no file system of their own."""

from __future__ import annotations

import os
import sys
import sysconfig
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator


def lies_open(path: Path) -> bool:
    """Whether every user may enter a directory."""
    return all(place.stat().st_mode & 0o001 for place in (path, *path.parents))


@contextmanager
def reachable_python() -> Generator[str]:
    """An interpreter that a user without rights may start, with the packages of this one.

    Root's sessions are such users, and its own interpreter may lie where only root may look.
    """
    if os.geteuid() != 0 or lies_open(Path(sys.base_prefix).resolve()):
        yield sys.executable
        return
    system = f"/usr/bin/python3.{sys.version_info.minor}"
    assert Path(system).exists(), "no interpreter that sessions of root could reach"
    assert lies_open(Path(sys.prefix)), "no packages that sessions of root could reach"
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        python = Path(name, "python")
        python.write_text(
            f"#!{system}\n"
            "import sys\n"
            f"sys.prefix = {sys.prefix!r}\n"
            f"sys.path.append({sysconfig.get_path('purelib')!r})\n"
            "exec(sys.argv[-1])\n"
        )
        python.chmod(0o755)
        yield str(python)
