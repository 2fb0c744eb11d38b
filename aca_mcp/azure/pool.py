"""The session pool of Azure Container Apps: the port over the data plane's REST API.

Knows the rules of the port; what is sent and how is the business of the modules beside this one.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING

import anyio

from aca_mcp.azure.api_versions import MAX_TIMEOUT_SECONDS, Api, Feature
from aca_mcp.azure.client import Call, open_data_plane
from aca_mcp.azure.executions import Executions
from aca_mcp.azure.files import Files
from aca_mcp.azure.known_sessions import CANCELLED, KnownSessions
from aca_mcp.azure.pool_description import PoolDescription, PoolKind, refuse
from aca_mcp.azure.remote_interpreter import RemoteInterpreter
from aca_mcp.azure.responses import SessionResponse
from aca_mcp.azure.service_errors import Subject
from aca_mcp.azure.session_packages import SessionPackages, list_packages
from aca_mcp.azure.shell import Shell
from aca_mcp.azure.tokens import TokenSource
from aca_mcp.errors import (
    FileMissingError,
    InvalidRequestError,
    NotSupportedError,
    PackagesNotInstalledError,
    SessionLostError,
    SessionPoolError,
)
from aca_mcp.pool import (
    Execution,
    ExecutionStatus,
    FileDownload,
    FileEntry,
    FileListing,
    Installation,
    OutputCallback,
    Package,
    PoolMetadata,
    Rollback,
    SessionInfo,
    check_identifier,
    not_begun,
)
from aca_mcp.turn import Waited

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator, Sequence

    import httpx

    from aca_mcp.azure.client import DataPlane
    from aca_mcp.azure.configuration import AzurePoolConfiguration
    from aca_mcp.azure.known_sessions import KnownSession
    from aca_mcp.packages.broker import PackageBroker


_STOP_SECONDS = 10
_RUNNING_PYTHON = frozenset({PoolKind.PYTHON, PoolKind.UNKNOWN})


class AzureSessionPool:
    """Sessions of an Azure pool. Implements ``SessionPool``; made by ``open_azure_pool``."""

    def __init__(
        self,
        configuration: AzurePoolConfiguration,
        api: Api,
        plane: DataPlane,
        sessions: KnownSessions,
        broker: Callable[[], PackageBroker] | None = None,
    ) -> None:
        self._api = api
        self._plane = plane
        self._sessions = sessions
        self._description = PoolDescription(api, plane, configuration.max_file_bytes)
        self._files = Files(
            api,
            plane,
            configuration.max_file_bytes,
            whole_paths=lambda: self._description.is_shell,
        )
        executions = Executions(api, plane, configuration)
        self._interpreter = RemoteInterpreter(
            executions,
            rich=configuration.rich_results,
            max_image_side=configuration.max_image_side,
            look_again_seconds=configuration.pacing.look_again_seconds,
        )
        self._shell = Shell(executions)
        self._packages = SessionPackages(broker, self._files, self._interpreter)
        self._rich = configuration.rich_results
        self._ran_python = False

    async def execute(
        self,
        identifier: str,
        code: str,
        *,
        timeout_seconds: float,
        on_output: OutputCallback | None = None,
    ) -> Execution:
        """Output is known at the end only; cancelling ends the session."""
        check_identifier(identifier)
        if not 0 < timeout_seconds <= MAX_TIMEOUT_SECONDS:
            raise InvalidRequestError(
                f"The timeout must be more than 0 and at most {MAX_TIMEOUT_SECONDS} seconds on "
                "Azure. Nothing was executed. Split longer work into several executions: "
                "variables are kept."
            )
        known = self._sessions.get(identifier)
        deadline = anyio.current_time() + timeout_seconds
        async with known.turn.take(deadline) as waited:
            if waited is Waited.TOO_LATE:
                return not_begun(timeout_seconds)
            allocations = known.allocations
            try:
                if not self._description.is_shell:
                    await self._packages.prepare(identifier, code)
                left = max(deadline - anyio.current_time(), 0.001)
                return await self._run(identifier, known, code, left, allocations)
            except anyio.get_cancelled_exc_class():
                await self._end_cancelled(identifier, known)
                raise

    async def _run(
        self,
        identifier: str,
        known: KnownSession,
        code: str,
        timeout_seconds: float,
        allocations: int,
    ) -> Execution:
        """Run code; what a first call fails with may be that the pool runs something else."""
        if self._description.is_shell:
            return await self._shell.run(identifier, known, code, timeout_seconds)
        if self._description.kind_so_far not in _RUNNING_PYTHON:
            raise refuse(self._description.kind_so_far)
        try:
            execution = await self._interpreter.run(
                identifier, known, code, timeout_seconds, allocations=allocations
            )
        except InvalidRequestError:
            if self._ran_python or await self._description.kind() in _RUNNING_PYTHON:
                raise
        else:
            reported = self._rich and known.has_module
            failed = execution.status is ExecutionStatus.FAILED
            may_be_other = failed and not (self._ran_python or reported)
            if not may_be_other or await self._description.kind() in _RUNNING_PYTHON:
                self._ran_python = True
                return execution
        if not self._description.is_shell:
            raise refuse(await self._description.kind())
        return await self._shell.run(identifier, known, code, timeout_seconds)

    async def interrupt(self, identifier: str) -> bool:
        """The service has no such operation."""
        raise NotSupportedError(
            "Azure cannot interrupt code and keep its session. Wait for its timeout, or restart "
            "the session."
        )

    async def list_files(
        self, identifier: str, directory: str = "", *, recursive: bool = False
    ) -> FileListing:
        with self._about_files(identifier):
            return await self._files.list(identifier, directory, recursive=recursive)

    async def upload_file(
        self,
        identifier: str,
        path: str,
        content: AsyncIterable[bytes],
        *,
        overwrite: bool = True,
    ) -> FileEntry:
        """Without ``overwrite``, a file made meanwhile may be replaced."""
        with self._about_files(identifier):
            return await self._files.upload(identifier, path, content, overwrite=overwrite)

    @asynccontextmanager
    async def download_file(self, identifier: str, path: str) -> AsyncGenerator[FileDownload]:
        with self._about_files(identifier):
            async with self._files.download(identifier, path) as download:
                yield download

    async def delete_file(self, identifier: str, path: str) -> None:
        with self._about_files(identifier):
            await self._files.delete(identifier, path)

    async def list_packages(self, identifier: str) -> tuple[Package, ...]:
        """A session that has run code is asked; else the pool's metadata."""
        known = self._sessions.get(check_identifier(identifier))

        async def of_pool() -> tuple[Package, ...]:
            return (await self.metadata()).packages

        asked = self._shell if self._description.is_shell else self._interpreter
        return await list_packages(identifier, known, of_pool, asked)

    async def install_packages(self, identifier: str, requirements: Sequence[str]) -> Installation:
        """Fetched here and uploaded: the session asks no index."""
        if self._description.is_shell:
            raise NotSupportedError(
                "A Shell pool starts Python anew for each execution, so nothing can be installed "
                "into it from here. Where it has egress, commands can: pip install --target."
            )
        known = self._sessions.get(check_identifier(identifier))
        async with known.turn.take(_after_longest_code()) as waited:
            if waited is Waited.TOO_LATE:
                raise PackagesNotInstalledError(
                    "Earlier code of this session still runs. Nothing was installed."
                )
            return await self._packages.install(identifier, requirements)

    async def get_session(self, identifier: str) -> SessionInfo | None:
        known = self._sessions.get(check_identifier(identifier))
        answer = await self._look_at(identifier)
        if answer is None:
            return None
        return SessionInfo(
            identifier=identifier,
            created_at=answer.created_at,
            last_used_at=answer.last_accessed_at,
            expires_at=answer.expire_at,
            running=known.turn.is_taken,
        )

    async def keep_alive(self, identifier: str) -> bool:
        """Two small requests: is it there, and a use of its files.

        Where sessions cannot be asked for, the use alone, which allocates one if there is none.
        """
        known = self._sessions.get(check_identifier(identifier))
        with suppress(NotSupportedError):
            if await self._look_at(identifier) is None:
                return False
        try:
            await self._files.list(identifier, "", recursive=False)
        except SessionLostError:
            return False
        return known.lost is None

    async def undo(self, identifier: str) -> Rollback:
        check_identifier(identifier)
        raise NotSupportedError(
            "An Azure pool keeps no checkpoints: nothing can be undone, and a crash "
            "costs all variables. Nothing was changed."
        )

    async def stop_session(self, identifier: str) -> bool:
        check_identifier(identifier)
        if self._api.has(Feature.SESSIONS):
            method, operation = "DELETE", "/session"
        elif self._api.has(Feature.STOP_SESSION):
            method, operation = "POST", "/.management/stopSession"
        else:
            raise self._not_supported("end a session; its cooldown does")
        try:
            await self._plane.send(self._about_session(method, operation, identifier))
        except SessionLostError:
            was_there = False
        else:
            was_there = True
        self._sessions.forget(identifier)
        return was_there

    async def metadata(self) -> PoolMetadata:
        return await self._description.metadata()

    async def _look_at(self, identifier: str) -> SessionResponse | None:
        if self._api.has(Feature.SESSIONS):
            method, operation = "GET", "/session"
        elif self._api.has(Feature.MANAGED_SESSIONS):
            method, operation = "POST", "/.management/getSession"
        else:
            raise self._not_supported("say whether a session is there")
        try:
            reply = await self._plane.send(self._about_session(method, operation, identifier))
        except SessionLostError:
            return None
        answer = reply.read(SessionResponse)
        self._sessions.get(identifier).note_etag(answer.etag)
        return answer

    def _about_session(self, method: str, operation: str, identifier: str) -> Call:
        # Without the identifier: an answer about a session is not a use of it.
        url = self._api.url(operation, identifier)
        looks = operation == "/.management/getSession"
        subject = Subject.MANAGED_SESSION if looks else Subject.SESSION
        return Call(method, url, subject, repeatable=True)

    def _not_supported(self, what: str) -> NotSupportedError:
        kind = "A custom-container pool" if self._api.is_custom_container else "This pool"
        return NotSupportedError(f"{kind} with API version {self._api.version} cannot {what}.")

    async def _end_cancelled(self, identifier: str, known: KnownSession) -> None:
        """Stop code that nobody waits for: the service can only end the whole session."""
        with anyio.move_on_after(_STOP_SECONDS, shield=True), suppress(SessionPoolError):
            # Before anything was sent there is none, and nothing that could be lost.
            if await self.stop_session(identifier):
                known.lost = CANCELLED

    @contextmanager
    def _about_files(self, identifier: str) -> Generator[None]:
        known = self._sessions.get(check_identifier(identifier))
        try:
            yield
        except FileMissingError as error:
            if known.lost is None:
                raise
            raise FileMissingError(
                f"{error} The session that had files is gone, because {known.lost}; upload them "
                "again."
            ) from error


def _after_longest_code() -> float:
    return anyio.current_time() + MAX_TIMEOUT_SECONDS


def token_source(configuration: AzurePoolConfiguration) -> TokenSource:
    """Where a pool's tokens come from."""
    return TokenSource(
        configuration.make_credential,
        configuration.scope,
        described=configuration.credential_description,
    )


@asynccontextmanager
async def open_azure_pool(
    configuration: AzurePoolConfiguration,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    broker: Callable[[], PackageBroker] | None = None,
) -> AsyncGenerator[AzureSessionPool]:
    """Open a pool. Nothing is sent before it is used, and sessions outlive it unless stopped.

    Args:
        configuration: which pool.
        transport: what carries requests, instead of the network.
        broker: makes what fetches packages that sessions ask for; None where they may have none.

    Raises:
        PoolUnavailableError: the certificates or the proxy that the environment names are unusable.
    """
    sessions = KnownSessions()
    async with open_data_plane(
        token_source(configuration),
        connect_seconds=configuration.connect_seconds,
        retry_seconds=configuration.retry_seconds,
        pacing=configuration.pacing,
        on_answer=sessions.note,
        transport=transport,
    ) as plane:
        api = Api(configuration.endpoint, configuration.api_version)
        yield AzureSessionPool(configuration, api, plane, sessions, broker)
