"""Runs ``aca-mcp`` on Linux as if the system were another, for the modules of the package alone.

    python -m tests.wasm.foreign_system win32 serve

They see another ``sys.platform`` and none of what that system does not have; libraries, which know
the systems by themselves, see this one. What the system's own event loop, files and processes
would do is not tried by this.
"""

from __future__ import annotations

import builtins
import importlib
import os
import sys
import types
from typing import Any

ABSENT_MODULES = {
    "darwin": frozenset[str](),
    "win32": frozenset({"fcntl", "grp", "pty", "pwd", "resource", "termios", "tty"}),
}
ABSENT_NAMES: dict[str, dict[str, str]] = {
    "darwin": {
        "os": "O_PATH O_TMPFILE pidfd_open pipe2 memfd_create sched_getaffinity openat2 prlimit",
        "select": "epoll",
        "signal": "pidfd_send_signal",
    },
    "win32": {
        "os": "O_PATH O_TMPFILE O_DIRECTORY O_NOFOLLOW O_CLOEXEC O_NONBLOCK O_NOCTTY fork forkpty "
        "geteuid getuid getgid getegid setsid killpg nice pipe2 memfd_create mkfifo fchown chown "
        "pidfd_open posix_spawn sched_getaffinity sysconf",
        "select": "epoll poll PIPE_BUF",
        "signal": "SIGKILL SIGHUP SIGQUIT SIGUSR1 SIGXFSZ pidfd_send_signal pthread_sigmask",
        "socket": "AF_UNIX TCP_USER_TIMEOUT",
    },
}


class _Seen(types.ModuleType):
    """A module as the package sees it."""

    def __init__(self, real: types.ModuleType, absent: str, others: dict[str, Any]) -> None:
        super().__init__(real.__name__)
        self.__dict__.update(_real=real, _absent=frozenset(absent.split()), **others)

    def __getattr__(self, name: str) -> Any:
        if name in self._absent:
            raise AttributeError(name)
        return getattr(self._real, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._real, name, value)


def pretend(system: str) -> None:
    """Let modules of the package that are imported from now on see that system."""
    seen: dict[str, types.ModuleType] = {
        name: _Seen(importlib.import_module(name), absent, {})
        for name, absent in ABSENT_NAMES[system].items()
    }
    seen["sys"] = _Seen(sys, "", {"platform": system})
    real = builtins.__import__

    def looking(name: str, globals: Any = None, *rest: Any, **more: Any) -> Any:
        if not str(globals and globals.get("__name__")).startswith("aca_mcp"):
            return real(name, globals, *rest, **more)
        if name in ABSENT_MODULES[system]:
            raise ModuleNotFoundError(name)
        return seen.get(name) or real(name, globals, *rest, **more)

    builtins.__import__ = looking


if __name__ == "__main__":
    pretend(sys.argv.pop(1))
    os.environ.pop("ACA_MCP_POOL", None)  # chosen by the system
    from aca_mcp.cli import main

    sys.exit(main())
