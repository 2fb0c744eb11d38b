"""How the service says that an execution did not end by the code's own doing. Pure.

It says so in stderr alone. These are its words as they were seen; no version documents them.
"""

from __future__ import annotations

import enum
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aca_mcp.azure.responses import ExecutionResponse

_SECONDS = re.compile(r"after (\d{1,6}(?:\.\d{1,3})?) seconds?\.?")


class Ending(enum.Enum):
    """Why code did not come to its end."""

    TIMED_OUT = "request timed out waiting for code execution to complete"
    INTERPRETER_DIED = "kernel restarted"
    ABORTED = "execution aborted"


def find_ending(answer: ExecutionResponse) -> Ending | None:
    """Why the service ended an execution, or None if the code ended by itself.

    Args:
        answer: of an execution whose value is no report of ours: code that came to its end and
            wrote such words has one.
    """
    if not answer.has_failed:
        return None
    last = _last_line(answer.stderr).lower()
    for ending in Ending:
        rest = last.removeprefix(ending.value)
        if rest != last and (not rest.strip(" .") or _SECONDS.fullmatch(rest.strip())):
            return ending
    return None


def stderr_before(answer: ExecutionResponse) -> str:
    """What stderr has before the service's words."""
    before, _, _ = answer.stderr.rstrip("\r\n").rpartition("\n")
    return f"{before}\n" if before else ""


def seconds_in(answer: ExecutionResponse) -> float | None:
    """The seconds that the service's words name."""
    found = _SECONDS.search(_last_line(answer.stderr))
    return float(found[1]) if found else None


def _last_line(text: str) -> str:
    return text.rstrip("\r\n").rpartition("\n")[2].strip()
