"""How packages reach local sessions: where they can, they see the store itself.

Where sessions have an identity of their own, or a file system, the store is there from their start,
read-only, and a directory's name is all that is sent. Where they share the server's identity
without a file system of their own, which could make the store's directory listable, a copy goes
into the session, within its quota.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.to_thread

from aca_mcp.embedded.session_packages import SessionPackages
from aca_mcp.errors import PackagesNotInstalledError
from aca_mcp.local import directory_trees
from aca_mcp.local.kernel_process import KernelProcess
from aca_mcp.open_beneath import make_directories_beneath, open_beneath
from aca_mcp.sandbox.policy import Isolation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aca_mcp.installing.wheels import Target
    from aca_mcp.local.configuration import LocalPoolConfiguration
    from aca_mcp.local.template_replacement import Templates
    from aca_mcp.packages.broker import PackageBroker


class LocalPackages(SessionPackages[KernelProcess]):
    """What sessions of one local pool may install. Its templates tell what they have anyway."""

    def __init__(
        self,
        broker: Callable[[], PackageBroker] | None,
        templates: Templates,
        configuration: LocalPoolConfiguration,
    ) -> None:
        super().__init__(broker, configuration)
        self._templates = templates
        self._configuration = configuration
        self._of_environment: dict[str, str] | None = None

    async def _interpreter(self) -> tuple[Target, Mapping[str, str]]:
        from packaging.utils import canonicalize_name

        from aca_mcp.installing.interpreters import interpreter_behind
        from aca_mcp.installing.wheels import Target

        if self._of_environment is None:
            found = await (await self._templates.ready()).packages()
            self._of_environment = {canonicalize_name(each.name): each.version for each in found}
        python = await anyio.to_thread.run_sync(interpreter_behind, self._configuration.python)
        return Target(python=python), self._of_environment

    async def _give(self, kernel: KernelProcess, directory: Path, size_bytes: int) -> str:
        template = await self._templates.ready()
        if template.isolation is not Isolation.LANDLOCK or os.geteuid() == 0:
            return str(directory)
        self._check_room(
            await anyio.to_thread.run_sync(directory_trees.size_of_tree, kernel.storage), size_bytes
        )
        name = secrets.token_hex(8)
        base = os.dup(kernel.base_directory)
        try:
            await anyio.to_thread.run_sync(copy_beneath, directory, base, ("packages", name))
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
                file = Path(parent, name)
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
                target = open_beneath(directory, (name,), flags, file.stat().st_mode & 0o700)
                with os.fdopen(target, "wb") as written, file.open("rb") as read:
                    while data := read.read(2**20):
                        written.write(data)
        finally:
            os.close(directory)
