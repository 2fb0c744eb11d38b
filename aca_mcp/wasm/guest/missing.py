"""What WebAssembly has not, said in a sentence when code asks for it."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, NoReturn

from IPython.core.interactiveshell import InteractiveShell

from aca_mcp.kernel.packages import arguments_of

if TYPE_CHECKING:
    from aca_mcp.kernel.packages import PackageClient

_HERE = "This session runs in WebAssembly, which has no {what}. {instead}"
THREADS = _HERE.format(what="threads", instead="Call the function directly; n_jobs=1 where asked.")
PROCESSES = _HERE.format(
    what="processes: no shell commands, subprocess or multiprocessing",
    instead="Use Python's own modules (os, shutil, pathlib) for work with files.",
)
NETWORK = _HERE.format(what="network", instead="Upload the data as files.")


def explain(packages: PackageClient) -> None:
    """Replace what cannot work by what says so.

    Args:
        packages: answers ``!pip install``, which needs no process here.
    """

    def shell_command(self: InteractiveShell, cmd: str) -> None:
        try:
            words = shlex.split(cmd)
        except ValueError:
            words = []
        if arguments_of(words) is None:
            _no_processes()
        text, code = packages.run(words)
        (sys.stderr if code else sys.stdout).write(text)

    InteractiveShell.system_raw = shell_command
    threading.Thread.start = _no_threads
    subprocess.Popen.__init__ = _no_processes
    os.system = os.popen = _no_processes
    socket.socket.__init__ = _no_network
    socket.getaddrinfo = _no_network


def _no_threads(*args: object, **kwargs: object) -> NoReturn:
    raise RuntimeError(THREADS)


def _no_processes(*args: object, **kwargs: object) -> NoReturn:
    raise OSError(PROCESSES)


def _no_network(*args: object, **kwargs: object) -> NoReturn:
    raise OSError(NETWORK)
