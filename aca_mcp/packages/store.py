"""The store of unpacked wheels: sets of packages in directories that sessions read and never write.

    sets/NAME/            a set, whole; in every sandbox from its start, read-only
    records/NAME          what is in it: names, versions and hashes; touched when it is used
    staging/XXXX/         one that is being made or removed, with all that its making needs
    cache/                what installers keep for the next one (``downloads``); cache.lock is held
                          by all that use it
    secret                what names are made with

A set appears and goes by being renamed, so that it is whole or not there, whatever is interrupted.

The name of a set is a keyed hash of what is in it, so that the same packages are stored once and no
session can guess what others have. ``sets`` may be passed through and not be listed.
"""

from __future__ import annotations

import hmac
import json
import os
import re
import secrets
import shutil
import stat
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from aca_mcp.errors import PackagesNotInstalledError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aca_mcp.installing.wheels import Pin

_O_CLOEXEC: int = getattr(os, "O_CLOEXEC", 0)
_SECRET_BYTES = 32
_OF_INTERPRETER = re.compile(
    rb"\A#!(?:[^\n]*\bpython[^\n]*\n|/bin/sh\n'{3}exec' [^\n]*\bpython[^\n]*\n' '{3}\n)"
)
"""How programs begin that an installer made; the second way where its path is long."""
MAX_STORE_BYTES = 20 * 2**30
_UNUSED_SECONDS = 30 * 86_400
_UNUSED_SECONDS_WHEN_FULL = 7 * 86_400
"""Sessions import from their sets as they go on, and are only seen to use one when they ask."""
_LEFT_OVER_SECONDS = 86_400
_PASS_THROUGH = 0o711
_PASS_THROUGH_ALONE = 0o311
"""Where sessions have the owner's identity: not even it may list."""


class PackageStore:
    """The sets below one directory."""

    def __init__(self, root: Path, *, max_bytes: int = MAX_STORE_BYTES) -> None:
        """Make the directories that are missing.

        Args:
            root: where.
            max_bytes: what all sets may have together.

        Raises:
            OSError: they cannot be made.
        """
        self.sets = root / "sets"
        """What sandboxes show. Never listed, by nobody."""
        self.cache = root / "cache"
        """For what installers keep between requests."""
        self._cache_lock = root / "cache.lock"
        self._max_bytes = max_bytes
        self._staging = root / "staging"
        self._records = root / "records"
        root.mkdir(mode=0o755, parents=True, exist_ok=True)
        for directory in (self._staging, self._records, self.cache):
            directory.mkdir(mode=0o700, exist_ok=True)
        self.sets.mkdir(mode=0o700, exist_ok=True)
        if sys.platform != "win32":  # where no session shares the machine
            self.sets.chmod(_PASS_THROUGH if os.geteuid() == 0 else _PASS_THROUGH_ALONE)
        self._secret = _secret_in(root / "secret")

    def directory_of(self, pins: Sequence[Pin], interpreter: str) -> Path:
        """Where the set of these pins is, or will be.

        Args:
            pins: what is in it.
            interpreter: what it is for, in whatever words.
        """
        lines = [interpreter, *(" ".join((str(pin), *pin.hashes)) for pin in sorted(pins))]
        return self.sets / hmac.digest(self._secret, "\n".join(lines).encode(), "sha256").hex()

    def has(self, directory: Path) -> bool:
        """Whether a set is there, which counts as use of it."""
        # In this order: whoever removes sets looks at the time again when it has moved one.
        with suppress(FileNotFoundError):
            os.utime(self._records / directory.name)
        return directory.is_dir()

    def hold_cache(self) -> int:
        """Keep all processes from emptying the cache until the descriptor is closed.

        Raises:
            OSError: it cannot be held.
        """
        descriptor = os.open(self._cache_lock, os.O_CREAT | os.O_RDWR | _O_CLOEXEC, 0o600)
        _lock(descriptor, exclusively=False)
        return descriptor

    def empty_cache(self, staged: Path) -> None:
        """Remove what is in the cache, in one step, unless somebody holds it.

        Args:
            staged: a directory that was begun.
        """
        descriptor = os.open(self._cache_lock, os.O_CREAT | os.O_RDWR | _O_CLOEXEC, 0o600)
        try:
            if _lock(descriptor, exclusively=True):
                with suppress(OSError):  # as where a file of it is open and forbids that
                    self.cache.rename(staged / "emptied")
                self.cache.mkdir(mode=0o700, exist_ok=True)
        finally:
            os.close(descriptor)

    def begin(self) -> Path:
        """An empty directory to work in, on the disk of the sets.

        Raises:
            OSError: it cannot be made.
        """
        directory = self._staging / secrets.token_hex(8)
        directory.mkdir(mode=0o755)
        return directory

    def discard(self, staged: Path) -> None:
        """Remove such a directory, with what is left in it. Takes a while if that is much."""
        shutil.rmtree(staged, ignore_errors=True)

    def publish(self, staged: Path, directory: Path, pins: Sequence[Pin]) -> None:
        """Let a set appear, whole. If another process was quicker, its set stays.

        Args:
            staged: what was unpacked, below a directory that was begun.
            directory: where it is to be.
            pins: what is in it, for the record.

        Raises:
            PackagesNotInstalledError: there is something in it that no wheel should have, or there
                is no room for it.
            OSError: it cannot be moved, or not recorded.
        """
        _make_harmless(staged)
        _let_any_interpreter_run(staged / "bin")
        size = size_of(staged)
        self._make_room(size)
        # First: a set without a record would never be removed.
        record = staged.with_name("record")
        record.write_text(_record(pins, size), encoding="utf-8")
        record.replace(self._records / directory.name)
        try:
            staged.rename(directory)
        except OSError:
            if not directory.is_dir():
                raise

    def prune(self) -> None:
        """Remove sets that nobody has used for a month, and what crashes left in the staging."""
        for record in self._records.iterdir():
            if _age(record) > _UNUSED_SECONDS:
                self._remove(record, _UNUSED_SECONDS)
        for staged in self._staging.iterdir():
            if _age(staged) > _LEFT_OVER_SECONDS:
                shutil.rmtree(staged, ignore_errors=True)

    def _make_room(self, size_bytes: int) -> None:
        """Remove the sets that were used longest ago, until another one has room."""
        records = sorted(self._records.iterdir(), key=_age, reverse=True)
        sizes = {record: _size_in(record) for record in records}
        total = sum(sizes.values()) + size_bytes
        for record, size in sizes.items():
            if total <= self._max_bytes or _age(record) < _UNUSED_SECONDS_WHEN_FULL:
                break
            self._remove(record, _UNUSED_SECONDS_WHEN_FULL)
            total -= size
        if total > self._max_bytes:
            raise PackagesNotInstalledError(
                f"The packages that sessions have asked for, with these, have {total // 2**20:,} "
                f"MiB, and at most {self._max_bytes // 2**20:,} MiB are kept. Nothing was "
                "installed. Who runs the server can remove the directory `packages` in "
                "ACA_MCP_DATA_DIR while it does not run, or make an environment: aca-mcp env "
                "create."
            )

    def _remove(self, record: Path, unused_seconds: float) -> None:
        """Remove a set, unless it is used in this moment."""
        directory, staged = self.sets / record.name, self.begin()
        moved = staged / "set"
        with suppress(FileNotFoundError):
            directory.rename(moved)
        if _age(record) > unused_seconds:
            record.unlink(missing_ok=True)
        elif moved.exists():
            with suppress(OSError):  # who wants to use it has made it anew
                moved.rename(directory)
        self.discard(staged)


def size_of(directory: Path) -> int:
    """What the files below a directory have together, in bytes; 0 if it is not there."""
    total, waiting = 0, [str(directory)]
    while waiting:
        # Whatever is removed meanwhile is not there any more.
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    return total


def _lock(descriptor: int, *, exclusively: bool) -> bool:
    """Lock a file; False if it is to be exclusively, and others have it. Windows has no such."""
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB if exclusively else fcntl.LOCK_SH)
        except BlockingIOError:
            return False
    return True


def _age(path: Path) -> float:
    """Seconds since it was used; 0 if it is not there any more."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0


def _size_in(record: Path) -> int:
    """What the set of a record has; 0 where that is not known."""
    try:
        return int(json.loads(record.read_text(encoding="utf-8"))["size_bytes"])
    except (OSError, KeyError, TypeError, ValueError):
        return 0


def _record(pins: Sequence[Pin], size_bytes: int) -> str:
    packages = [
        {"name": pin.name, "version": pin.version, "hashes": list(pin.hashes)}
        for pin in sorted(pins)
    ]
    made = datetime.now(UTC).isoformat(timespec="seconds")
    return json.dumps({"made_at": made, "size_bytes": size_bytes, "packages": packages}) + "\n"


def _make_harmless(staged: Path) -> None:
    """Leave only files and directories that everybody may read; none that an interpreter obeys."""
    staged.chmod(0o755)
    for parent, directories, names in os.walk(staged):
        for name in (*directories, *names):
            path = Path(parent, name)
            mode = path.lstat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise PackagesNotInstalledError(
                    "A wheel has something else in it than files. Nothing was installed."
                )
            if path.suffix == ".pth" and Path(parent) == staged:
                path.unlink()
                continue
            wanted = 0o755 if stat.S_ISDIR(mode) or mode & 0o100 else 0o644
            if stat.S_IMODE(mode) & 0o7755 != wanted:
                path.chmod(wanted)


def _let_any_interpreter_run(programs: Path) -> None:
    """Have programs run by the Python of whoever starts them, not by the one they were made for.

    That one need not be there for a session, and has no packages of an environment.
    """
    with suppress(FileNotFoundError):
        for program in programs.iterdir():
            text = program.read_bytes()
            begun = _OF_INTERPRETER.sub(b"#!/usr/bin/env python3\n", text, count=1)
            if begun != text:
                program.write_bytes(begun)


def _secret_in(file: Path) -> bytes:
    with suppress(FileExistsError):
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as written:
            written.write(secrets.token_bytes(_SECRET_BYTES))
    for _ in range(100):
        if len(secret := file.read_bytes()) == _SECRET_BYTES:
            return secret
        time.sleep(0.01)  # another process is writing it in this moment
    raise OSError(f"{file} is damaged; remove it")
