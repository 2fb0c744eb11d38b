"""What WebAssembly has not, said in a sentence when code asks for it."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import multiprocessing.context
import multiprocessing.process
import os
import shlex
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, NoReturn

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magics.script import ScriptMagics

from aca_mcp.kernel.pip_requests import arguments_of

if TYPE_CHECKING:
    from aca_mcp.kernel.pip_requests import PackageClient

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

    type(InteractiveShell.instance()).system = shell_command
    ScriptMagics.shebang = _no_processes  # %%bash and its like: it would begin with a thread
    threading.Thread.start = _no_threads
    subprocess.Popen.__init__ = _no_processes
    os.system = os.popen = _no_processes
    socket.socket.__init__ = _no_network
    socket.getaddrinfo = _no_network
    urllib.request.UnknownHandler.unknown_open = _unknown_address
    concurrent.futures.ProcessPoolExecutor.__init__ = _no_processes
    multiprocessing.process.BaseProcess.start = _no_processes
    for name in ("Pool", "Manager", "Queue", "SimpleQueue", "JoinableQueue", "Pipe", "Lock"):
        setattr(multiprocessing, name, _no_processes)
        setattr(multiprocessing.context.BaseContext, name, _no_processes)


def _unknown_address(self: urllib.request.UnknownHandler, req: urllib.request.Request) -> NoReturn:
    del self
    # Without sockets there is no ssl, and without that https is no type that is known.
    if req.type == "https":
        raise OSError(NETWORK)
    raise urllib.error.URLError(f"unknown url type: {req.type}")


def _no_threads(*args: object, **kwargs: object) -> NoReturn:
    raise RuntimeError(THREADS)


def _no_processes(*args: object, **kwargs: object) -> NoReturn:
    raise OSError(PROCESSES)


def _no_network(*args: object, **kwargs: object) -> NoReturn:
    raise OSError(NETWORK)
