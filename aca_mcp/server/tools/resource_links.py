"""Whether a result has links to resources: hosts that do not know them drop the whole result."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aca_mcp.server.types import Ctx, ResultLinks

_FIRST_WITH_LINKS = "2025-06-18"
"""The first revision of the protocol whose results may have links to resources."""
_SHOW_LINKS = frozenset(
    {
        # github.com/microsoft/vscode/pull/257161, "mcp: support resource_links"
        "Visual Studio Code",
        "Visual Studio Code - Insiders",
    }
)
"""Names, as clients give them, of those that are known to show links."""


def takes_links(ctx: Ctx, setting: ResultLinks) -> bool:
    """Whether the client that makes a call is to be sent links."""
    if setting == "never":
        return False
    request = ctx.request_context
    if request.protocol_version < _FIRST_WITH_LINKS:
        return False
    if setting == "always":
        return True
    params = request.session.client_params
    return params is not None and params.client_info.name in _SHOW_LINKS
