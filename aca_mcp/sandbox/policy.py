"""What a sandbox allows, as plain data: decided by the pool, sent to the template as JSON."""

from __future__ import annotations

import enum
import os
from pathlib import Path
from typing import NamedTuple, Self


class Isolation(enum.StrEnum):
    """What separates a session from the host and from other sessions, strongest first."""

    NAMESPACES = "namespaces"
    """Own user, mount, PID, network, IPC and UTS namespaces, Landlock, seccomp, limits."""
    LANDLOCK = "landlock"
    """Landlock, seccomp and limits, where a container or the distribution forbids namespaces."""
    UNSAFE_NONE = "unsafe-none"
    """Nothing but limits: code runs with the rights of the user who started the server."""


class SandboxPolicy(NamedTuple):
    """The limits and openings of every session of one template. Sizes are in bytes."""

    isolation: Isolation
    network: bool
    """Leave the host's network in reach."""
    memory_bytes: int
    """What the pool lets a session's processes use together. The limits of a single process lie
    far above, for they count what is reserved and never used."""
    disk_bytes: int
    """Size of the work directory."""
    scratch_bytes: int
    """Size of ``/tmp``, and again of ``/dev/shm``."""
    max_tasks: int
    """Processes and threads of one session, or of one user where sessions share theirs."""
    readable: tuple[str, ...]
    """Absolute paths that sessions may read and execute from, all else does not exist."""
    users: tuple[int, int] | None = None
    """First and number of the users that root's template and its sessions are, one each."""

    def to_json(self) -> dict[str, object]:
        """As JSON values."""
        return self._asdict()

    @classmethod
    def from_json(cls, data: dict[str, object]) -> Self:
        """Read what ``to_json`` made. For trusted input only: types are not checked."""
        values = dict(data)
        values["isolation"] = Isolation(str(values["isolation"]))
        values["readable"] = tuple(values["readable"])  # pyright: ignore[reportArgumentType] -- a JSON list, by the sentence above
        if values["users"] is not None:
            values["users"] = tuple(values["users"])  # pyright: ignore[reportArgumentType] -- likewise
        return cls(**values)  # pyright: ignore[reportArgumentType] -- likewise


SYSTEM_DIRECTORIES = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
"""Programs and libraries. One that is a link (``/bin`` to ``/usr/bin``) is made as a link again."""

SYSTEM_FILES = (
    "/etc/alternatives",
    "/etc/fonts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/ssl/certs",
    "/etc/ca-certificates",
    "/etc/pki/tls/certs",
)
"""What libraries read of ``/etc``: nothing of it names a user or holds a secret."""

NETWORK_FILES = ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/services")
"""Read to find hosts; there only for sessions with a network."""

DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


def readable_paths(interpreter_directories: tuple[str, ...], *, network: bool) -> tuple[str, ...]:
    """The paths that sessions of an interpreter need, those that exist, each once.

    Args:
        interpreter_directories: the interpreter's prefixes and the directories it imports from.
        network: whether sessions will have a network.

    Raises:
        ValueError: a directory of the interpreter is a home directory or holds one, so that
            showing it would show the user's files. The message says which.
    """
    # A user that no database names, as in containers, has none: the word is left as it is.
    home = os.path.realpath(os.path.expanduser("~"))  # noqa: PTH111 -- Path.home() would raise
    system = (*SYSTEM_DIRECTORIES, *SYSTEM_FILES, *(NETWORK_FILES if network else ()))
    found = [name for name in system if Path(name).exists()]
    for name in interpreter_directories:
        for path in (os.path.normpath(name), os.path.realpath(name)):
            if path == "/" or home == path or home.startswith(path + os.sep):
                raise ValueError(
                    f"the interpreter lives in {path}, which holds the home directory, and showing "
                    "it to sessions would show the user's files; use a virtual environment"
                )
            if Path(path).is_dir() and not _covered(path, found):
                found.append(path)
    return tuple(found)


def _covered(path: str, directories: list[str]) -> bool:
    return any(path == known or path.startswith(known + os.sep) for known in directories)
