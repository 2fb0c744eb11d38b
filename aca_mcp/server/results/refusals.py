"""What a model is told where something is refused: the error's sentence, and what tools can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aca_mcp.errors import HandlesUsedUpError, PoolFullError
from aca_mcp.server.results.fitting import text_result

if TYPE_CHECKING:
    from mcp_types import CallToolResult

    from aca_mcp.errors import AcaMcpError

_ROOM = (
    "restart_session empties a session that is not needed any more, and frees its place until it "
    "is used again."
)


def refusal(error: AcaMcpError) -> CallToolResult:
    """The result of a call that was refused, wherever it was."""
    # A session by handle that is restarted gets another handle, which counts as the old one did.
    has_place_to_free = isinstance(error, PoolFullError) and not isinstance(
        error, HandlesUsedUpError
    )
    text = f"{error.message} {_ROOM}" if has_place_to_free else error.message
    return text_result(text, is_error=True)
