"""The store of unpacked wheels: sets of packages in directories that sessions read and never write.

    sets/NAME/            a set, whole; in every sandbox from its start, read-only
    staging/XXXX/         one that is being made
    records/NAME          touched whenever a set is used
    secret                what names are made with

The name of a set is a keyed hash of what is in it, so that the same packages are stored once and no
session can guess what others have. ``sets`` may be passed through and not be listed.
"""

from __future__ import annotations

import hmac
import os
import secrets
import shutil
import stat
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from aca_mcp.errors import PackagesNotInstalledError

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from aca_mcp.installing.wheels import Pin

_O_CLOEXEC: int = getattr(os, "O_CLOEXEC", 0)
_SECRET_BYTES = 32
_UNUSED_SECONDS = 30 * 86_400
_PASS_THROUGH = 0o711
_PASS_THROUGH_ALONE = 0o311
"""Where sessions have the owner's identity: not even it may list."""


class PackageStore:
    """The sets below one directory."""

    def __init__(self, root: Path) -> None:
        """Make the directories that are missing.

        Raises:
            OSError: they cannot be made.
        """
        self.sets = root / "sets"
        """What sandboxes show. Never listed, by nobody."""
        self._staging = root / "staging"
        self._records = root / "records"
        root.mkdir(mode=0o755, parents=True, exist_ok=True)
        for directory in (self._staging, self._records):
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
        if not directory.is_dir():
            return False
        (self._records / directory.name).touch(mode=0o600)
        return True

    @contextmanager
    def stage(self) -> Generator[Path]:
        """An empty directory to unpack into, which is gone afterwards unless it was published."""
        directory = self._staging / secrets.token_hex(8)
        directory.mkdir(mode=0o755)
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def publish(self, staged: Path, directory: Path) -> None:
        """Let a set appear, whole. If another process was quicker, its set stays.

        Raises:
            PackagesNotInstalledError: there is something in it that no wheel should have.
            OSError: it cannot be moved.
        """
        _make_harmless(staged)
        with suppress(FileExistsError):
            try:
                staged.rename(directory)
            except OSError:
                if not directory.is_dir():
                    raise
        self.has(directory)

    def prune(self) -> None:
        """Remove sets that nobody has used for a month, and what crashes left in the staging."""
        for record in self._records.iterdir():
            if time.time() - record.stat().st_mtime > _UNUSED_SECONDS:
                shutil.rmtree(self.sets / record.name, ignore_errors=True)
                record.unlink(missing_ok=True)
        for staged in self._staging.iterdir():
            if time.time() - staged.stat().st_mtime > 86_400:
                shutil.rmtree(staged, ignore_errors=True)


def size_of(directory: Path) -> int:
    """What the files below a directory have together, in bytes."""
    total = 0
    for parent, _, names in os.walk(directory):
        for name in names:
            with suppress(OSError):
                total += Path(parent, name).lstat().st_size
    return total


def _make_harmless(staged: Path) -> None:
    """Leave only files and directories that everybody may read; none that an interpreter obeys."""
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
