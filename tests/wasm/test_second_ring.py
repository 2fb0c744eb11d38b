"""What holds the process around an instance: tried on Linux by its own steps, elsewhere as text."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

from aca_mcp.wasm.cache import Prepared
from aca_mcp.wasm.job_object import ExtendedLimits, limits_of
from aca_mcp.wasm.seatbelt import PROGRAM, profile
from aca_mcp.wasm.second_ring import command_of, environment

HELD = """
import errno, os, socket, sys
from aca_mcp.wasm.second_ring import hold_process
storage = sys.argv[1]
hold_process({{"storage": storage, "module": storage + "/module", "image": storage + "/image",
              "memory_bytes": 2**30, "disk_bytes": 2**20}})
def attempt():
    {attempt}
try:
    attempt()
except OSError as error:
    print(errno.errorcode[error.errno])
else:
    print("done")
"""
REFUSED = {
    "a file of the user": "open(os.path.expanduser('~/.profile'))",
    "a file of the system": "open('/etc/passwd').read()",
    "to write beside the session": "open(storage + '/incoming/x', 'w')",
    "to write to the interpreter's cache": "open(storage + '/module/python.cwasm', 'w')",
    "to write to packages": "open(storage + '/packages/x', 'w')",
    "TCP": "socket.socket()",
    "Unix sockets": "socket.socket(socket.AF_UNIX)",
    "to trace": "import ctypes; c = ctypes.CDLL(None, use_errno=True).ptrace(0, 0, 0, 0);"
    " (_ for _ in ()).throw(OSError(ctypes.get_errno(), '')) if c else None",
    "to signal others": "os.kill(os.getppid(), 0)",
    "namespaces": "os.unshare(os.CLONE_NEWUSER) if hasattr(os, 'unshare') else"
    " (_ for _ in ()).throw(PermissionError(1, ''))",
    "a large file": "open(storage + '/data/x', 'wb').write(bytes(2**21))",
    "a program": "os.execv('/bin/sh', ['/bin/sh', '-c', 'cat /etc/passwd > ' + storage + '/x'])",
}


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    for name in ("data", "tmp", "incoming", "packages", "module", "image"):
        (tmp_path / name).mkdir()
    return tmp_path


def attempt(storage: Path, code: str) -> subprocess.CompletedProcess[str]:
    program = HELD.format(attempt=code)
    command = [sys.executable, "-P", "-c", program, str(storage)]
    return subprocess.run(command, capture_output=True, text=True, timeout=40)


@pytest.mark.parametrize("what", REFUSED)
def test_a_process_that_is_held_is_refused(storage: Path, what: str) -> None:
    tried = attempt(storage, REFUSED[what])
    assert tried.stdout.strip() not in ("", "done") or tried.returncode > 0, tried.stderr
    assert not (storage / "x").exists()


def test_it_keeps_what_a_session_needs(storage: Path) -> None:
    code = "open(storage + '/data/a', 'w').write('a'); import threading;"
    code += " t = threading.Thread(target=int); t.start(); t.join(); os.listdir(storage + '/data')"
    assert attempt(storage, code).stdout == "done\n"


def test_credentials_of_the_server_are_not_in_its_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ACA_MCP_SECRET", "a secret")
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "a secret")
    assert "a secret" not in environment().values()
    assert "PATH" in environment()


def test_on_macos_it_is_started_within_a_profile() -> None:
    prepared = Prepared(Path("/cache/module"), Path("/cache/image"), "python315.zip")
    worker = ["/opt/python", "-m", "worker"]
    command = command_of(worker, prepared, Path("/tmp/s"), system="darwin")
    assert command[:2] == [PROGRAM, "-p"]
    assert command[3:] == worker
    assert '(literal "/opt/python")' in command[2]
    assert '(subpath "/cache/module")' in command[2]
    written = command[2].splitlines()[-1]
    assert (
        written == '(allow file-read* file-write* (subpath "/tmp/s/data") (subpath "/tmp/s/tmp"))'
    )
    assert command_of(worker, prepared, Path("/tmp/s"), system="win32") == worker


def test_names_of_directories_are_no_part_of_the_profile() -> None:
    text = profile("/p", ['/a") (allow default) ("'], ["/w\\"])
    assert '(subpath "/a\\") (allow default) (\\"")' in text
    assert '(subpath "/w\\\\")' in text


def test_the_job_allows_one_process_and_so_much_memory() -> None:
    limits = limits_of(2**30)
    assert limits.active_process_limit == 1
    assert limits.process_memory_limit >= 2**30
    if ctypes.sizeof(ctypes.c_void_p) == 8:  # as winnt.h lays it out
        assert ctypes.sizeof(ExtendedLimits) == 144
        assert ExtendedLimits.process_memory_limit.offset == 112
