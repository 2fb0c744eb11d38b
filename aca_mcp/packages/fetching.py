"""Resolves requirements, fetches their wheels and unpacks them into the store, within bounds."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from aca_mcp.errors import PackagesNotInstalledError
from aca_mcp.installing.availability import Availability, find_availability
from aca_mcp.installing.commands import Installer, InstallerError, find_installer
from aca_mcp.installing.wheels import ANY_MACHINE, Pin, Target, has_compiled_code, install, resolve
from aca_mcp.missing_modules.known_packages import COMMON_PACKAGES
from aca_mcp.packages.downloads import Downloads
from aca_mcp.packages.installer_errors import (
    about_availability,
    missing_distribution,
    sentence_for,
    too_large,
)
from aca_mcp.packages.store import PackageStore, size_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from packaging.requirements import Requirement

MAX_SET_BYTES = 1024 * 2**20
MAX_SET_PACKAGES = 200
_RESOLVE_SECONDS = 60
_INSTALL_SECONDS = 240
_LOOK_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Fetched:
    """What fulfils requirements."""

    directory: Path | None
    """Of the set in the store; None if nothing was missing."""
    pins: tuple[Pin, ...] = ()
    """What is in it."""


class Fetcher:
    """Brings sets into a store. No index is asked before the first.

    Args:
        store: which.
        index: the package index, where it is not the one that uv or pip is configured for.
        installer: what asks it, by default the best that is there.
        max_set_bytes: the most that one set may have, as it is fetched and unpacked.
    """

    def __init__(
        self,
        store: PackageStore,
        *,
        index: str,
        installer: Installer | None,
        max_set_bytes: int,
    ) -> None:
        self._store = store
        self._index = index
        self._installer = installer
        self._max_set_bytes = max_set_bytes
        # A wheel as it was fetched may lie beside what was in it.
        self._downloads = Downloads(store, max_bytes=2 * max_set_bytes)
        self._making: dict[Path, anyio.Lock] = {}

    async def fetch(
        self,
        requirements: Sequence[Requirement],
        target: Target,
        installed: Mapping[str, str],
        limits: Sequence[tuple[str, str]] = (),
    ) -> Fetched:
        """Bring what fulfils requirements, beside what is there.

        Args:
            requirements: which have been checked.
            target: the interpreter.
            installed: what it has, normalized name to version. It stays.
            limits: names, and the versions of each that may be brought.

        Raises:
            PackagesNotInstalledError: it was not possible. The message says why.
        """
        wanted = tuple(map(str, requirements))

        async def work(installer: Installer, staged: Path) -> Fetched:
            pins = await resolve(
                installer,
                wanted,
                target,
                constraints=[f"{name}=={version}" for name, version in installed.items()],
                limits=[f"{name}{versions}" for name, versions in limits if name not in installed],
                timeout_seconds=_RESOLVE_SECONDS,
            )
            new = tuple(pin for pin in pins if pin.name not in installed)
            if not new:
                return Fetched(None)
            self._check_amount(new, wanted)
            return await self._stored(installer, new, target, staged / "set")

        try:
            installer = self._installer = replace(
                self._installer or find_installer(),
                index=self._index,
                max_file_bytes=self._max_set_bytes,
            )
            return await self._downloads.within_bounds(installer, work)
        except InstallerError as error:
            said = await self._explained(error, wanted, target, installed)
            raise PackagesNotInstalledError(said) from error
        except OSError as error:
            said = sentence_for(str(error), wanted, most_bytes=self._max_set_bytes)
            raise PackagesNotInstalledError(said) from error

    async def _stored(
        self, installer: Installer, pins: tuple[Pin, ...], target: Target, staged: Path
    ) -> Fetched:
        """The set of pins, made if it is not there; of several that ask at once, one makes it."""
        directory = self._store.directory_of(pins, target.python or repr(target))
        try:
            async with self._making.setdefault(directory, anyio.Lock()):
                if not await anyio.to_thread.run_sync(self._store.has, directory):
                    await self._make(installer, pins, target, staged, directory)
        finally:
            self._making.pop(directory, None)
        return Fetched(directory, pins)

    async def _make(
        self,
        installer: Installer,
        pins: Sequence[Pin],
        target: Target,
        staged: Path,
        directory: Path,
    ) -> None:
        await install(installer, pins, target, into=staged, timeout_seconds=_INSTALL_SECONDS)
        if target.machine == ANY_MACHINE and has_compiled_code(staged):
            raise PackagesNotInstalledError(
                f"{' '.join(map(str, pins))} has compiled code, which this interpreter cannot "
                "load. Nothing was installed."
            )
        if await anyio.to_thread.run_sync(size_of, staged) > self._max_set_bytes:
            raise InstallerError("File too large")
        await anyio.to_thread.run_sync(self._store.publish, staged, directory, pins)

    def _check_amount(self, pins: Sequence[Pin], wanted: tuple[str, ...]) -> None:
        """Refuse what is known to be too much before anything of it is fetched."""
        if len(pins) > MAX_SET_PACKAGES:
            raise PackagesNotInstalledError(
                f"{' '.join(wanted)} needs {len(pins)} packages; at most {MAX_SET_PACKAGES} are "
                "installed at once. Nothing was installed."
            )
        if (size := sum(pin.size_bytes for pin in pins)) > self._max_set_bytes:
            raise PackagesNotInstalledError(too_large(wanted, self._max_set_bytes, size))

    async def _explained(
        self,
        error: InstallerError,
        wanted: tuple[str, ...],
        target: Target,
        installed: Mapping[str, str],
    ) -> str:
        """Why an installer failed, in a sentence; the index is asked again if that tells more."""
        said = str(error)
        name = missing_distribution(said)

        async def look(installer: Installer, _: Path) -> Availability:
            return await find_availability(installer, name, target, timeout_seconds=_LOOK_SECONDS)

        if name and self._installer is not None:
            with suppress(InstallerError, OSError):
                available = await self._downloads.within_bounds(self._installer, look)
                known = tuple(sorted(COMMON_PACKAGES | installed.keys()))
                return about_availability(name, available, wanted, names=known)
        return sentence_for(said, wanted, most_bytes=self._max_set_bytes, installed=installed)
