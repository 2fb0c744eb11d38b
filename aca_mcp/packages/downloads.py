"""Bounds for what installers write: in a directory of its own for each, and in a shared cache.

The cache is the broker's own, so that what hostile code asks for neither fills nor spoils the
user's. Both are on the disk of the store, where a wheel that is in the cache is linked into a set.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import anyio
import anyio.to_thread

from aca_mcp.background_tasks import background_tasks
from aca_mcp.installing.commands import InstallerError
from aca_mcp.packages.store import PackageStore, size_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from aca_mcp.installing.commands import Installer

T = TypeVar("T")

MAX_CACHE_BYTES = 3 * 2**30
_KEPT_BYTES = 2**30
_WATCH_SECONDS = 0.5
_TIDY_SECONDS = 60
_SHARE_OF_TIME = 0.1
"""Of watching: looking at many files takes its time, and is then done less often."""


class Downloads:
    """What installers do for a store, within bounds.

    Args:
        store: whose.
        max_bytes: what one of them may write beside the cache.
        max_cache_bytes: what the cache may have, whoever is writing to it.
    """

    def __init__(
        self, store: PackageStore, *, max_bytes: int, max_cache_bytes: int = MAX_CACHE_BYTES
    ) -> None:
        self._store = store
        self._max_bytes = max_bytes
        self._max_cache_bytes = max_cache_bytes
        self._running = 0

    async def within_bounds(
        self, installer: Installer, work: Callable[[Installer, Path], Awaitable[T]]
    ) -> T:
        """Let an installer work.

        Args:
            installer: which.
            work: is given the installer, which keeps to its places, and an empty directory on the
                disk of the store that is removed afterwards.

        Returns:
            What the work did.

        Raises:
            InstallerError: it wrote more than it may, and was stopped; or as the work does.
            PackagesNotInstalledError: as the work does.
            OSError: as the work does, or there is no room for the directory.
        """
        run = anyio.to_thread.run_sync
        held = await run(self._store.hold_cache)
        self._running += 1
        staged: Path | None = None
        try:
            staged = await run(self._store.begin)
            return await self._watched(installer, staged, work)
        finally:
            self._running -= 1
            os.close(held)
            if staged is not None:
                with anyio.move_on_after(_TIDY_SECONDS, shield=True):
                    await run(self._tidy, staged, not self._running, abandon_on_cancel=True)

    async def _watched(
        self, installer: Installer, staged: Path, work: Callable[[Installer, Path], Awaitable[T]]
    ) -> T:
        temporary = staged / "tmp"
        temporary.mkdir()
        cache = str(self._store.cache)
        places = dict.fromkeys(("UV_CACHE_DIR", "PIP_CACHE_DIR"), cache)
        places |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))
        async with background_tasks() as tasks:
            tasks.start_soon(self._watch, staged, tasks.cancel_scope)
            return await work(replace(installer, places=places), staged)
        raise InstallerError("File too large")  # nothing else than the watch cancels it

    async def _watch(self, staged: Path, working: anyio.CancelScope) -> None:
        """Stop it when it grows too large."""
        pause = _WATCH_SECONDS
        while True:
            await anyio.sleep(pause)
            begun = time.monotonic()
            if await anyio.to_thread.run_sync(self._is_too_much, staged):
                working.cancel()
            pause = max(_WATCH_SECONDS, (time.monotonic() - begun) / _SHARE_OF_TIME)

    def _is_too_much(self, staged: Path) -> bool:
        return (
            size_of(staged) > self._max_bytes or size_of(self._store.cache) > self._max_cache_bytes
        )

    def _tidy(self, staged: Path, is_idle: bool) -> None:
        """Remove what is left, and begin with an empty cache once it is large and not in use."""
        kept = min(_KEPT_BYTES, self._max_cache_bytes // 2)
        if is_idle and size_of(self._store.cache) > kept:
            self._store.empty_cache(staged)
        self._store.discard(staged)
