"""Asks a real pool the probes, in a session of its own that is ended afterwards, and reports.

Unlike the pool itself, it takes every answer as it is: nothing is retried and nothing is mapped.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
import httpx

from aca_mcp.azure.api import Api, Feature
from aca_mcp.azure.connection_errors import FOREIGN, describe_failed_connection, opening
from aca_mcp.azure.execution_probes import EXECUTION_PROBES, LAST_EXECUTION_PROBES
from aca_mcp.azure.file_probes import FILE_PROBES
from aca_mcp.azure.multipart import file_body
from aca_mcp.azure.pool import token_source
from aca_mcp.azure.pool_kind import PoolKind, kind_of
from aca_mcp.azure.probes import Seen
from aca_mcp.azure.session_probes import SESSION_PROBES
from aca_mcp.azure.token_auth import TokenAuth
from aca_mcp.azure.wire import MetadataResponse, NotUnderstoodError
from aca_mcp.errors import PoolUnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from aca_mcp.azure.configuration import AzurePoolConfiguration
    from aca_mcp.azure.probes import Runs

_PROBE_SECONDS = 90
_MAX_TEXT_BYTES = 2**20
_MAX_SHOWN = 100
_STOP_SECONDS = 10


PROBES = {**EXECUTION_PROBES, **FILE_PROBES, **SESSION_PROBES, **LAST_EXECUTION_PROBES}
"""By the name of the behaviour, in the order in which they are asked."""
NOT_ASKED = {
    "default-timeout": "it would take four minutes",
    "file-size": "it would send 128 MiB",
    "full-disk": "it would fill a session's disk",
    "full-pool": "it would take all sessions of the pool",
}
"""Behaviours that no pool is asked about, and why."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What there is to say about one behaviour."""

    name: str
    expected: str
    seen: str
    why_not_asked: str = ""

    @property
    def is_different(self) -> bool:
        """The pool answers otherwise than the published service."""
        return not self.why_not_asked and self.expected != self.seen


async def verify(
    configuration: AzurePoolConfiguration, *, transport: httpx.AsyncBaseTransport | None = None
) -> list[Finding]:
    """Ask all probes that the pool can be asked, one after the other.

    Args:
        configuration: which pool.
        transport: what carries requests, instead of the network.

    Raises:
        PoolUnavailableError: the pool cannot be reached.
        AuthenticationFailedError: no token could be had.
    """
    with opening():
        http = httpx.AsyncClient(
            auth=TokenAuth(token_source(configuration)),
            timeout=httpx.Timeout(_PROBE_SECONDS, connect=configuration.connect_seconds),
            transport=transport,
        )
    async with http:
        ask = _Session(http, Api(configuration.endpoint, configuration.api_version))
        try:
            await ask.find_out_what_runs()
            found = [await _finding(ask, name) for name in PROBES]
        finally:
            with anyio.move_on_after(_STOP_SECONDS, shield=True), suppress(*FOREIGN):
                await ask("DELETE", "session")
    return [*found, *(Finding(name, "", "", why) for name, why in NOT_ASKED.items())]


async def _finding(ask: _Session, name: str) -> Finding:
    probe = PROBES[name]
    if why := probe.why_not(ask):
        return Finding(name, probe.expected, "", why)
    seen = "no answer"
    with anyio.move_on_after(_PROBE_SECONDS):
        try:
            seen = await probe.look(ask)
        except httpx.ConnectError as error:
            raise ask.unreachable(error) from error
        except FOREIGN as error:
            seen = f"no answer: {type(error).__name__}"
    return Finding(name, probe.expected, seen.replace(ask.identifier, "...")[:_MAX_SHOWN])


class _Session:
    """Implements ``Asker`` for one session."""

    def __init__(self, http: httpx.AsyncClient, api: Api) -> None:
        self._http = http
        self._api = api
        self._runs: Runs = "python"
        self.identifier = secrets.token_urlsafe(24)

    @property
    def runs(self) -> Runs:
        return self._runs

    def has(self, feature: Feature) -> bool:
        return self._api.has(feature)

    async def find_out_what_runs(self) -> None:
        """Ask the pool what its sessions run, or one of them.

        Raises:
            PoolUnavailableError: the pool cannot be reached.
        """
        try:
            kind = await self._kind_told() if self.has(Feature.METADATA) else PoolKind.UNKNOWN
            if kind is PoolKind.UNKNOWN:
                tried = await self("POST", "executions", body={"shellCommand": "true"})
                kind = PoolKind.SHELL if tried.status == 200 else PoolKind.PYTHON
        except httpx.ConnectError as error:
            raise self.unreachable(error) from error
        except FOREIGN:
            return  # each probe will say so
        self._runs = "shell" if kind is PoolKind.SHELL else "python"

    async def _kind_told(self) -> PoolKind:
        with suppress(NotUnderstoodError):
            return kind_of(MetadataResponse.read((await self("GET", "metadata")).text.encode()))
        return PoolKind.UNKNOWN

    def unreachable(self, error: httpx.ConnectError) -> PoolUnavailableError:
        """What to say where there is no connection."""
        failure = describe_failed_connection(error, self._api.endpoint)
        return PoolUnavailableError(f"The session pool cannot be reached. {failure}")

    async def __call__(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Mapping[str, str | None] | None = None,
        file: tuple[str, bytes] | None = None,
        with_token: bool = True,
    ) -> Seen:
        parameters = {"api-version": self._api.version, "identifier": self.identifier}
        asked = {**parameters, **(query or {})}
        request = self._http.build_request(
            method,
            f"{self._api.endpoint}/{path}",
            params={name: value for name, value in asked.items() if value is not None},
            json=body,
        )
        if file is not None:
            form = await file_body(file[0], _once(file[1]), len(file[1]))
            request = self._http.build_request(
                method,
                request.url,
                content=form.content(),
                headers={"Content-Type": form.content_type},
            )
        if with_token:
            response = await self._http.send(request, stream=True)
        else:
            response = await self._http.send(request, stream=True, auth=None)
        try:
            text = bytearray()
            async for chunk in response.aiter_bytes():
                text += chunk
                if len(text) > _MAX_TEXT_BYTES:
                    break
        finally:
            await response.aclose()
        return Seen(response.status_code, response.headers, text.decode("utf-8", "replace"))


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


def render(findings: Sequence[Finding]) -> str:
    """The findings as a table in Markdown, and how many are different."""
    lines = ["| Behaviour | As specified or seen before | Seen | |", "| --- | --- | --- | --- |"]
    for each in findings:
        mark = "different" if each.is_different else "same"
        seen = each.seen
        if each.why_not_asked:
            seen, mark = each.why_not_asked, "not asked"
        cells = (each.name, each.expected, seen, mark)
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    asked = [each for each in findings if not each.why_not_asked]
    different = sum(each.is_different for each in asked)
    left = len(findings) - len(asked)
    lines += ["", f"{len(asked)} behaviours looked at, {different} different. {left} not asked."]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    printable = "".join(each if each.isprintable() else " " for each in text)
    return printable.replace("\\", "\\\\").replace("|", "\\|")
