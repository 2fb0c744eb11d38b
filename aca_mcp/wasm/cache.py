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
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, cast

from aca_mcp.errors import PoolUnavailableError
from aca_mcp.wasm.instance import Directory
from aca_mcp.wasm.interrupting import SignalWord

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

_LIBRARY = "/usr/local/lib"
PACKAGES = "/packages"
_UNFINISHED = "making-"


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
