"""Why sessions end, as clauses. Pure."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from aca_mcp.embedded.session_process import Outcome
from aca_mcp.execution import Rollback

if TYPE_CHECKING:
    from aca_mcp.embedded.request_output import RequestOutput

TEMPLATE_ENDED = "the process that it was forked from ended, which ends its sessions"
"""Why sessions end that did nothing wrong: a clause."""


_PROCESSOR_TIME = "it used more processor time than the limit that its code has set"


def describe_status(status: int | None, *, had_used_its_time: bool = False) -> str:
    """How a process ended: a clause.

    Args:
        status: its exit code, or minus a signal's number; None if that is not known.
        had_used_its_time: it was killed when it had used the processor time that it might.
    """
    if had_used_its_time:
        return f"{_PROCESSOR_TIME} (RLIMIT_CPU)"
    if status is None:
        return "its process ended"
    if status >= 0:
        return f"its process ended itself (exit code {status})"
    causes: dict[int, str] = {
        signal.SIGKILL: "it was killed (SIGKILL), by its own code or the system, as when memory "
        "runs out",
        signal.SIGSEGV: "it crashed (SIGSEGV, a fault in compiled code)",
        signal.SIGXCPU: f"{_PROCESSOR_TIME} (SIGXCPU)",
        signal.SIGSYS: "it made a system call of another architecture (SIGSYS)",
    }
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"  # of the real-time ones only two have names
    return causes.get(-status, f"it received {name}")


def not_run(went: Rollback, output: RequestOutput, *, is_code: bool) -> Outcome:
    """What is told of a request before which the session had to go back.

    Args:
        went: back, and by how many executions that had ended well.
        output: empty.
        is_code: it is an execution, and counts as one.
    """
    why = f"it was not run, because the session's process had ended meanwhile: {went.reason}"
    told = Rollback(why, went.executions + is_code, went.begins)
    return Outcome(output, None, None, why, told)
