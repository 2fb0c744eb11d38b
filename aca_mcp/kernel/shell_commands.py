"""Shell commands of cells, ``!command``: they print where the code around them prints.

That is to the session's own descriptors, as their output comes. Where code has put something in the
place of those, such as ``%%capture`` and ``redirect_stdout`` do, it is given the text in the end.
Standard library only.
"""

from __future__ import annotations

import io
import os
import re
import subprocess  # noqa: TID251 -- of the session's code, in its sandbox
import sys
from typing import Any

from .text_streams import can_be_written_to

_ONLY_CD = re.compile(r"\s*cd\b[^;&|\n]*")
_CD_ENDS = "cd changes the directory of this one command: %cd changes it for what follows"
_SIGNALLED = 128
"""Exit codes of shells above it say which signal ended a command."""


def run_shell_command(command: str) -> int:
    """Run a command to its end.

    Returns:
        Its exit code, below zero if a signal ended it.
    """
    out, err = _instead_of(1, "stdout"), _instead_of(2, "stderr")
    if _ONLY_CD.fullmatch(command):
        print(_CD_ENDS, file=sys.stderr)  # noqa: T201 -- to whoever reads the command's output
    ended: subprocess.CompletedProcess[bytes] = subprocess.run(  # noqa: S602 -- which is what it is for
        command,
        shell=True,
        executable=os.environ.get("SHELL"),
        check=False,
        stdout=None if out is None else subprocess.PIPE,
        stderr=None if err is None else subprocess.PIPE,
    )
    for stream, text in ((out, ended.stdout), (err, ended.stderr)):
        if stream is not None:
            stream.write(text.decode(errors="replace"))
    code = ended.returncode
    return _SIGNALLED - code if code > _SIGNALLED else code


def _instead_of(number: int, name: str) -> Any:
    """What code has put in the place of a descriptor; None if nothing."""
    stream: Any = getattr(sys, name, None)
    if not can_be_written_to((stream,)):
        return None
    is_text = issubclass(type(stream), io.TextIOWrapper)
    is_itself = is_text and "write" not in vars(stream) and stream.fileno() == number
    return None if is_itself else stream
