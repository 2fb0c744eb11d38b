"""Where environments lie, and which of them are there.

A name is a link to a directory that was finished before the link was made, so that what a name
leads to is always whole:

    NAME -> .builds/NAME-1a2b3c4d     the link is replaced in one step
    .builds/NAME-1a2b3c4d/            a virtual environment
        environment.json              what was asked for, and what it has
        .in-use                       locked, shared, by whoever makes or uses it

A directory that no link leads to is removed as soon as nobody holds its lock: neither a server that
still serves sessions of it nor a command that is still making it.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import shutil
import time
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import anyio

from aca_mcp.errors import EnvironmentFailedError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_BUILDS = ".builds"
_RECORD = "environment.json"
_LOCK = ".in-use"
_REPLACED = "The environment {!r} was just removed or replaced. Try again."
_NO_PLACE = "No environment can be made in {}: {}. ACA_MCP_DATA_DIR names another directory."
_MAKING_SECONDS = 1800
_AGAIN_SECONDS = 0.2
_UNFINISHED_SECONDS = 3600
"""After which a directory without a lock is one whose removal was interrupted."""


class Record(NamedTuple):
    """What is known of an environment without looking into it."""

    name: str
    python_version: str
    """Such as ``3.12.7``."""
    python: str
    """What was asked for: a version, a path, or empty."""
    requirements: tuple[str, ...]
    """What was asked for, as it was written."""
    lock: tuple[str, ...]
    """What it has: ``name==version --hash=sha256:...``, sorted; no address of any index."""
    created_at: str
    """ISO 8601, UTC."""

    @classmethod
    def read(cls, directory: Path) -> Self | None:
        """The record of a finished directory; None if there is none."""
        try:
            data = json.loads((directory / _RECORD).read_text(encoding="utf-8"))
            return cls(
                name=str(data["name"]),
                python_version=str(data["python_version"]),
                python=str(data["python"]),
                requirements=tuple(map(str, data["requirements"])),
                lock=tuple(map(str, data["lock"])),
                created_at=str(data["created_at"]),
            )
        except (OSError, KeyError, TypeError, ValueError):
            return None

    def write(self, directory: Path) -> None:
        """Put it into a directory, which is finished by that."""
        text = json.dumps(self._asdict(), indent=1) + "\n"
        (directory / _RECORD).write_text(text, encoding="utf-8")

    @property
    def packages(self) -> tuple[str, ...]:
        """Name and version of each, without hashes."""
        return tuple(entry.partition(" ")[0] for entry in self.lock)


class Environment(NamedTuple):
    """An environment that can be used."""

    directory: Path
    """The finished directory itself, not the link."""
    record: Record

    @property
    def name(self) -> str:
        """What it is called."""
        return self.record.name

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.directory / "bin" / "python"

    def size_bytes(self) -> int:
        """What its files have together. Takes a while."""
        inodes: dict[int, int] = {}
        for parent, _, names in os.walk(self.directory):
            for name in names:
                with suppress(OSError):
                    found = Path(parent, name).lstat()
                    inodes[found.st_ino] = found.st_size
        return sum(inodes.values())


class EnvironmentStore:
    """The environments below one directory."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def names(self) -> tuple[str, ...]:
        """Those that are there, sorted."""
        return tuple(name for name in sorted(self._links()) if self.find(name) is not None)

    def find(self, name: str) -> Environment | None:
        """The environment of a name, if it is there."""
        if _NAME.fullmatch(name) is None:
            return None
        try:
            directory = (self._root / name).resolve(strict=True)
        except OSError:
            return None
        record = Record.read(directory)
        return None if record is None else Environment(directory, record)

    def get(self, name: str) -> Environment:
        """The environment of a name.

        Raises:
            EnvironmentFailedError: there is none.
        """
        found = self.find(check_name(name))
        if found is None:
            there = ", ".join(self.names()) or "none"
            raise EnvironmentFailedError(
                f"There is no environment {name!r}; there are: {there}. `aca-mcp env create` makes "
                "one."
            )
        return found

    @contextmanager
    def hold(self, environment: Environment) -> Generator[None]:
        """Keep an environment from being removed meanwhile.

        Raises:
            EnvironmentFailedError: it was removed in this moment.
        """
        try:
            descriptor = os.open(environment.directory / _LOCK, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise EnvironmentFailedError(_REPLACED.format(environment.name)) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            if Record.read(environment.directory) is None:
                raise EnvironmentFailedError(_REPLACED.format(environment.name))
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def build(self, name: str) -> Generator[Path]:
        """A new empty directory to make an environment in; removed unless it was published.

        Raises:
            EnvironmentFailedError: it cannot be made, or the name cannot be one.
        """
        check_name(name)
        directory = self._root / _BUILDS / f"{name}-{secrets.token_hex(4)}"
        try:
            # Sessions of root without namespaces have other identities, and read it all the same.
            directory.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            directory.mkdir(mode=0o755)
            lock = os.open(directory / _LOCK, os.O_CREAT | os.O_RDONLY | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise EnvironmentFailedError(_NO_PLACE.format(self._root, error.strerror)) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_SH)
            yield directory
        finally:
            os.close(lock)
            self.prune()

    @asynccontextmanager
    async def making(self, name: str) -> AsyncGenerator[None]:
        """Wait until no other process makes this one, and keep others waiting meanwhile.

        Raises:
            EnvironmentFailedError: nothing can be written there, or it took others too long.
        """
        path = self._root / f".{check_name(name)}.making"
        try:
            self._root.mkdir(mode=0o755, parents=True, exist_ok=True)
            lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise EnvironmentFailedError(_NO_PLACE.format(self._root, error.strerror)) from error
        try:
            with anyio.move_on_after(_MAKING_SECONDS) as waiting:
                while not _locked(lock):  # noqa: ASYNC110 -- another process lets it go
                    await anyio.sleep(_AGAIN_SECONDS)
            if waiting.cancelled_caught:
                raise EnvironmentFailedError(
                    f"Another process has been making the environment {name!r} for too long."
                )
            yield
        finally:
            os.close(lock)

    def publish(self, directory: Path, record: Record) -> Environment:
        """Let a name lead to a directory that is finished."""
        record.write(directory)
        link = directory.with_suffix(".link")
        link.symlink_to(Path(_BUILDS, directory.name))
        link.replace(self._root / record.name)
        return Environment(directory, record)

    def remove(self, name: str) -> None:
        """Forget an environment. Its files stay until no server uses them any more.

        Raises:
            EnvironmentFailedError: there is none, or it cannot be removed.
        """
        self.get(name)
        try:
            (self._root / name).unlink()
        except OSError as error:
            raise EnvironmentFailedError(
                f"The environment {name!r} cannot be removed: {error.strerror}."
            ) from error
        self.prune()

    def prune(self) -> None:
        """Remove directories that nothing leads to and nobody holds."""
        used = {self._root.joinpath(name).resolve() for name in self._links()}
        with suppress(OSError):
            for directory in (self._root / _BUILDS).iterdir():
                if directory.resolve() not in used and directory.is_dir():
                    _remove_unless_held(directory)

    def _links(self) -> list[str]:
        with suppress(OSError):
            return [entry.name for entry in self._root.iterdir() if entry.is_symlink()]
        return []


def check_name(name: str) -> str:
    """Return a name that an environment may have.

    Raises:
        EnvironmentFailedError: it may not.
    """
    if _NAME.fullmatch(name) is None:
        raise EnvironmentFailedError(
            f"{name!r} cannot name an environment: at most 40 lower-case letters, digits, - and _, "
            "beginning with a letter or digit."
        )
    return name


def now() -> str:
    """The time, as records have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove_unless_held(directory: Path) -> None:
    try:
        lock = os.open(directory / _LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        # It is being made in this moment, or what is left of one that was being removed.
        if time.time() - directory.stat().st_mtime > _UNFINISHED_SECONDS:
            shutil.rmtree(directory, ignore_errors=True)
        return
    try:
        if _locked(lock):
            shutil.rmtree(directory, ignore_errors=True)
    finally:
        os.close(lock)
