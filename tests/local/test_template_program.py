"""The template piece by piece: its policy, its imports, its requests and its end.

What it does to hold a session runs in the real thing, in the hostile programs.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, cast

import pytest

from aca_mcp.local import template_program
from aca_mcp.local.forking import ForkServer
from aca_mcp.local.template_messages import SessionRequest, TemplateConfiguration
from aca_mcp.sandbox.policy import Isolation
from aca_mcp.sandbox.probe import IsolationReport
from tests.support.forked import in_child
from tests.support.policies import UNSAFE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from aca_mcp.kernel.interpreter import Interpreter
    from aca_mcp.kernel.streams import Streams

_POLICY = UNSAFE._replace(memory_bytes=2**32, max_tasks=4096)
_NOBODY = 65_534
_NO_INTERPRETER = cast("Interpreter", None)
_NO_STREAMS = cast("Streams", None)
"""For requests that fork nothing."""


class _Ended(BaseException):
    """Stands for the end of a process that has something to report first."""


def _end(code: int) -> NoReturn:
    raise _Ended(code)


def _configuration(directory: Path) -> TemplateConfiguration:
    return TemplateConfiguration(
        "unsafe-none", _POLICY, ("numpy", "matplotlib.pyplot", "no_such_module"), str(directory)
    )


@pytest.fixture
def connection() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The supervisor's end and the template's."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(20)
    with ours, theirs:
        yield ours, theirs


def _message(connection: socket.socket) -> dict[str, object]:
    return json.loads(connection.recv(160 * 1024))


def _request(connection: socket.socket, **request: object) -> None:
    connection.send(json.dumps(request).encode())


def test_requests_wait_for_the_imports_unless_somebody_is_in_a_hurry(
    connection: tuple[socket.socket, socket.socket],
) -> None:
    """That somebody waits may be told ahead of the request that it is for."""
    ours, theirs = connection
    server = ForkServer(theirs, _POLICY, _NO_INTERPRETER, _NO_STREAMS)
    _request(ours, op="packages", id=1)
    server.answer_if_awaited()
    ours.setblocking(False)
    with pytest.raises(BlockingIOError):
        ours.recv(100)
    ours.settimeout(20)

    _request(ours, op="answer_now")
    server.answer_if_awaited()

    rows = cast("list[list[str]]", _message(ours)["packages"])
    assert "numpy" in [name.lower() for name, *_ in rows]


def test_a_request_that_nobody_knows_is_an_error(
    connection: tuple[socket.socket, socket.socket],
) -> None:
    """Only the supervisor sends requests, so one that is unknown is a mistake of ours."""
    ours, theirs = connection
    server = ForkServer(theirs, _POLICY, _NO_INTERPRETER, _NO_STREAMS)
    _request(ours, op="dance")
    _request(ours, op="answer_now")

    with pytest.raises(ValueError, match="unknown request 'dance'"):
        server.answer_if_awaited()


def test_a_fork_that_the_system_refuses_is_told_of(
    connection: tuple[socket.socket, socket.socket],
) -> None:
    """The descriptors that came with the request are closed all the same."""
    ours, theirs = connection

    def ask_where_there_is_no_room() -> None:
        server = ForkServer(theirs, _POLICY, _NO_INTERPRETER, _NO_STREAMS)
        if os.geteuid() == 0:
            os.setresuid(_NOBODY, _NOBODY, _NOBODY)  # root is not held to the limit
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
        reader, writer = os.pipe()
        message = {**SessionRequest("", None).to_message(), "id": 1}
        socket.send_fds(ours, [json.dumps(message).encode()], [writer, writer, writer])
        _request(ours, op="answer_now")
        os.close(writer)

        server.answer_if_awaited()

        assert "temporarily unavailable" in str(_message(ours)["failed"])
        assert os.read(reader, 1) == b""

    assert in_child(ask_where_there_is_no_room) is None


def test_a_session_that_ended_is_let_go_with_its_status(
    connection: tuple[socket.socket, socket.socket],
) -> None:
    """Also one that a signal ended."""
    ours, theirs = connection
    server = ForkServer(theirs, _POLICY, _NO_INTERPRETER, _NO_STREAMS)
    killed = os.fork()
    if killed == 0:
        time.sleep(60)
    os.kill(killed, signal.SIGKILL)

    _request(ours, op="reap", id=1, pid=killed)
    _request(ours, op="answer_now")
    server.answer_if_awaited()

    assert _message(ours) == {"id": 1, "status": -signal.SIGKILL}


def test_a_template_imports_draws_and_ends_with_its_connection(tmp_path: Path) -> None:
    """A module that is not there is passed over."""

    def be_inner() -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(20)
        (tmp_path / "template").mkdir()
        heard: list[dict[str, object]] = []

        def supervise() -> None:
            _request(ours, op="packages", id=1)  # answered when the imports are done
            heard.extend((_message(ours), _message(ours)))
            ours.shutdown(socket.SHUT_WR)

        supervisor = threading.Thread(target=supervise)
        supervisor.start()
        os._exit = _end
        with suppress(_Ended):
            template_program.run_inner(theirs, _configuration(tmp_path), str(tmp_path))
        supervisor.join(20)
        ready, packages = heard
        assert ready["isolation"] == "unsafe-none"
        assert str(ready["runtime"]).startswith("Python 3.")
        assert "packages" in packages
        assert "matplotlib.pyplot" in sys.modules
        assert os.environ["HOME"] == f"{tmp_path}/template"

    assert in_child(be_inner) is None


def test_a_template_whose_interpreter_lacks_ipython_says_how_to_install_it(tmp_path: Path) -> None:
    """And one that fails in another way says what it was."""

    def be_inner() -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(20)
        os._exit = _end
        sys.modules["aca_mcp.kernel.interpreter"] = cast("ModuleType", None)
        with suppress(_Ended):
            template_program.run_inner(theirs, _configuration(tmp_path), str(tmp_path))
        assert "-m pip install ipython" in str(_message(ours)["refused"])

    assert in_child(be_inner) is None


def test_a_template_that_cannot_be_set_up_refuses_in_a_sentence(tmp_path: Path) -> None:
    """The supervisor hears why, and its directory is made for nobody but the pool."""

    def be_template() -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

        def refuse() -> int:
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

        os._exit, os.fork = _end, refuse
        ours.send(_configuration(tmp_path).to_packet())
        with suppress(_Ended):
            template_program.main(theirs.detach())
        assert "could not be set up" in str(_message(ours)["refused"])

    assert in_child(be_template) is None
    (scratch,) = tmp_path.iterdir()
    assert scratch.stat().st_mode & 0o777 == 0o711


def test_the_outer_process_ends_what_came_from_it_when_its_supervisor_is_gone(
    tmp_path: Path,
) -> None:
    """Orphans too, those in sessions of their own included; and it removes the directory."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    def be_outer() -> None:
        from aca_mcp.sandbox import syscalls

        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            ours.close()
            os.setsid()
            if os.fork() == 0:
                os.setsid()
            os.write(writer, b"x")
            time.sleep(60)
        os.read(reader, 1)
        os.read(reader, 1)
        ours.close()
        os._exit = _end
        children = Path(f"/proc/self/task/{os.getpid()}/children")
        with children.open(encoding="ascii") as listing, suppress(_Ended):
            template_program.wait_outside(theirs, child, listing, str(scratch))
        assert children.read_text(encoding="ascii") == ""

    assert in_child(be_outer) is None
    assert not scratch.exists()


def test_root_without_namespaces_needs_an_interpreter_that_every_user_can_reach(
    tmp_path: Path,
) -> None:
    """Its sessions are not root."""
    closed = tmp_path / "closed"
    (closed / "python").mkdir(parents=True)
    template_program.check_reachable(("/usr",))

    closed.chmod(0o700)

    with pytest.raises(ValueError, match="only root may enter"):
        template_program.check_reachable((str(closed / "python"),))


def test_a_host_without_isolation_is_told_what_to_do() -> None:
    """With the kernel's own reason for each kind."""
    report = IsolationReport(None, {Isolation.NAMESPACES: "not permitted"})

    sentence = template_program.no_isolation_sentence(report)

    assert "namespaces: not permitted" in sentence
    assert "Allow user namespaces" in sentence
