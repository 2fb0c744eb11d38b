"""How packages reach sessions in WebAssembly: the broker brings wheels of pure Python, copied in.

What an instance sees is fixed when it is made, so a set is copied below a directory that it reads
and cannot write.
"""

from __future__ import annotations

import secrets
import shutil
from typing import TYPE_CHECKING

import anyio.to_thread

from aca_mcp.embedded.session_packages import SessionPackages
from aca_mcp.errors import PackagesNotInstalledError
from aca_mcp.wasm.artifacts import find_artifacts, packages_ahead, python_version
from aca_mcp.wasm.cache import INSTALLED
from aca_mcp.wasm.process import WasmProcess

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from aca_mcp.installing.wheels import Target


class WasmPackages(SessionPackages[WasmProcess]):
    """What sessions of one wasm pool may install."""

    async def _interpreter(self) -> tuple[Target, Mapping[str, str]]:
        from packaging.utils import canonicalize_name

        from aca_mcp.installing.wheels import ANY_MACHINE, Target

        artifacts = find_artifacts()
        ahead = await anyio.to_thread.run_sync(packages_ahead, artifacts)
        version = ".".join(python_version(artifacts).split(".")[:2])
        target = Target(python_version=version, machine=ANY_MACHINE)
        return target, {canonicalize_name(each.name): each.version for each in ahead}

    async def _give(self, kernel: WasmProcess, directory: Path, size_bytes: int) -> str:
        self._check_room(await anyio.to_thread.run_sync(kernel.files.used_bytes), size_bytes)
        name = secrets.token_hex(8)
        try:
            await anyio.to_thread.run_sync(shutil.copytree, directory, kernel.packages / name)
        except OSError as error:
            raise PackagesNotInstalledError(
                "The packages could not be copied into the session. Nothing was installed."
            ) from error
        finally:
            kernel.files.note_change()
        return f"{INSTALLED}/{name}"
