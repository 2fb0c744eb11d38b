"""How packages reach sessions: the broker brings a set, and the session gets its directory.

What a session asks is data, never believed. Where sessions have an identity of their own, or a file
system, the store is there from their start, read-only, and a directory's name is all that is sent.
Where they share the server's identity without a file system of their own, which could make the
store's directory listable, a copy goes into the session, within its quota.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from aca_mcp.beneath import make_directories_beneath, open_beneath
from aca_mcp.embedded.questions import installation_of
from aca_mcp.errors import PackagesNotInstalledError
from aca_mcp.kernel.frames import Frame, encode
from aca_mcp.local import trees
from aca_mcp.sandbox.policy import Isolation
from aca_mcp.turn import Waited

if TYPE_CHECKING:
    from collections.abc import Callable

    from aca_mcp.embedded.live_sessions import SessionInUse
    from aca_mcp.local.configuration import LocalPoolConfiguration
    from aca_mcp.local.kernel_process import KernelProcess
    from aca_mcp.local.templates import Templates
    from aca_mcp.packages.broker import PackageBroker, PackageSet
    from aca_mcp.pool import Installation

_SEND_SECONDS = 10
_ENDED = "The session ended meanwhile"


class SessionPackages:
    """What sessions of one pool may install.

    Args:
        broker: makes what brings packages; None where none may be installed.
        templates: tell what sessions have anyway.
        configuration: of the pool.
    """

    def __init__(
        self,
        broker: Callable[[], PackageBroker] | None,
        templates: Templates,
        configuration: LocalPoolConfiguration,
    ) -> None:
        self._broker = broker
        self._templates = templates
        self._configuration = configuration
        self._of_environment: dict[str, str] | None = None

    async def bring(
        self, identifier: str, kernel: KernelProcess, requirements: list[str]
    ) -> tuple[PackageSet, list[str]]:
        """Bring packages for a session, in a directory that is its kernel's from then on.

        Returns:
            What was brought, and the directories of all that it has, as it sees them.

        Raises:
            PackagesNotInstalledError: it was not permitted or not possible.
        """
        # Only here: nobody who installs nothing should wait for these imports.
        from aca_mcp.installing.wheels import Target, normalized
        from aca_mcp.packages.requirements import Policy, check_requirements

        if self._broker is None:
            check_requirements(requirements, Policy())
            raise PackagesNotInstalledError("Packages cannot be installed here.")
        template = await self._templates.ready()
        if self._of_environment is None:
            found = await template.packages()
            self._of_environment = {normalized(each.name): each.version for each in found}
        made = await self._broker().provide(
            requirements,
            Target(python=self._configuration.python),
            installed={
                **self._of_environment,
                **{name: version for name, (version, _) in kernel.added_packages.items()},
            },
            who=identifier,
        )
        if made.directory is not None:
            directory = str(made.directory)
            if template.isolation is Isolation.LANDLOCK and os.geteuid() != 0:
                directory = await self._copy(kernel, made.directory, made.size_bytes)
            kernel.added_packages |= {pin.name: (pin.version, directory) for pin in made.installed}
        found = (directory for _, directory in kernel.added_packages.values())
        return made, list(dict.fromkeys(found))

    async def install(
        self, identifier: str, use: SessionInUse[KernelProcess], requirements: list[str]
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
                    max_output_bytes=0,
                )
        return installation_of(made)

    async def _copy(self, kernel: KernelProcess, source: Path, size: int) -> str:
        limit = self._configuration.disk_bytes
        used = await anyio.to_thread.run_sync(trees.size_of_tree, kernel.storage)
        if used + size > limit:
            raise PackagesNotInstalledError(
                f"The packages have {size // 2**20:,} MiB, and this session has "
                f"{max(0, limit - used) // 2**20:,} of its {limit // 2**20:,} MiB left "
                "(ACA_MCP_LOCAL_DISK_MIB). Nothing was installed."
            )
        name = secrets.token_hex(8)
        base = os.dup(kernel.base_directory)
        try:
            await anyio.to_thread.run_sync(copy_beneath, source, base, ("packages", name))
        except OSError as error:
            raise PackagesNotInstalledError(
                f"The packages could not be copied into the session: {error.strerror}."
            ) from error
        finally:
            os.close(base)
        return str(Path(kernel.work_directory).parent / "packages" / name)


def copy_beneath(source: Path, root: int, parts: tuple[str, ...]) -> None:
    """Copy the files of a directory below another one, whatever its owner does there meanwhile.

    Args:
        source: a directory of regular files and directories.
        root: a descriptor of a directory that hostile code may write to.
        parts: the names of the directory to make in it.

    Raises:
        OSError: it cannot be made, or a link is in the way.
    """
    for parent, _, names in os.walk(source):
        inner = (*parts, *Path(parent).relative_to(source).parts)
        directory = make_directories_beneath(root, inner, 0o700)
        try:
            for name in names:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
                target = open_beneath(directory, (name,), flags, 0o600)
                with os.fdopen(target, "wb") as written, Path(parent, name).open("rb") as read:
                    while data := read.read(2**20):
                        written.write(data)
        finally:
            os.close(directory)


async def send_answer(kernel: KernelProcess, header: dict[str, object]) -> None:
    """Send what answers a question to the session that asked."""
    rest = memoryview(encode(Frame(header)))
    with anyio.move_on_after(_SEND_SECONDS), suppress(OSError):
        while rest:
            rest = rest[await kernel.send(rest) :]
