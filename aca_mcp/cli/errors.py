"""Finds the sentence in what was raised: the boundary where errors leave the command line."""

from __future__ import annotations

from aca_mcp.errors import AcaMcpError


def error_in(error: Exception) -> AcaMcpError:
    """The error itself, or the one that task groups on its way have wrapped.

    Anything else is a fault of ours, and is raised again as it is, with its traceback.
    """
    inner: object = error
    while isinstance(inner, ExceptionGroup):
        # A group of several is one failure as well: the first is what the rest came of.
        inner = inner.exceptions[0]  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] -- isinstance cannot name the group's type
    if isinstance(inner, AcaMcpError):
        return inner
    raise error
