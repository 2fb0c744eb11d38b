"""What an Azure pool tells of itself, asked for once and kept: what its sessions run, and have."""

from __future__ import annotations

import enum
from contextlib import suppress
from typing import TYPE_CHECKING

from aca_mcp.azure.api_versions import MAX_TIMEOUT_SECONDS, Feature
from aca_mcp.azure.client import Call
from aca_mcp.azure.responses import MetadataResponse
from aca_mcp.azure.service_errors import Subject
from aca_mcp.errors import NotSupportedError, SessionPoolError
from aca_mcp.pool import WORK_DIRECTORY, Package, PoolMetadata

if TYPE_CHECKING:
    from aca_mcp.azure.api_versions import Api
    from aca_mcp.azure.client import DataPlane

CREATE_PYTHON_POOL = "Create a pool with --container-type PythonLTS, and set its endpoint."
_UNKNOWN_OPERATION = frozenset({400, 404, 405, 501})


class PoolKind(enum.Enum):
    """The service's container types, as far as they make a difference here."""

    PYTHON = "a Python pool"
    SHELL = "a Shell pool"
    NODE = "a NodeLTS pool"
    OTHER = "a pool that does not run Python"
    UNKNOWN = "a pool that does not tell what it runs"


_WORDS = (
    ("python", PoolKind.PYTHON),
    ("node", PoolKind.NODE),
    ("javascript", PoolKind.NODE),
    ("shell", PoolKind.SHELL),
    ("bash", PoolKind.SHELL),
)


class PoolDescription:
    """Of one pool. Nothing is asked yet."""

    def __init__(self, api: Api, plane: DataPlane, max_file_bytes: int) -> None:
        self._api = api
        self._plane = plane
        self._max_file_bytes = max_file_bytes
        self._told: MetadataResponse | None = None
        self.kind_so_far = PoolKind.UNKNOWN
        """What the pool's sessions run, as far as it has said so."""

    @property
    def is_shell(self) -> bool:
        """The pool has said that its sessions are shells."""
        return self.kind_so_far is PoolKind.SHELL

    async def kind(self) -> PoolKind:
        """What the pool's sessions run, as far as it can be found out now."""
        with suppress(SessionPoolError):
            await self.metadata()
        return self.kind_so_far

    async def metadata(self) -> PoolMetadata:
        """As ``SessionPool.metadata``."""
        if self._told is None:
            self._told = await self._ask()
            self.kind_so_far = kind_of(self._told)
        runtime = "Python"
        if self._told.runtimes:
            found = self._told.runtimes[0]
            name = found.name.title() if found.name.islower() else found.name
            runtime = f"{name} {found.version}".strip()
        packages = (
            Package(found.name, found.version)
            for found in self._told.pre_installed_packages
            if found.name
        )
        return PoolMetadata(
            kind="azure",
            runtime=runtime,
            packages=tuple(sorted(packages, key=lambda package: package.name.lower())),
            work_directory=WORK_DIRECTORY,
            max_timeout_seconds=MAX_TIMEOUT_SECONDS,
            max_file_bytes=self._max_file_bytes,
            network=None,
            isolation="hyper-v" if self._api.is_azures else "isolation unknown",
            can_interrupt=False,
            runs="shell" if self.is_shell else "python",
        )

    async def _ask(self) -> MetadataResponse:
        if not self._api.has(Feature.METADATA):
            return MetadataResponse()
        call = Call(
            "GET",
            self._api.url("/metadata"),
            Subject.POOL,
            repeatable=True,
            expected=_UNKNOWN_OPERATION,
        )
        reply = await self._plane.send(call)
        if reply.status in _UNKNOWN_OPERATION:
            return MetadataResponse()
        return reply.read(MetadataResponse)


def kind_of(metadata: MetadataResponse) -> PoolKind:
    """What the runtimes that a pool names amount to."""
    names = [runtime.name.lower() for runtime in metadata.runtimes if runtime.name]
    if not names:
        return PoolKind.UNKNOWN
    for word, kind in _WORDS:
        if any(word in name for name in names):
            return kind
    return PoolKind.OTHER


def refuse(kind: PoolKind) -> NotSupportedError:
    """The error for code that was sent to a pool which runs something else."""
    return NotSupportedError(
        f"ACA_MCP_POOL_MANAGEMENT_ENDPOINT names {kind.value}, which does not run Python. "
        f"{CREATE_PYTHON_POOL}"
    )
