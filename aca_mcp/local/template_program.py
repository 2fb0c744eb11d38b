"""The template process: imports once what sessions need, then forks a session on each request.

Runs in the interpreter that the user chose and imports only the standard library, the kernel and
the sandbox. The supervisor talks to it over one ``SOCK_SEQPACKET`` connection, a JSON message a
packet:

* first the configuration, answered with ``{"isolation": name, "runtime": text, "scratch": path}``
  once the sandbox is set up, or with ``{"refused": sentence}``;
* ``{"op": "fork", ...}`` (``SessionRequest``) with three descriptors (control connection, stdout,
  stderr), answered with ``{"pid": n}`` and a descriptor of the process, or with
  ``{"failed": clause}``;
* ``{"op": "reap", "pid": n}`` once that process has ended, answered with ``{"status": n}``: until
  then its number is not used again, so that signals cannot go astray;
* ``{"op": "packages"}``, answered with ``{"packages": [[name, version], ...]}``;
* ``{"op": "answer_now"}``, not answered: somebody waits, so answer before all imports are done.

Each that is answered has a number, ``"id"``, which the answer repeats. So has a ``reap``, unless
nobody asks for the status.

Two processes: the outer one waits, and ends everything when the supervisor is gone. The inner one
is the first of a PID namespace, so that its end, whatever the reason, ends every session.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
import select
import signal
import socket
import stat
import sys
import tempfile
from pathlib import Path
from typing import NoReturn, TextIO

from aca_mcp import kernel
from aca_mcp.local.directory_trees import remove_tree
from aca_mcp.local.forking import ForkServer
from aca_mcp.local.template_messages import MAX_PACKET_BYTES, TemplateConfiguration
from aca_mcp.sandbox import limits, namespaces, syscalls
from aca_mcp.sandbox.policy import Isolation, SandboxPolicy, readable_paths
from aca_mcp.sandbox.probe import IsolationReport, host_note, probe_isolation

_PARTS = {
    # numpy makes its random state when first asked, which must not be in a session.
    "numpy": ("numpy", "numpy.random"),
    # In steps: between two of them whoever waits for a session is given one.
    "matplotlib.pyplot": (
        "matplotlib",
        "matplotlib.text",
        "matplotlib.image",
        "matplotlib.figure",
        "matplotlib.pyplot",
    ),
    "scipy.stats": (
        "scipy",
        "scipy.sparse",
        "scipy.special",
        "scipy.linalg",
        "scipy.spatial",
        "scipy.ndimage",
        "scipy.optimize",
        "scipy.interpolate",
        "scipy.integrate",
        "scipy.stats",
    ),
}

_FOR_IMPORTS = {
    # One thread: a process with more cannot be forked safely.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # Arrow's and polars's allocators tidy up while they allocate, not in threads.
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "_RJEM_MALLOC_CONF": "background_thread:false",
}


def main(descriptor: int) -> NoReturn:
    """Be a template until the connection closes."""
    connection = socket.socket(fileno=descriptor)
    configuration = TemplateConfiguration.from_packet(connection.recv(MAX_PACKET_BYTES))
    # Whatever runs below here is ended before the server, should the host run out of memory.
    Path("/proc/self/oom_score_adj").write_text(str(limits.OOM_SCORE_ADJUSTMENT), encoding="ascii")
    syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
    limits.allow_descriptors()
    # Nothing that imports make is garbage; sessions turn collection on again for themselves.
    gc.disable()
    scratch = ""
    # Opened while /proc shows this process: its namespaces will show only what is inside. Open
    # until the process ends.
    listing = Path(f"/proc/self/task/{os.getpid()}/children")
    children = listing.open(encoding="ascii")
    try:
        policy = _decide_policy(configuration)
        if policy.isolation is not Isolation.NAMESPACES:
            scratch = _make_scratch(configuration.temporary)
        if policy.isolation is Isolation.NAMESPACES:
            namespaces.enter_template_namespaces(policy)
        child = os.fork()
    except (OSError, ValueError) as error:
        _refuse(connection, f"The sandbox could not be set up: {syscalls.words_of(error)}.")
    if child == 0:
        run_inner(connection, configuration._replace(policy=policy), scratch)
    wait_outside(connection, child, children, scratch)


def _make_scratch(temporary: str) -> str:
    scratch = tempfile.mkdtemp(prefix="aca-mcp-", dir=temporary)
    # Sessions may pass through but not look around: each has a directory that only it can enter.
    Path(scratch).chmod(0o711)
    Path(scratch, "template").mkdir(mode=0o700)
    return scratch


def _decide_policy(configuration: TemplateConfiguration) -> SandboxPolicy:
    directories = (sys.prefix, sys.base_prefix, *kernel.__path__)
    readable = readable_paths(directories, network=configuration.policy.network)
    shared = configuration.policy.readable  # of all pools: what the broker brings
    policy = configuration.policy._replace(readable=(*readable, *shared))
    if configuration.isolation != "auto":
        policy = policy._replace(isolation=Isolation(configuration.isolation))
    else:
        report = probe_isolation(policy)
        if report.best is None:
            raise ValueError(no_isolation_sentence(report))
        policy = policy._replace(isolation=report.best)
    if policy.isolation is Isolation.LANDLOCK:
        if os.geteuid() == 0:
            check_reachable((*policy.readable, configuration.temporary))
        else:
            # The owner's identity could let it be listed.
            policy = policy._replace(readable=readable)
    return policy


def check_reachable(directories: tuple[str, ...]) -> None:
    """Root's sessions have other identities, which must be able to reach the interpreter.

    Raises:
        ValueError: they cannot. The message names the directory that is in the way.
    """
    for directory in map(Path, directories):
        for place in (directory, *directory.parents):
            if place.is_dir() and not place.stat().st_mode & stat.S_IXOTH:
                raise ValueError(
                    f"sessions do not run as root here, and only root may enter {place}, below "
                    f"which {directory} lies; let their interpreter and TMPDIR be where every user "
                    "can reach them"
                )


def no_isolation_sentence(report: IsolationReport) -> str:
    """Why this host can hold no session, and what to do."""
    reasons = "; ".join(f"{kind}: {reason}" for kind, reason in report.reasons.items())
    return (
        f"this host gives no isolation that could hold a session ({reasons}). {host_note()} "
        "Allow user namespaces, use Linux 6.12 or newer, or take sessions that need neither: in "
        "WebAssembly (ACA_MCP_POOL=wasm) or Azure's"
    )


def _refuse(connection: socket.socket, sentence: str) -> NoReturn:
    connection.send(json.dumps({"refused": sentence}).encode())
    os._exit(1)


def wait_outside(connection: socket.socket, child: int, children: TextIO, scratch: str) -> NoReturn:
    """Be the outer process: when the supervisor or the inner one is gone, end everything."""
    poll = select.poll()
    poll.register(connection, 0)  # a hang-up is reported all the same
    poll.register(os.pidfd_open(child), select.POLLIN)
    poll.poll()
    _kill_descendants(children)
    if scratch:
        remove_tree(Path(scratch))
    os._exit(0)


def _kill_descendants(children: TextIO) -> None:
    """Kill every process that came from this one; orphans become its children and follow."""
    while names := children.read().split():
        for name in names:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(int(name), signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(name), signal.SIGKILL)
            os.waitpid(int(name), 0)
        children.seek(0)


def run_inner(
    connection: socket.socket, configuration: TemplateConfiguration, scratch: str
) -> NoReturn:
    """Be the inner process: the first of its PID namespace, which imports and forks."""
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        home = f"{scratch}/template"
        if configuration.policy.isolation is Isolation.NAMESPACES:
            namespaces.mount_proc()
            namespaces.mount_template_scratch(configuration.policy)
            home = "/tmp"
        else:
            syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
        os.chdir("/")
        os.environ.update(_FOR_IMPORTS)
        os.environ.update(HOME=home, TMPDIR=home, MPLCONFIGDIR=home, IPYTHONDIR=f"{home}/ipython")
        _serve_forks(connection, configuration, scratch)
    except ModuleNotFoundError as error:
        _refuse(
            connection,
            f"The interpreter of local sessions, {sys.executable}, has no {error.name}. Install "
            f"it with: {sys.executable} -m pip install ipython numpy pandas matplotlib",
        )
    except Exception as error:
        _refuse(connection, f"The template process failed: {type(error).__name__}: {error}.")
    os._exit(0)


def _serve_forks(
    connection: socket.socket, configuration: TemplateConfiguration, scratch: str
) -> None:
    # Not before: making one writes to the home directory.
    from aca_mcp.kernel.interpreter import Interpreter
    from aca_mcp.kernel.process import load_native
    from aca_mcp.kernel.streams import Streams

    load_native()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    interpreter = Interpreter()
    server = ForkServer(connection, configuration.policy, interpreter, Streams())
    runtime = f"Python {sys.version.split()[0]}"
    isolation = configuration.policy.isolation.value
    server.send({"isolation": isolation, "runtime": runtime, "scratch": scratch})
    for name in (part for whole in configuration.preimport for part in _PARTS.get(whole, (whole,))):
        server.answer_if_awaited()
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    server.answer_if_awaited()
    interpreter.warm_up()
    _draw_once()
    server.answer_for_ever()


def _draw_once() -> None:
    """Draw a figure, so that no session need find fonts or load a drawing library."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        return
    figure = pyplot.figure()
    figure.add_subplot().plot([0, 1])
    figure.savefig(io.BytesIO(), format="png")
    pyplot.close(figure)
    # In each child of this process Matplotlib forgets the fonts that it has open, which is as much
    # memory to write to: it forgets them here, where that can be done.
    from aca_mcp.kernel.figures import forget_fonts

    with contextlib.suppress(AttributeError):
        forget_fonts()
