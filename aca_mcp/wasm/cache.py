"""Where a machine keeps what it makes once: compiled code, and memory that sessions begin with.

An entry is a directory that appears whole. Compiled code is run as it is found, so the cache is
used only where nobody but this user can write to it.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import stat
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, cast

from aca_mcp.errors import PoolUnavailableError
from aca_mcp.wasm.instance import Directory
from aca_mcp.wasm.interrupting import SignalWord

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

_LIBRARY = "/usr/local/lib"
PACKAGES = "/packages"
INSTALLED = "/installed"
_UNFINISHED = "making-"
_KINDS = ("module-", "image-")
_USED = "used"
_KEPT_OF_A_KIND = 3
"""Entries of other versions that were used last stay, if they were used within the last day."""
_DAY_SECONDS = 86_400.0
_MONTH_SECONDS = 30 * _DAY_SECONDS


@dataclass(frozen=True, slots=True)
class Prepared:
    """The entries of one cache that a session needs."""

    module: Path
    image: Path
    library_name: str

    @property
    def is_complete(self) -> bool:
        """Whether both entries are there."""
        return self.module.is_dir() and self.image.is_dir()

    @property
    def code(self) -> Path:
        """Compiled code."""
        return self.module / "python.cwasm"

    @property
    def library(self) -> Path:
        """The directory of the standard library."""
        return self.module / "library"

    @property
    def figure_data(self) -> Path:
        """Matplotlib's fonts and styles."""
        return self.module / "figures"

    @property
    def packages(self) -> Path:
        """Packages of pure Python that sessions can import."""
        return self.image / "packages"

    @property
    def memory(self) -> Path:
        """The memory that a session begins with."""
        return self.image / "memory"

    def directories(self, storage: Path) -> tuple[Directory, ...]:
        """What an instance sees of files; ``storage`` has those of its session."""
        return (
            Directory(self.library, _LIBRARY),
            Directory(self.figure_data, f"{_LIBRARY}/{self.library_name}/matplotlib/mpl-data"),
            Directory(self.packages, PACKAGES),
            Directory(storage / "data", "/mnt/data", writable=True),
            Directory(storage / "tmp", "/tmp", writable=True),  # noqa: S108 -- the session's own
            Directory(storage / "packages", INSTALLED),
        )

    def signal_words(self) -> tuple[SignalWord, ...]:
        """Where a signal is noted in memory; none where that is not known."""
        rows = cast("list[dict[str, int]]", json.loads((self.image / "signals").read_text()))
        return tuple(SignalWord(**row) for row in rows)


def write_signal_words(image: Path, words: tuple[SignalWord, ...]) -> None:
    """Keep them with the memory that they are in."""
    (image / "signals").write_text(json.dumps([asdict(word) for word in words]))


def make_private(directory: Path) -> None:
    """Make the cache's directory, or see that it is as it should be.

    Raises:
        PoolUnavailableError: others can write to it, or it cannot be made.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = directory.lstat()
    except OSError as error:
        raise PoolUnavailableError(
            f"The wasm pool's cache {directory} cannot be used: {error.strerror}. Set "
            "ACA_MCP_WASM_CACHE_DIR to a directory of your own."
        ) from error
    own = getattr(os, "geteuid", None)  # Windows keeps others out by the directory's place
    if own is None:
        return
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != own() or status.st_mode & 0o022:
        raise PoolUnavailableError(
            f"The wasm pool's cache {directory} is not used, because others could write to it and "
            "compiled code is loaded from there. Set ACA_MCP_WASM_CACHE_DIR to a directory of "
            "your own, or: chmod 700."
        )


def mark_used(prepared: Prepared) -> None:
    """Note that the entries are in use, for whoever looks for those that are not."""
    for entry in (prepared.module, prepared.image):
        with suppress(OSError):  # it is used all the same
            (entry / _USED).touch()


def superseded(ages: Mapping[str, float], needed: frozenset[str]) -> list[str]:
    """Which entries are of versions that nobody uses any more. Pure.

    Args:
        ages: seconds since each entry was used, by name.
        needed: names of those that are used now.
    """
    found: list[str] = []
    for kind in _KINDS:
        others = sorted(
            (age, name)
            for name, age in ages.items()
            if name.startswith(kind) and name not in needed
        )
        for place, (age, name) in enumerate(others):
            if age > _MONTH_SECONDS or (age > _DAY_SECONDS and place >= _KEPT_OF_A_KIND):
                found.append(name)
    return found


def remove_superseded(directory: Path, prepared: Prepared) -> None:
    """Remove entries that nobody uses any more. For who holds the cache's lock."""
    ages: dict[str, float] = {}
    for entry in directory.iterdir():
        used = entry / _USED
        with suppress(OSError):
            seen = (used if used.exists() else entry).stat().st_mtime
            ages[entry.name] = time.time() - seen
    for name in superseded(ages, frozenset({prepared.module.name, prepared.image.name})):
        shutil.rmtree(directory / name, ignore_errors=True)


def remove_unfinished(directory: Path) -> None:
    """Remove what processes that were killed have left. For who holds the cache's lock."""
    for left in directory.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(left, ignore_errors=True)


@contextmanager
def new_entry(target: Path) -> Generator[Path]:
    """A directory to fill, which becomes ``target`` when all of it is there, or else is removed."""
    making = target.with_name(f"{_UNFINISHED}{secrets.token_hex(8)}")
    making.mkdir(mode=0o700)
    try:
        yield making
        making.rename(target)
    except BaseException:
        shutil.rmtree(making, ignore_errors=True)
        raise
