"""The interpreter of a session as callers see it: state, loss, and all that code displayed.

In the ordinary case a run is one request. The first one brings our module along
(``code_wrapping``); one more is needed when the session turns out to be another than it was, and
for each further part of a very long report. Knows nothing of HTTP.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from aca_mcp.azure.code_wrapping import (
    ABSENT,
    PLAIN_MARK,
    PREFIX,
    PRESENT,
    BadReportError,
    ReportPart,
    ReportTooLargeError,
    ask_for_mark,
    ask_for_more,
    read_report,
    wrap,
)
from aca_mcp.azure.execution_endings import Ending, find_ending
from aca_mcp.azure.executions import OWN_CODE_SECONDS
from aca_mcp.azure.known_sessions import RECYCLED, RESTARTED
from aca_mcp.azure.results import AzureExecutionContext, is_absent, read_execution
from aca_mcp.errors import SessionPoolError
from aca_mcp.pool import WORK_DIRECTORY, Execution, ExecutionStatus

if TYPE_CHECKING:
    from aca_mcp.azure.code_wrapping import AzureReport
    from aca_mcp.azure.executions import ExecutionReply, Executions
    from aca_mcp.azure.known_sessions import KnownSession

_READ_AT_ONCE = 100_000
"""Characters of a report; a longer one is read by a thread, while others have their turn."""
_PLAIN_FROM_NOW_ON = (
    "From now on code is sent to this session as it is, and one value or figure of it comes back. "
    "ACA_MCP_AZURE_RESULTS=plain does so from the beginning."
)
_GOES_PLAIN = (
    "This session pool does not give back what our module in the session reports. What the code "
    "displayed is lost; what it printed is here, and its variables and files are as it left them. "
    f"{_PLAIN_FROM_NOW_ON}"
)
_NO_IPYTHON = (
    "This session's interpreter is not IPython, or one in which our module cannot run. "
    f"{_PLAIN_FROM_NOW_ON}"
)
_UNREADABLE = (
    "The code was run, and what it displayed is too much, or could not be fetched. What it printed "
    "is here, and its variables and files are as it left them. Display less at a time, or write it "
    "to a file."
)
_CANNOT_LOAD = re.compile(r"(SyntaxError|ImportError|ModuleNotFoundError)\b")
_ENTER = f"import os, sys; os.chdir({WORK_DIRECTORY!r}); sys.modules.setdefault({PLAIN_MARK!r}, os)"
_LOOK_SECONDS = 10
"""How long it may take to find out what a timeout has left."""


class RemoteInterpreter:
    """Runs code in the sessions of one pool. Callers see to it that each has one run at a time.

    Args:
        executions: what sends code.
        rich: run code by our module, so that everything it displays comes back.
        max_image_side: pixels of the longer side of an image that our module shows.
        look_again_seconds: after a look at what a timeout left that was dropped unseen.
    """

    def __init__(
        self,
        executions: Executions,
        *,
        rich: bool,
        max_image_side: int,
        look_again_seconds: float,
    ) -> None:
        self._executions = executions
        self._rich = rich
        self._max_image_side = max_image_side
        self._look_again_seconds = look_again_seconds

    async def run(
        self,
        identifier: str,
        known: KnownSession,
        code: str,
        timeout_seconds: float,
        *,
        allocations: int,
    ) -> Execution:
        """Run code, and tell what is known of its session.

        Args:
            identifier: the session's.
            known: of it.
            code: what to run.
            timeout_seconds: after which the service is to stop it.
            allocations: how many the session had had before anything was sent for this code.

        Raises:
            ExecutionOutcomeUnknownError: its answer is lost.
            SessionPoolError: it was not run.
        """
        began = anyio.current_time()
        was_used = known.used
        remark = ""
        if self._rich and not known.is_plain:
            reply, replaced = await self._run_by_module(identifier, known, code, timeout_seconds)
            report, remark = await self._report(identifier, reply)
            if await self._cannot_have_module(identifier, known, reply):
                remark = _NO_IPYTHON
            if remark in (_GOES_PLAIN, _NO_IPYTHON):
                known.is_plain, known.has_module = True, False
            if remark == _NO_IPYTHON:
                reply, _ = await self._run_plainly(identifier, known, code, timeout_seconds)
        else:
            reply, replaced = await self._run_plainly(identifier, known, code, timeout_seconds)
            report = None
        if report is not None:
            known.has_module = True
            if was_used and not report.fresh and known.lost is not None:
                known.is_the_same()  # its own word: the service's marks can mislead
        known.died = report is None and find_ending(reply.response) is Ending.INTERPRETER_DIED
        if known.died:
            known.has_module = False
        started = reply.new_session if known.allocations == allocations else True
        if started is None or (report is not None and not report.fresh):
            started = report is not None and report.fresh and not was_used
        about = AzureExecutionContext(
            timeout_seconds=timeout_seconds,
            elapsed_seconds=anyio.current_time() - began,
            stream_characters=self._executions.stream_characters,
            started_session=started or replaced,
            lost_before=known.take_lost(),
            remark=remark,
            has_no_value=remark in (_GOES_PLAIN, _UNREADABLE),
        )
        execution = read_execution(reply.response, report, about)
        if report is None and execution.status is ExecutionStatus.TIMED_OUT:
            about = await self._look_after_timeout(identifier, known, about)
            execution = read_execution(reply.response, report, about)
        return execution

    async def _look_after_timeout(
        self, identifier: str, known: KnownSession, about: AzureExecutionContext
    ) -> AzureExecutionContext:
        """Ask the interpreter whether it is the one that ran the code: the service does not say."""
        look = ask_for_mark(plain=not self._rich or known.is_plain)
        with anyio.move_on_after(_LOOK_SECONDS), suppress(SessionPoolError):
            while True:
                reply = await self._executions.run(identifier, look, _LOOK_SECONDS)
                found = _mark_of(reply)
                if found == PRESENT:
                    return about
                if found == ABSENT:
                    known.has_module = False
                    died = RECYCLED if reply.new_session else None
                    return replace(about, variables="gone", died=died)
                if find_ending(reply.response) is not Ending.ABORTED:
                    break
                # What comes right after a timeout may be dropped unseen.
                await anyio.sleep(self._look_again_seconds)
        return replace(about, variables="unknown")

    async def evaluate(self, identifier: str, expression: str) -> object:
        """The value of an expression that gives text."""
        reply = await self._executions.run(identifier, expression, OWN_CODE_SECONDS)
        return reply.response.value

    async def _run_by_module(
        self, identifier: str, known: KnownSession, code: str, timeout_seconds: float
    ) -> tuple[ExecutionReply, bool]:
        wrapped = await self._wrapped(code, bring_module=not known.has_module)
        reply = await self._executions.run(identifier, wrapped, timeout_seconds)
        if not is_absent(reply.response):
            return reply, False
        # Nothing of the code ran: the interpreter is not the one that was used before.
        known.replaced(RESTARTED if reply.new_session is False else RECYCLED)
        wrapped = await self._wrapped(code, bring_module=True)
        return await self._executions.run(identifier, wrapped, timeout_seconds), True

    async def _wrapped(self, code: str, *, bring_module: bool) -> str:
        send = partial(wrap, code, bring_module=bring_module, max_side=self._max_image_side)
        # The module is packed at its first use, which takes a while.
        return await anyio.to_thread.run_sync(send) if bring_module else send()

    async def _cannot_have_module(
        self, identifier: str, known: KnownSession, reply: ExecutionReply
    ) -> bool:
        """Whether our module could not be loaded, so that nothing of the code ran.

        Code that ran has its errors in the module's report. One of Python's about the call itself
        is the loader's, or that of a compiler that takes no ``await``; the interpreter says if
        the module is there all the same.
        """
        if known.has_module or not reply.response.has_failed or _text_of(reply):
            return False
        if _CANNOT_LOAD.match(reply.response.stderr.strip().rpartition("\n")[2]) is None:
            return False
        with suppress(SessionPoolError):
            look = ask_for_mark(plain=False)
            return _mark_of(await self._executions.run(identifier, look, _LOOK_SECONDS)) == ABSENT
        return False

    async def _run_plainly(
        self, identifier: str, known: KnownSession, code: str, timeout_seconds: float
    ) -> tuple[ExecutionReply, bool]:
        entered_new = False
        if not known.has_module:  # here: has not been prepared
            entered = await self._executions.run(identifier, _ENTER, OWN_CODE_SECONDS)
            known.has_module = True
            entered_new = bool(entered.new_session)
        return await self._executions.run(identifier, code, timeout_seconds), entered_new

    async def _report(
        self, identifier: str, reply: ExecutionReply
    ) -> tuple[AzureReport | None, str]:
        """The report that the answer's value is, fetched whole.

        None if the call itself failed; also, with what its reader must know, if it is no report.
        What the code printed is there all the same.
        """
        text = _text_of(reply)
        if not text.startswith(PREFIX):
            return None, "" if reply.response.has_failed else _GOES_PLAIN
        try:
            part = ReportPart(text)
            packed = [part.packed]
            got, total = len(part.packed), part.total_characters
            while got < total:
                more = await self._executions.run(identifier, ask_for_more(got), OWN_CODE_SECONDS)
                part = ReportPart(_text_of(more))
                if not part.packed or part.total_characters != total:
                    raise BadReportError
                packed.append(part.packed)
                got += len(part.packed)
            whole = "".join(packed)
            if len(whole) < _READ_AT_ONCE:
                return read_report(whole), ""
            return await anyio.to_thread.run_sync(read_report, whole), ""
        except (ReportTooLargeError, SessionPoolError):
            return None, _UNREADABLE
        except BadReportError:
            return None, _GOES_PLAIN


def _mark_of(reply: ExecutionReply) -> str:
    """What ``ask_for_mark`` came to."""
    return _text_of(reply) or reply.response.stdout.strip()


def _text_of(reply: ExecutionReply) -> str:
    value = reply.response.value
    return value.strip("'\"") if isinstance(value, str) else ""
