"""Asks a real pool the probes, in a session of its own that is ended afterwards, and reports.

Unlike the pool itself, it takes every answer as it is: nothing is retried and nothing is mapped.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
import httpx

from aca_mcp.azure.api_versions import Api
from aca_mcp.azure.connection_errors import FOREIGN, opening
from aca_mcp.azure.decompression import ACCEPTED
from aca_mcp.azure.execution_probes import EXECUTION_PROBES, LAST_EXECUTION_PROBES
from aca_mcp.azure.file_probes import FILE_PROBES
from aca_mcp.azure.pool import token_source
from aca_mcp.azure.probe_client import ProbeClient
from aca_mcp.azure.session_probes import SESSION_PROBES
from aca_mcp.azure.tokens import TokenAuth

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aca_mcp.azure.configuration import AzurePoolConfiguration

_PROBE_SECONDS = 90
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
            headers={"Accept-Encoding": ACCEPTED},
            timeout=httpx.Timeout(_PROBE_SECONDS, connect=configuration.connect_seconds),
            transport=transport,
        )
    async with http:
        api = Api(configuration.endpoint, configuration.api_version)
        ask = ProbeClient(http, api, configuration.pacing.head_start_seconds)
        try:
            await ask.find_out_what_runs()
            found = [await _finding(ask, name) for name in PROBES]
        finally:
            with anyio.move_on_after(_STOP_SECONDS, shield=True), suppress(*FOREIGN):
                await ask("DELETE", "session")
    return [*found, *(Finding(name, "", "", why) for name, why in NOT_ASKED.items())]


async def _finding(ask: ProbeClient, name: str) -> Finding:
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
