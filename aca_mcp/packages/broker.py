"""Answers requests for packages: checks, resolves, fetches, unpacks; all outside of any session.

Wheels only, so nothing of a package runs. What a session has stays as it is: only what is missing
is added, and what would not go together with it is refused. Does not know pools or sessions.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
from packaging.utils import canonicalize_name

from aca_mcp.errors import PackagesNotInstalledError
from aca_mcp.installed_packages import Installation, Package
from aca_mcp.packages.fetching import MAX_SET_BYTES, Fetcher
from aca_mcp.packages.request_limits import PackageRequests
from aca_mcp.packages.requirements import Policy, check_requirements
from aca_mcp.packages.store import PackageStore, size_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from packaging.requirements import Requirement

    from aca_mcp.installing.commands import Installer
    from aca_mcp.installing.wheels import Target

_AT_ONCE = 4
_ANOTHER_SESSION = (
    "begin a new session, which does not have what was installed in this one: restart_session."
)
_ANOTHER_ENVIRONMENT = (
    "have a person make another environment: aca-mcp env create, or, for Azure, another pool."
)


@dataclass(frozen=True, slots=True)
class PackageSet(Installation):
    """What a request gave, and where it is."""

    directory: Path | None = None
    """Where the new packages are; None if there is nothing new."""


class PackageBroker:
    """Answers requests of all sessions of a server. No index is asked before the first.

    Args:
        store: where sets are kept.
        policy: what may be asked for.
        index: the package index, where it is not the one that uv or pip is configured for.
        installer: what asks it, by default the best that is there.
        max_set_bytes: the most that one request may bring.
    """

    def __init__(
        self,
        store: PackageStore,
        policy: Policy,
        *,
        index: str = "",
        installer: Installer | None = None,
        max_set_bytes: int = MAX_SET_BYTES,
    ) -> None:
        self.store = store
        self.policy = policy
        self._fetcher = Fetcher(
            store, index=index, installer=installer, max_set_bytes=max_set_bytes
        )
        self._at_once = anyio.Semaphore(_AT_ONCE)
        self._has_pruned = False
        self._requests = PackageRequests()

    async def provide(
        self,
        texts: Sequence[str],
        target: Target,
        *,
        installed: Mapping[str, str],
        who: str,
        added: Collection[str] = (),
    ) -> PackageSet:
        """Bring packages into the store.

        Args:
            texts: what is asked for, as PEP 508 writes it. It may come from hostile code.
            target: the session's interpreter.
            installed: what it has, normalized name to version. It stays.
            who: asks: a session's identifier. Requests are limited for each, for each principal
                (``request_context``) with all its sessions, and for all together.
            added: normalized names of what was installed in the session itself, which a new
                session would not have.

        Raises:
            PackagesNotInstalledError: it was not permitted or not possible. The message says why.
        """
        started = time.monotonic()
        with self._requests.request(who, texts):
            requirements = check_requirements(texts, self.policy)
            async with self._at_once:
                present, missing = _divide(requirements, installed, added)
                return await self._provide(present, missing, target, installed, started)

    async def _provide(
        self,
        present: tuple[Package, ...],
        missing: Sequence[Requirement],
        target: Target,
        installed: Mapping[str, str],
        started: float,
    ) -> PackageSet:
        if not self._has_pruned:
            self._has_pruned = True
            await anyio.to_thread.run_sync(self.store.prune)
        if not missing:
            return PackageSet((), present, 0, time.monotonic() - started)
        fetched = await self._fetcher.fetch(missing, target, installed, self.policy.limits)
        if fetched.directory is None:  # extras that are there already, or markers that do not hold
            names = (canonicalize_name(each.name) for each in missing)
            there = (Package(name, installed[name]) for name in names if name in installed)
            present = (*present, *there)
            return PackageSet((), present, 0, time.monotonic() - started)
        size = await anyio.to_thread.run_sync(size_of, fetched.directory)
        new = tuple(Package(pin.name, pin.version) for pin in fetched.pins)
        return PackageSet(new, present, size, time.monotonic() - started, fetched.directory)


def _divide(
    requirements: Sequence[Requirement], installed: Mapping[str, str], added: Collection[str]
) -> tuple[tuple[Package, ...], list[Requirement]]:
    """What is there already, and what is not; a version that does not fit is a conflict."""
    present: list[Package] = []
    missing: list[Requirement] = []
    for requirement in requirements:
        name = canonicalize_name(requirement.name)
        version = installed.get(name)
        if version is None or requirement.extras:
            missing.append(requirement)
        elif requirement.specifier.contains(version, prereleases=True):
            present.append(Package(name, version))
        elif requirement.marker is not None:
            missing.append(requirement)  # the installer knows whether it holds for the interpreter
        else:
            instead = _ANOTHER_SESSION if name in added else _ANOTHER_ENVIRONMENT
            raise PackagesNotInstalledError(
                f"The session has {requirement.name} {version}, which stays as it is, and "
                f"{requirement} was asked for. Nothing was installed. Use {version}, or {instead}"
            )
    return tuple(present), missing
