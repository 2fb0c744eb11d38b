"""The process of a session, as every pool of this machine has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from aca_mcp.embedded.request_output import RequestOutput
    from aca_mcp.execution import Rollback
    from aca_mcp.kernel.message_framing import Frame
    from aca_mcp.pool import OutputCallback

Stop = Literal["timeout", "interrupt"]

TURNED_OFF = "they are turned off (ACA_MCP_LOCAL_CHECKPOINTS)"
NOTHING_RAN = "nothing has run in it"
TOO_OLD = "the one from before that execution is not there any more"
"""Why there is no checkpoint to go back to: clauses."""


class Outcome(NamedTuple):
    """How a request to a session's process ended."""

    output: RequestOutput
    """What was told and printed until then."""
    reply: Frame | None
    """None if there is none: the code was stopped by force, or the process died."""
    stopped: Stop | None
    """Why it was interrupted, if it was."""
    died: str | None = None
    """Why the process, or what ran in it, is gone, if it is: a clause."""
    rollback: Rollback | None = None
    """That the session goes on with the state that it had before, if it does."""


class SessionProcess(Protocol):
    """What a session's process must be able to, whichever pool it belongs to."""

    added_packages: dict[str, tuple[str, str]]
    """What the broker brought: normalized name to version and directory."""
    went_back: Rollback | None
    """By which its state went back as the last request was cancelled, which got no outcome."""

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

    async def request(
        self,
        header: dict[str, object],
        *,
        deadline: float,
        grace_seconds: float,
        max_output_bytes: int = 0,
        on_output: OutputCallback | None = None,
        on_question: Callable[[dict[str, object]], None] | None = None,
    ) -> Outcome:
        """Send a request and wait for its reply, taking what is printed meanwhile.

        One at a time. At the deadline, and when the caller is cancelled, code is interrupted; if it
        goes on past the grace, it is stopped by force.

        Args:
            header: what is asked for.
            deadline: on anyio's clock.
            grace_seconds: from an interrupt to the end by force.
            max_output_bytes: kept of each stream.
            on_output: told what is printed, as it comes.
            on_question: told what code asks meanwhile, which ``answer`` answers.

        Raises:
            FrameError: the request is too long to be sent.
        """
        ...

    async def answer(self, header: dict[str, object]) -> None:
        """Answer what its code asked, if it still is there."""
        ...

    async def interrupt(self) -> bool:
        """Do what Ctrl-C does to what runs. False if nothing does."""
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
