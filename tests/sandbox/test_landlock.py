"""Landlock, in processes of their own."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from aca_mcp.sandbox import landlock
from tests.sandbox.programs import HERE, run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A file to read, a directory to write to, and others."""
    for name in ("readable", "writable", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    return tmp_path


def test_this_machine_has_landlock() -> None:
    """Every machine that this is developed and tested on has; tests below need it."""
    assert landlock.abi_version() >= 1


def test_files_are_reached_as_far_as_allowed_and_no_further(place: Path) -> None:
    program = """
    place = Path(arguments["place"])
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    landlock.restrict(
        readable=("/usr", sys.prefix, sys.base_prefix, str(place / "readable"), "/no/such/path"),
        writable=(str(place / "writable"), "/dev/null", arguments["here"]),
        network=False,
    )
    print(json.dumps({
        "read readable": error_of((place / "readable" / "file").read_text),
        "write readable": error_of(lambda: (place / "readable" / "file").write_text("x")),
        "truncate readable": error_of(lambda: os.truncate(place / "readable" / "file", 0)),
        "remove readable": error_of((place / "readable" / "file").unlink),
        "write writable": error_of(lambda: (place / "writable" / "new").write_text("x")),
        "remove writable": error_of((place / "writable" / "new").unlink),
        "null": error_of(lambda: Path("/dev/null").write_text("x")),
        "read other": error_of((place / "other" / "file").read_text),
        "list other": error_of(lambda: os.listdir(place / "other")),
        "write other": error_of(lambda: (place / "other" / "new").write_text("x")),
        "move out": error_of(
            lambda: (place / "writable" / "file").rename(place / "other" / "moved")
        ),
        "connect": error_of(lambda: socket.socket().connect(("127.0.0.1", 9))),
        "signal": error_of(lambda: os.kill(os.getppid(), 0)),
    }))
    """
    assert run(program, place=str(place), here=HERE) == {
        "read readable": None,
        "write readable": "EACCES",
        "truncate readable": "EACCES",
        "remove readable": "EACCES",
        "write writable": None,
        "remove writable": None,
        "null": None,
        "read other": "EACCES",
        "list other": "EACCES",
        "write other": "EACCES",
        "move out": "EACCES",
        "connect": "EACCES",
        "signal": "EPERM",
    }


def test_with_a_network_connections_are_left_alone() -> None:
    program = """
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    landlock.restrict(readable=("/",), writable=(arguments["here"],), network=True)
    server = socket.create_server(("127.0.0.1", 0))
    print(json.dumps(error_of(lambda: socket.create_connection(server.getsockname()).close())))
    """
    assert run(program, here=HERE) is None


def test_where_the_kernel_has_none_it_says_so_and_restricts_nothing() -> None:
    """Asked for real, with the calls made to fail by a filter."""
    program = """
    seccomp.NEWEST_KNOWN_CALL = 443
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    seccomp.install(seccomp.rules_for(namespaces=True, network=True))
    version = landlock.abi_version()
    failure = error_of(lambda: landlock.restrict(("/",), (), network=True))
    print(json.dumps([version, failure]))
    """
    assert run(program) == [0, errno.errorcode[errno.EOPNOTSUPP]]


def test_an_error_is_not_taken_for_absence() -> None:
    """Out of privileges is something else than out of Landlock."""
    program = """
    failure = error_of(lambda: landlock.restrict(("/",), (), network=True))
    print(json.dumps(failure if os.geteuid() else "EPERM"))
    """
    assert run(program) == "EPERM"
