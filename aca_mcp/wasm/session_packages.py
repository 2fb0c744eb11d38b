"""How packages reach sessions in WebAssembly: the broker brings wheels of pure Python, copied in.

What an instance sees is fixed when it is made, so a set is copied below a directory that it reads
and cannot write.
"""

from __future__ import annotations

import secrets
import shutil
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from aca_mcp.embedded.questions import installation_of
from aca_mcp.errors import PackagesNotInstalledError
from aca_mcp.turn import Waited
from aca_mcp.wasm.artifacts import find_artifacts, packages_ahead, python_version
from aca_mcp.wasm.cache import INSTALLED
from aca_mcp.wasm.printed import Printed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aca_mcp.embedded.live_sessions import SessionInUse
    from aca_mcp.packages.broker import PackageBroker, PackageSet
    from aca_mcp.pool import Installation
    from aca_mcp.wasm.configuration import WasmPoolConfiguration
    from aca_mcp.wasm.process import WasmProcess

_ENDED = "The session ended meanwhile"


class SessionPackages:
    """What sessions of one pool may install.

    Args:
        broker: makes what brings packages; None where none may be installed.
        configuration: of the pool.
    """

    def __init__(
        self, broker: Callable[[], PackageBroker] | None, configuration: WasmPoolConfiguration
    ) -> None:
        self._broker = broker
        self._configuration = configuration

    async def bring(
        self, identifier: str, process: WasmProcess, requirements: list[str]
    ) -> tuple[PackageSet, list[str]]:
        """Bring packages for a session.

        Returns:
            What was brought, and the directories of all that it has, as it sees them.

        Raises:
            PackagesNotInstalledError: it was not permitted or not possible.
        """
        # Only here: nobody who installs nothing should wait for these imports.
        from aca_mcp.installing.wheels import ANY_MACHINE, Target, normalized
        from aca_mcp.packages.requirements import Policy, check_requirements

        if self._broker is None:
            check_requirements(requirements, Policy())
            raise PackagesNotInstalledError("Packages cannot be installed here.")
        artifacts = find_artifacts()
        ahead = await anyio.to_thread.run_sync(packages_ahead, artifacts)
        version = ".".join(python_version(artifacts).split(".")[:2])
        made = await self._broker().provide(
            requirements,
            Target(python_version=version, machine=ANY_MACHINE),
            installed={
                **{normalized(each.name): each.version for each in ahead},
                **{name: version for name, (version, _) in process.added_packages.items()},
            },
            who=identifier,
        )
        if made.directory is not None:
            name = await self._copy(process, made.directory, made.size_bytes)
            directory = f"{INSTALLED}/{name}"
            process.added_packages |= {pin.name: (pin.version, directory) for pin in made.installed}
        found = (directory for _, directory in process.added_packages.values())
        return made, list(dict.fromkeys(found))

    async def install(
        self, identifier: str, use: SessionInUse[WasmProcess], requirements: list[str]
    ) -> Installation:
        """Bring packages for a session in which no code asks for them.

        Raises:
            PackagesNotInstalledError: as ``bring``, or code of it runs on and on.
        """
        made, directories = await self.bring(identifier, use.kernel, requirements)
        if directories:
            deadline = anyio.current_time() + self._configuration.max_timeout_seconds
            async with use.session.turn.take(deadline) as waited:
                if waited is not Waited.TAKEN:
                    late = waited is Waited.TOO_LATE
                    raise PackagesNotInstalledError(
                        f"{'Earlier code of this session still runs' if late else _ENDED}. "
                        "Nothing was installed."
                    )
                await use.kernel.request(
                    {"op": "add", "paths": directories},
                    deadline=deadline,
                    grace_seconds=self._configuration.interrupt_grace_seconds,
                    printed=Printed(0, None),
                )
        return installation_of(made)

    async def _copy(self, process: WasmProcess, source: Path, size: int) -> str:
        limit = self._configuration.disk_bytes
        used = await anyio.to_thread.run_sync(process.files.used_bytes)
        if used + size > limit:
            raise PackagesNotInstalledError(
                f"The packages have {size // 2**20:,} MiB, and this session has "
                f"{max(0, limit - used) // 2**20:,} of its {limit // 2**20:,} MiB left "
                "(ACA_MCP_LOCAL_DISK_MIB). Nothing was installed."
            )
        name = secrets.token_hex(8)
        try:
            await anyio.to_thread.run_sync(shutil.copytree, source, process.packages / name)
        except OSError as error:
            raise PackagesNotInstalledError(
                "The packages could not be copied into the session. Nothing was installed."
            ) from error
        return name
