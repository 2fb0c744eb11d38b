"""A Seatbelt profile for macOS: what the process around a session may do, as text. Pure.

Written after Apple's own profiles in ``/System/Library/Sandbox/Profiles``. It was not tried.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = "/usr/bin/sandbox-exec"
_SYSTEM = (
    "/System",
    "/usr/lib",
    "/usr/share",
    "/Library/Apple",
    "/private/var/db/dyld",
    "/dev/null",
    "/dev/random",
    "/dev/urandom",
)


def command_of(
    worker: Sequence[str], readable: Sequence[str], writable: Sequence[str]
) -> list[str]:
    """The command that starts a program within the profile.

    Args:
        worker: the program and its arguments.
        readable: directories that it reads, and maps code from.
        writable: directories that it reads and writes.
    """
    return [PROGRAM, "-p", profile(worker[0], readable, writable), *worker]


def profile(program: str, readable: Sequence[str], writable: Sequence[str]) -> str:
    """The profile: all is denied but what follows."""
    read = " ".join(map(_below, (*readable, *_SYSTEM)))
    written = " ".join(map(_below, writable))
    return "\n".join(
        (
            "(version 1)",
            "(deny default)",
            '(import "system.sb")',
            "(deny network*)",
            "(deny process-fork)",
            f"(allow process-exec (literal {_quoted(program)}))",
            "(allow sysctl-read)",
            "(allow signal (target self))",
            "(allow mach-priv-task-port (target self))",
            "(allow file-read-metadata)",
            f"(allow file-read* file-map-executable {read})",
            f"(allow file-read* file-write* {written})",
        )
    )


def _below(path: str) -> str:
    return f"(subpath {_quoted(path)})"


def _quoted(text: str) -> str:
    # Profiles are Scheme, whose strings escape quotes and backslashes as JSON's do.
    return json.dumps(text, ensure_ascii=False)
