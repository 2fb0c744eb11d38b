"""The process of a session, as every pool of this machine has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from aca_mcp.execution import Rollback


class SessionProcess(Protocol):
    """What a session's process must be able to, whichever pool it belongs to."""

    added_packages: dict[str, tuple[str, str]]
    """What the broker brought: normalized name to version and directory."""

    @property
    def has_ended(self) -> bool:
        """Whether it is gone already."""
        ...

    @property
    def is_running(self) -> bool:
        """Whether code runs in it now."""
        ...

    @property
    def checkpoints_kept(self) -> int | None:
        """How many copies of its variables there are, or None where none are made."""
        ...

    async def why_ended(self) -> str:
        """Free what it had, and say why it ended: a clause."""
        ...

    async def undo(self) -> tuple[Rollback | None, str]:
        """Go back to before the last execution. Nothing runs, and files stay as they are.

        Returns:
            What was done, or None and a clause that says why it cannot be.
        """
        ...

    async def kill(self, why: str | None) -> object:
        """End it; ``why`` is a clause for whoever used it, or None."""
        ...


Kernel = TypeVar("Kernel", bound=SessionProcess)
