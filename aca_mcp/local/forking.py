"""The fork server in the template: sessions out of a process that has imported everything.

Single-threaded on purpose. What a session must not share with its siblings is made anew in the
child, before any code runs.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import gc
import json
import os
import signal
import socket
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, NoReturn

from aca_mcp.kernel.bare_fork import bare_fork, tell_python_of_fork
from aca_mcp.kernel.checkpoint import RUNNING, Checkpoints
from aca_mcp.kernel.message_framing import Frame, encode
from aca_mcp.kernel.serve import installed_packages, serve
from aca_mcp.kernel.streams import Streams, new_token
from aca_mcp.local.descriptor_passing import receive, send_patiently
from aca_mcp.local.keeper import keep
from aca_mcp.local.reseeding import reseed
from aca_mcp.local.template_messages import SessionRequest
from aca_mcp.sandbox import limits, syscalls
from aca_mcp.sandbox.contain import base_directory, contain_session, prepare, prepare_storage
from aca_mcp.sandbox.policy import Isolation, SandboxPolicy

if TYPE_CHECKING:
    # It imports IPython, which neither the server nor a template outside its sandbox should.
    from aca_mcp.kernel.interpreter import Interpreter

_MAX_REQUEST_BYTES = 4096
_CONTROL = 3
"""Of a process that runs code; of a keeper, its channel to the supervisor."""
_CHANNEL = 4
"""Of a process that runs code, where it has a keeper: the same channel."""
_LAST_ORPHAN_SECONDS = 0.2
"""For which a session's end may keep the template; those that take longer are seen to later."""
_FEWEST_DESCRIPTORS = 3
"""Of a request for a fork: control connection or a keeper's channel, stdout, stderr."""
_MOST_DESCRIPTORS = 16
"""With an entrance of each control group."""
_PATIENCE_SECONDS = 10
"""For which something is sent again that the kernel had no room for."""
_POOLED_SIZES = range(48, 513, 16)
"""Of small objects in bytes; those below are numbers and the like, whose room is reused at once."""
_FILLED_BYTES = 64 * 1024
"""For each of these sizes: more saves little more."""


class ForkServer:
    """Answers requests in the order in which they come."""

    def __init__(
        self,
        connection: socket.socket,
        policy: SandboxPolicy,
        interpreter: Interpreter,
        streams: Streams,
    ) -> None:
        self._connection = connection
        self._policy = policy
        self._interpreter = interpreter
        self._streams = streams
        self._filling: list[bytes] = []
        """Kept for as long as sessions are forked: room that is free again would be shared."""
        self._requests: deque[tuple[dict[str, object], list[int]]] = deque()
        self._is_awaited = False
        self._has_imported = False
        self._groups: set[int] = set()
        self._own_pids = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)

    def answer_if_awaited(self) -> None:
        """Answer what has come if somebody waits for it; otherwise leave it for later."""
        while self._receive(wait=False):
            pass
        # That somebody waits may be told ahead of the request that it is for.
        while self._is_awaited and self._requests:
            self._answer(*self._requests.popleft())
            self._is_awaited = bool(self._requests)

    def answer_for_ever(self) -> NoReturn:
        """Answer until the connection closes, which ends the process."""
        gc.collect()
        self._filling = _filling_of_pages()
        self._has_imported = True
        while True:
            while self._requests:
                self._answer(*self._requests.popleft())
            self._receive(wait=True)

    def send(self, message: dict[str, object], descriptors: tuple[int, ...] = ()) -> None:
        """Send one message.

        Raises:
            OSError: the kernel has no room for it, and has had none for a while.
        """
        packet = json.dumps(message).encode()
        send_patiently(self._connection, packet, descriptors, _PATIENCE_SECONDS)

    def _receive(self, *, wait: bool) -> bool:
        flags = 0 if wait else socket.MSG_DONTWAIT
        try:
            packet, descriptors = receive(
                self._connection, _MAX_REQUEST_BYTES, _MOST_DESCRIPTORS, flags
            )
        except BlockingIOError:
            return False
        if not packet:
            os._exit(0)
        request: dict[str, object] = json.loads(packet)
        if request["op"] == "answer_now":
            self._is_awaited = True
        else:
            self._requests.append((request, descriptors))
        return True

    def _answer(self, request: dict[str, object], descriptors: list[int]) -> None:
        match request:
            case {"op": "fork", "id": number}:
                self._answer_fork(number, SessionRequest.from_message(request), descriptors)
            case {"op": "reap", "pid": int(pid)}:
                status = self._reap(pid)
                if "id" in request:
                    self.send({"id": request["id"], "status": status})
            case {"op": "packages", "id": number}:
                self.send({"id": number, "packages": installed_packages()})
            case _:
                raise ValueError(f"unknown request {request['op']!r}")

    def _answer_fork(self, number: object, request: SessionRequest, descriptors: list[int]) -> None:
        pid = 0
        try:
            if len(descriptors) != _FEWEST_DESCRIPTORS + request.groups:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            pid = self._fork(request, descriptors)
            process = os.pidfd_open(pid)
            try:
                told = {"id": number, "pid": pid, "imported": self._has_imported}
                self.send(told, (process,))
            finally:
                os.close(process)
        except OSError as error:
            if pid:
                # Nobody would ever hear of it.
                os.kill(pid, signal.SIGKILL)
                self._reap(pid)
            self.send({"id": number, "failed": syscalls.words_of(error)})
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _fork(self, request: SessionRequest, descriptors: list[int]) -> int:
        prepare(self._policy, one_share=request.one_share)
        # Frozen objects are never visited by a session's collector, so their pages stay shared.
        gc.freeze()
        in_namespaces = self._policy.isolation is Isolation.NAMESPACES
        if in_namespaces:
            syscalls.unshare(syscalls.CLONE_NEWPID)
        try:
            pid = bare_fork()
            if pid == 0:
                _become_session(
                    self._policy, self._interpreter, self._streams, request, descriptors
                )
        finally:
            if in_namespaces:
                self._return_to_own_pids()
        return pid

    def _return_to_own_pids(self) -> None:
        """Let what is forked next not be in the last session's PID namespace."""
        try:
            syscalls.setns(self._own_pids, syscalls.CLONE_NEWPID)
        except OSError:
            os._exit(1)  # no other session could be told apart from that one

    def _reap(self, pid: int) -> int:
        _, status = os.waitpid(pid, 0)
        # Without a PID namespace, orphans of the session are this process's children by now. They
        # were killed with it, and hold on to its control group until they are let go.
        self._groups.add(pid)
        end = time.monotonic() + _LAST_ORPHAN_SECONDS
        while not self._reap_orphans() and time.monotonic() < end:
            time.sleep(0.001)
        return os.waitstatus_to_exitcode(status)

    def _reap_orphans(self) -> bool:
        """Let go of those that have ended; whether there are no others."""
        for group in tuple(self._groups):
            try:
                while os.waitpid(-group, os.WNOHANG) != (0, 0):
                    pass
            except ChildProcessError:
                self._groups.discard(group)
        return not self._groups


def _filling_of_pages() -> list[bytes]:
    """Objects in the room that pages of shared ones have left, so that sessions' own go elsewhere.

    Python keeps small objects by their size, and a new one where there is room for one of its size
    (``Objects/obmalloc.c``). After many imports that is a little in each of many pages, every one
    of which a session would copy for a few objects: a seventh of its memory.
    """
    header = sys.getsizeof(b"")
    return [bytes(size - header) for size in _POOLED_SIZES for _ in range(_FILLED_BYTES // size)]


def _become_session(
    policy: SandboxPolicy,
    interpreter: Interpreter,
    streams: Streams,
    request: SessionRequest,
    descriptors: list[int],
) -> NoReturn:
    connection = socket.socket(fileno=descriptors[0])
    try:
        _arrange(descriptors)
        connection.detach()  # its number may be another descriptor's now
        connection = socket.socket(fileno=_CONTROL)
        if not request.checkpoints:
            _enter(request.groups, after=_CONTROL)
        contain_session(
            policy,
            request.storage,
            request.identity,
            one_share=request.one_share,
            has_keeper=request.checkpoints,
        )
        # After the change of identity, which clears it. Only the first process of the session has
        # it; where that is also the first of a PID namespace, the others die with it.
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
        token = new_token()
        base = base_directory(policy, request.storage)
        channel = None
        if request.checkpoints:
            _tell_readiness(connection, base, token)
            reaches_session_only = policy.isolation is not Isolation.UNSAFE_NONE
            _run_code_in_child(connection, request, reaches_session_only=reaches_session_only)
            connection.detach()
            connection = socket.socket(fileno=_CONTROL)
            channel = socket.socket(fileno=_CHANNEL)
            _enter(request.groups, after=_CHANNEL)
            prepare_storage(policy, request.storage)
            connection.sendall(RUNNING)
        else:
            prepare_storage(policy, request.storage)
            _tell_readiness(connection, base, token)
        # What follows is done while the supervisor makes its first request.
        tell_python_of_fork(keeps_random=False)
        reseed(policy, f"{base}/data")
        gc.enable()
        interpreter.begin_session()
        streams.begin_session(token)
        # Now that it has sent its own, which the limit would count together with everybody's.
        limits.restrict_descriptors()
    except BaseException as error:
        with contextlib.suppress(OSError):
            connection.sendall(encode(Frame({"refused": syscalls.words_of(error)})))
        os._exit(1)
    try:
        copies = None if channel is None else Checkpoints(connection, channel)
        serve(connection, interpreter, streams, copies, asks_for_packages=not policy.network)
    finally:
        os._exit(0)


def _tell_readiness(connection: socket.socket, base: str, token: bytes) -> None:
    directory = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    ready = encode(Frame({"ready": base, "token": token.hex()}))
    send_patiently(connection, ready, (directory,), _PATIENCE_SECONDS)
    os.close(directory)


def _run_code_in_child(
    channel: socket.socket, request: SessionRequest, *, reaches_session_only: bool
) -> None:
    """Be the session's keeper, and return in each child of it that is to run code.

    The child is to enter the session's control groups, and the keeper is not: where code has taken
    all their memory, there is still some for what ends it, and the kernel ends that for nobody.
    """
    null, stdout, stderr = os.open(os.devnull, os.O_RDWR), os.dup(1), os.dup(2)
    for number in (0, 1, 2):
        os.dup2(null, number)
    control = keep(channel, reaches_session_only=reaches_session_only)
    entrances = range(_CONTROL + 1, _CONTROL + 1 + request.groups)
    _arrange([control, stdout, stderr, channel.fileno(), *entrances])
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)


def _enter(groups: int, *, after: int) -> None:
    """Have this process, and all that it starts, be in control groups."""
    for entrance in range(after + 1, after + 1 + groups):
        os.write(entrance, b"0")
        os.close(entrance)


def _arrange(descriptors: list[int]) -> None:
    """Make them what they are in a session, 0 to 2, connections, entrances; close all others."""
    # Copies above all targets first, so that no dup2 overwrites one that is still needed.
    above = _CONTROL + len(descriptors)
    null, control, out, err, *more = (
        fcntl.fcntl(number, fcntl.F_DUPFD, above)
        for number in (os.open(os.devnull, os.O_RDONLY), *descriptors)
    )
    os.dup2(null, 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    last = _CONTROL
    for last, copy in enumerate((control, *more), _CONTROL):
        os.dup2(copy, last, inheritable=False)
    os.closerange(last + 1, os.sysconf("SC_OPEN_MAX"))
