"""What runs on macOS and Windows imports nothing that only Linux has. Tried on Linux, by hiding it.

The systems themselves are not tried here.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINUX_ALONE = (
    "aca_mcp.sandbox",
    "aca_mcp.local",
    "aca_mcp.environments",
    "aca_mcp.cli.env",
    "aca_mcp.cli.emulator",
)

HIDDEN = {
    "darwin": {
        "os": "O_PATH O_TMPFILE pidfd_open pipe2 memfd_create sched_getaffinity",
        "select": "epoll",
        "signal": "pidfd_send_signal",
    },
    "win32": {
        "os": "O_PATH O_TMPFILE O_DIRECTORY O_NOFOLLOW O_CLOEXEC O_NONBLOCK O_NOCTTY fork forkpty "
        "geteuid getuid getgid getegid setsid killpg nice pipe2 memfd_create mkfifo fchown chown "
        "pidfd_open posix_spawn sched_getaffinity",
        "select": "epoll poll PIPE_BUF",
        "signal": "SIGKILL SIGHUP SIGQUIT SIGUSR1 pidfd_send_signal pthread_sigmask",
        "socket": "AF_UNIX TCP_USER_TIMEOUT",
    },
}
MODULES = {"darwin": "", "win32": "fcntl grp pty pwd resource termios tty"}

PROGRAM = """
import builtins, importlib, pkgutil, sys

hidden, modules, skipped = {hidden!r}, {modules!r}.split(), {skipped!r}
for library in ("anyio._backends._asyncio", "mcp.server", "uvicorn", "filelock", "wasmtime"):
    importlib.import_module(library)  # they know the systems by themselves
real = builtins.__import__

def looking(name, globals=None, *rest, **more):
    if str((globals or {{}}).get("__name__")).startswith("aca_mcp") and name in modules:
        raise ModuleNotFoundError(name)
    return real(name, globals, *rest, **more)

builtins.__import__ = looking
for module, names in hidden.items():
    for name in names.split():
        if hasattr(sys.modules.get(module) or importlib.import_module(module), name):
            delattr(sys.modules[module], name)
import aca_mcp
found = [module.name for module in pkgutil.walk_packages(aca_mcp.__path__, "aca_mcp.")]
wanted = [name for name in found if not name.startswith(skipped) and "__main__" not in name]
for name in wanted:
    importlib.import_module(name)
    print(name)
"""


@pytest.mark.parametrize("system", HIDDEN)
def test_every_module_but_those_of_linux_can_be_imported(system: str) -> None:
    program = PROGRAM.format(hidden=HIDDEN[system], modules=MODULES[system], skipped=LINUX_ALONE)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=50
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert {"aca_mcp.server.stdio", "aca_mcp.wasm.worker", "aca_mcp.cli.doctor"} <= set(
        done.stdout.split()
    )
