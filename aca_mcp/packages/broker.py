"""Answers requests for packages: checks, resolves, fetches, unpacks; all outside of any session.

Wheels only, so nothing of a package runs. What a session has stays as it is: only what is missing
is added, and what would not go together with it is refused. Does not know pools or sessions.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from aca_mcp.bounded import BoundedMapping
from aca_mcp.errors import PackagesNotInstalledError
from aca_mcp.installing.commands import Installer, InstallerError, find_installer
from aca_mcp.installing.wheels import (
    ANY_MACHINE,
    Pin,
    Target,
    has_compiled_code,
    install,
    normalized,
    resolve,
)
from aca_mcp.missing_modules import COMMON_PACKAGES
from aca_mcp.packages.failures import sentence_for
from aca_mcp.packages.requirements import Policy, check_requirements
from aca_mcp.packages.store import PackageStore, size_of
from aca_mcp.requester import recording_packages, requester

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from packaging.requirements import Requirement

MAX_SET_BYTES = 1024 * 2**20
MAX_SET_PACKAGES = 200
_RESOLVE_SECONDS = 60
_INSTALL_SECONDS = 240
_AT_ONCE = 4
_PER_MINUTE = 10
_PRINCIPAL_PER_MINUTE = 20
_ALL_PER_MINUTE = 60
_MINUTE = 60
_REMEMBERED = 10_000
_WATCH_SECONDS = 0.5
_BY = {
    "session": "by this session",
    "principal": "by the sessions of one user",
    "all": "by all sessions together",
}


@dataclass(frozen=True, slots=True)
class PackageSet:
    """What a request gave."""

    directory: Path | None
    """Where the new packages are; None if there is nothing new."""
    installed: tuple[Pin, ...]
    """What is new."""
    present: tuple[Pin, ...]
    """What was asked for, and the session has already."""
    size_bytes: int
    """Of what is new, unpacked."""
    seconds: float
    was_stored: bool = False
    """Another request had brought it before."""


class PackageBroker:
    """Answers requests of all sessions of a server. No index is asked before the first.

    Args:
        store: where sets are kept.
        policy: what may be asked for.
        index: the package index, where it is not the one that uv or pip is configured for.
        installer: what asks it, by default the best that is there.
    """

    def __init__(
        self,
        store: PackageStore,
        policy: Policy,
        *,
        index: str | None = None,
        installer: Installer | None = None,
    ) -> None:
        self.store = store
        self.policy = policy
        self._index = index
        self._installer = installer
        self._at_once = anyio.Semaphore(_AT_ONCE)
        self._making: dict[Path, anyio.Lock] = {}
        self._has_pruned = False
        self._asked: BoundedMapping[str, deque[float]] = BoundedMapping(_REMEMBERED)

    async def provide(
        self,
        texts: Sequence[str],
        target: Target,
        *,
        installed: Mapping[str, str],
        who: str,
    ) -> PackageSet:
        """Bring packages into the store.

        Args:
            texts: what is asked for, as PEP 508 writes it. It may come from hostile code.
            target: the session's interpreter.
            installed: what it has, normalized name to version. It stays.
            who: asks: a session's identifier. Requests are limited for each, for each principal
                (``requester``) with all its sessions, and for all together.

        Raises:
            PackagesNotInstalledError: it was not permitted or not possible. The message says why.
        """
        started = time.monotonic()
        with recording_packages(who, texts):
            requirements = check_requirements(texts, self.policy)
            self._count(who)
            async with self._at_once:
                return await self._provide(requirements, target, installed, started)

    def _count(self, session: str) -> None:
        counted = [(f"session {session}", _PER_MINUTE), ("all", _ALL_PER_MINUTE)]
        if principal := requester().principal:
            counted.insert(1, (f"principal {principal}", _PRINCIPAL_PER_MINUTE))
        now = time.monotonic()
        for key, most in counted:
            times = self._asked.used(key, deque[float])
            while times and now - times[0] > _MINUTE:
                times.popleft()
            if len(times) >= most:
                raise PackagesNotInstalledError(
                    f"Packages were asked for {most} times in a minute {_BY[key.split()[0]]}, "
                    "which is the limit. Nothing was installed. Ask for all that is needed at "
                    "once, in a minute."
                )
        for key, _ in counted:
            self._asked[key].append(now)

    async def _provide(
        self,
        requirements: Sequence[Requirement],
        target: Target,
        installed: Mapping[str, str],
        started: float,
    ) -> PackageSet:
        if not self._has_pruned:
            self._has_pruned = True
            await anyio.to_thread.run_sync(self.store.prune)
        wanted = " ".join(map(str, requirements))
        present, missing = _divide(requirements, installed)
        if not missing:
            return PackageSet(None, (), present, 0, time.monotonic() - started)
        try:
            installer = self._installer or find_installer()
            pins = await resolve(
                installer,
                map(str, missing),
                target,
                constraints=[f"{name}=={version}" for name, version in installed.items()],
                index=self._index,
                timeout_seconds=_RESOLVE_SECONDS,
            )
            new = tuple(pin for pin in pins if pin.name not in installed)
            if len(new) > MAX_SET_PACKAGES:
                raise PackagesNotInstalledError(
                    f"{wanted} needs {len(new)} packages; at most {MAX_SET_PACKAGES} are installed "
                    "at once. Nothing was installed."
                )
            directory = self.store.directory_of(new, target.python or repr(target))
            async with self._making.setdefault(directory, anyio.Lock()):
                stored = await anyio.to_thread.run_sync(self.store.has, directory)
                if not stored:
                    await self._make(installer, new, target, directory)
            self._making.pop(directory, None)
        except InstallerError as error:
            names = tuple(sorted(COMMON_PACKAGES | installed.keys()))
            raise PackagesNotInstalledError(
                sentence_for(str(error), wanted, names=names)
            ) from error
        except OSError as error:
            raise PackagesNotInstalledError(
                sentence_for(error.strerror or "unknown error", wanted)
            ) from error
        size = await anyio.to_thread.run_sync(size_of, directory)
        return PackageSet(directory, new, present, size, time.monotonic() - started, stored)

    async def _make(
        self, installer: Installer, pins: Sequence[Pin], target: Target, directory: Path
    ) -> None:
        failure: InstallerError | None = None
        with self.store.stage() as staged:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_watch_size, staged, tasks.cancel_scope)
                try:
                    await install(
                        installer,
                        pins,
                        target,
                        into=staged,
                        index=self._index,
                        max_file_bytes=MAX_SET_BYTES,
                        timeout_seconds=_INSTALL_SECONDS,
                    )
                except InstallerError as error:
                    failure = error  # as it is, not in a group
                tasks.cancel_scope.cancel()
            if failure is not None:
                raise failure
            if await anyio.to_thread.run_sync(size_of, staged) > MAX_SET_BYTES:
                raise InstallerError("File too large")
            if target.machine == ANY_MACHINE and has_compiled_code(staged):
                raise PackagesNotInstalledError(
                    f"{' '.join(map(str, pins))} has compiled code, which this interpreter cannot "
                    "load. Nothing was installed."
                )
            await anyio.to_thread.run_sync(self.store.publish, staged, directory)


async def _watch_size(staged: Path, making: anyio.CancelScope) -> None:
    """Stop it when it grows too large."""
    while True:
        await anyio.sleep(_WATCH_SECONDS)
        if await anyio.to_thread.run_sync(size_of, staged) > MAX_SET_BYTES:
            making.cancel()


def _divide(
    requirements: Sequence[Requirement], installed: Mapping[str, str]
) -> tuple[tuple[Pin, ...], list[Requirement]]:
    """What is there already, and what is not; a version that does not fit is a conflict."""
    present: list[Pin] = []
    missing: list[Requirement] = []
    for requirement in requirements:
        version = installed.get(normalized(requirement.name))
        if version is None or requirement.extras:
            missing.append(requirement)
        elif requirement.specifier.contains(version, prereleases=True):
            present.append(Pin(normalized(requirement.name), version))
        else:
            raise PackagesNotInstalledError(
                f"The session has {requirement.name} {version}, which stays as it is, and "
                f"{requirement} was asked for. Nothing was installed. Use {version}, or have a "
                "person make another environment: aca-mcp env create, or, for Azure, another pool."
            )
    return tuple(present), missing
