"""Programs for processes of their own: what holds a process, holds it for good."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

PRELUDE = """
import errno, json, os, resource, signal, socket, sys
from pathlib import Path
from aca_mcp.sandbox import contain, landlock, limits, namespaces, seccomp, syscalls
from aca_mcp.sandbox.policy import Isolation, SandboxPolicy

def error_of(action):
    try:
        action()
    except OSError as error:
        return errno.errorcode[error.errno]

arguments = json.loads(sys.argv[1])
"""

OWN_MOUNTS = """
uid, gid = os.getuid(), os.getgid()
syscalls.unshare(syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNS)
Path("/proc/self/setgroups").write_text("deny")
Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
syscalls.make_mounts_private()
"""
"""Has a program in namespaces of its own for users and mounts go on as the same user."""

HERE = str(Path.cwd())
"""What a process must be able to write to when it ends, for its coverage to be measured."""


def run(program: str, **arguments: object) -> object:
    """Run a program, which has its arguments in ``arguments``, and return what it prints."""
    code = PRELUDE + textwrap.dedent(program)
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(arguments)],
        capture_output=True,
        text=True,
        env=os.environ,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
