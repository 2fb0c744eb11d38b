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

from aca_mcp.azure.api import Api
from aca_mcp.azure.connection_errors import FOREIGN, describe_failed_connection, opening
from aca_mcp.azure.multipart import file_body
from aca_mcp.azure.pool import token_source
from aca_mcp.azure.probes import PROBES, Seen
from aca_mcp.azure.token_auth import TokenAuth
from aca_mcp.errors import PoolUnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from aca_mcp.azure.configuration import AzurePoolConfiguration

_PROBE_SECONDS = 90
_MAX_TEXT_BYTES = 2**20
_MAX_SHOWN = 100
_STOP_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Finding:
    """What one probe found."""

    name: str
    expected: str
    seen: str

    @property
    def is_different(self) -> bool:
        """The pool answers otherwise than the published service."""
        return self.expected != self.seen


async def verify(
    configuration: AzurePoolConfiguration, *, transport: httpx.AsyncBaseTransport | None = None
) -> list[Finding]:
    """Ask all probes, one after the other.

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
            return [await _finding(ask, name) for name in PROBES]
        finally:
            with anyio.move_on_after(_STOP_SECONDS, shield=True), suppress(*FOREIGN):
                await ask("DELETE", "session")


async def _finding(ask: _Session, name: str) -> Finding:
    probe, expected = PROBES[name]
    seen = "no answer"
    with anyio.move_on_after(_PROBE_SECONDS):
        try:
            seen = await probe(ask)
        except httpx.ConnectError as error:
            raise PoolUnavailableError(
                "The session pool cannot be reached. "
                f"{describe_failed_connection(error, ask.endpoint)}"
            ) from error
        except FOREIGN as error:
            seen = f"no answer: {type(error).__name__}"
    return Finding(name, expected, seen.replace(ask.identifier, "...")[:_MAX_SHOWN])


class _Session:
    """Implements ``Asker`` for one session."""

    def __init__(self, http: httpx.AsyncClient, api: Api) -> None:
        self._http = http
        self._api = api
        self.identifier = secrets.token_urlsafe(24)

    @property
    def endpoint(self) -> str:
        return self._api.endpoint

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
        cells = (each.name, each.expected, each.seen, mark)
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    different = sum(each.is_different for each in findings)
    lines += ["", f"{len(findings)} behaviours looked at, {different} different."]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    printable = "".join(each if each.isprintable() else " " for each in text)
    return printable.replace("\\", "\\\\").replace("|", "\\|")
