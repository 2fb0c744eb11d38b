"""One session's process as the supervisor holds it: its descriptors, its code, its end.

It reads three descriptors: what the kernel says on the control connection, and the two streams
that everything in the session writes to. A process descriptor tells of its end.
"""

from __future__ import annotations

import select
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from aca_mcp.embedded.replies import INTERFERED
from aca_mcp.embedded.request_output import RequestOutput
from aca_mcp.embedded.session_process import TURNED_OFF, Outcome, Stop
from aca_mcp.execution import Rollback
from aca_mcp.kernel.message_framing import Frame, encode
from aca_mcp.local.exit_reasons import TEMPLATE_ENDED, describe_status, not_run
from aca_mcp.local.kernel_exchange import Exchange, KernelDied
from aca_mcp.local.pidfds import has_ended, wait_ended

if TYPE_CHECKING:
    from collections.abc import Callable

    from aca_mcp.local.checkpoints import Checkpoints
    from aca_mcp.local.contained_process import ContainedProcess
    from aca_mcp.pool import OutputCallback

_ANSWER_SECONDS = 10
"""For code to read the answer to what it asked."""
_DEATH_SECONDS = 10
_LAST_STEPS_SECONDS = 0.5
"""From the close of a connection to the end of the process that closes it by ending."""
_INTERRUPT_AGAIN_SECONDS = 1.0
"""Code that went on after an interrupt (a shell command took it) gets another one."""


class KernelProcess:
    """A session's process, from ready to gone."""

    def __init__(
        self,
        contained: ContainedProcess,
        out_of_memory: str,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        """Take over a process that is contained.

        Args:
            contained: which is ended with this.
            out_of_memory: why the system ended it, where it did for want of memory: a clause.
            checkpoints: over its connection, where it has a keeper.

        Raises:
            OSError: there are no descriptors left; nothing was taken over.
        """
        self._events = select.epoll()  # first, as it is what can fail
        self._contained = contained
        self.pid = contained.pid
        """Of the first process. Ours until ``kill`` has returned."""
        self.processes = contained.processes
        self.storage = contained.storage
        """Its directory, where it has no mount namespace; elsewhere it does not exist."""
        self.process = contained.process
        """A pidfd."""
        self._control = contained.connection
        self._stdout, self._stderr = contained.stdout, contained.stderr
        self.checkpoints = checkpoints
        self.work_directory = contained.work_directory
        self.base_directory = contained.base_directory
        """A descriptor of the directory that holds the session's ``data`` and ``incoming``."""
        self.kill_reason: str | None = None
        """Set by who is about to kill it: a clause."""
        self._out_of_memory = out_of_memory
        self._token = contained.token
        """What marks in its streams begin with."""
        self.added_packages: dict[str, tuple[str, str]] = {}
        """What the broker brought: normalized name to version and directory."""
        self.went_back: Rollback | None = None
        """By which its state went back as the last request was cancelled, which got no outcome."""
        self._packages_told = True
        """Whether what runs can have heard of all of it."""
        self._requests = 0
        self._stop: Stop | None = None
        self.is_running = False
        """Whether a request is under way, whose sender reads the descriptors."""
        self._request_over: anyio.Event | None = None
        """There once somebody waits for its end."""
        self._freeing = anyio.Lock()
        self._status: int | None = None

    @property
    def is_grouped(self) -> bool:
        """Whether a control group holds it, which counts memory of the system's too."""
        return self._contained.group is not None

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone already, for whatever reason."""
        if self.processes.is_gone:
            return True
        if not self._events.poll(0):
            return False  # it has said nothing, and its process is there
        if has_ended(self.process):
            return True
        copies = self.checkpoints  # with one left, what ran being gone is not the end
        return copies is not None and not self.is_running and copies.take_notices() and not copies

    async def start(self, *, ahead: bool) -> None:
        """Have it run code from now on.

        Args:
            ahead: nobody waits for it: it may take the time to be quick later.

        Raises:
            PoolUnavailableError: it does not; no code has run.
            OSError: there are no descriptors left.
        """
        if self.checkpoints is not None:
            self._control = await self.checkpoints.begin()
            self._events.register(self.checkpoints, select.EPOLLIN)
        for descriptor in (self._control.fileno(), self._stdout, self._stderr, self.process):
            self._events.register(descriptor, select.EPOLLIN)
        if ahead:
            self._control.send(encode(Frame({"op": "warm_up"})))

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

        At the deadline (of anyio's clock), and when the caller is cancelled, the code is
        interrupted; if it goes on past the grace, the process is killed. One request at a time.
        """
        self._requests += 1
        self._stop = self.went_back = None
        self.is_running = True
        copies = self.checkpoints
        if copies is not None and self._events.poll(0) and copies.take_notices():
            went = await self._roll_back("")  # it ended while nobody used it
            if went is not None and went.executions:  # else by that nothing is lost
                self._finish_request()
                output = RequestOutput(self._token, 0, None)
                return not_run(went, output, is_code=header["op"] == "execute")
        if not self._packages_told:
            self._packages_told = True
            paths = dict.fromkeys(path for _, path in self.added_packages.values())
            header = {"paths": list(paths), **header}
        exchange = Exchange(
            events=self._events,
            control=self._control,
            stdout=self._stdout,
            stderr=self._stderr,
            output=RequestOutput(self._token, max_output_bytes, on_output),
            number=self._requests,
            on_question=on_question,
            checkpoints=self.checkpoints,
        )
        if copies is not None and header["op"] == "execute":
            copies.executions.add(self._requests, str(header["code"]))
        try:
            reply = await exchange.send_and_wait(header, deadline)
            if reply is None:
                reply = await self._stop_code(exchange, "timeout", grace_seconds)
            return Outcome(exchange.output, reply, self._stop)
        except KernelDied as death:
            rollback = await self._roll_back(str(death))
            # What was printed is read already; only now may the descriptors be closed.
            self._finish_request()
            died = rollback.reason if rollback else await self.why_ended(str(death))
            return Outcome(exchange.output, None, self._stop, died, rollback)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                try:
                    await self._stop_code(exchange, "interrupt", grace_seconds)
                except KernelDied as death:
                    self.went_back = await self._roll_back(str(death))
                    if self.went_back is None:
                        self._finish_request()
                        await self.kill(str(death))
            raise
        finally:
            self._finish_request()

    async def answer(self, header: dict[str, object]) -> None:
        """Answer what its code asked, if it still is there."""
        rest = memoryview(encode(Frame(header)))
        with anyio.move_on_after(_ANSWER_SECONDS), suppress(OSError):
            while rest and not self.processes.is_gone:
                try:
                    rest = rest[self._control.send(rest) :]
                except BlockingIOError:
                    await anyio.wait_writable(self._control)

    async def interrupt(self) -> bool:
        """Send what Ctrl-C sends to the session's processes. False if no code runs."""
        return self._interrupt("interrupt")

    def _interrupt(self, why: Stop) -> bool:
        if not self.is_running:
            return False
        self._stop = self._stop or why
        self.processes.send(signal.SIGINT)
        return True

    async def _stop_code(self, exchange: Exchange, why: Stop, grace_seconds: float) -> Frame:
        end = anyio.current_time() + grace_seconds
        while anyio.current_time() < end:
            self._interrupt(why)
            again = min(end, anyio.current_time() + _INTERRUPT_AGAIN_SECONDS)
            reply = await exchange.wait(again)
            if reply is not None:
                return reply
        raise KernelDied("the code would not stop when it was interrupted")

    @property
    def checkpoints_kept(self) -> int | None:
        """None where none are made."""
        if self.checkpoints is None:
            return None
        if not self.is_running:  # who waits takes what is told itself
            self.checkpoints.take_notices()
        return len(self.checkpoints)

    async def undo(self) -> tuple[Rollback | None, str]:
        """Go back to before the last execution. Nothing may run; files stay as they are.

        Returns:
            What was done, or None and a clause that says why it cannot be.
        """
        if self.checkpoints is None:
            return None, TURNED_OFF
        self.is_running = True
        try:
            if not self.checkpoints.keep_those_before_the_last_execution():
                return None, self.checkpoints.why_none
            rollback = await self._roll_back("it was asked for")
        finally:
            self._finish_request()
        return rollback, "" if rollback is not None else await self.why_ended()

    async def _roll_back(self, seen: str) -> Rollback | None:
        """Let the newest checkpoint take the place of what ran, if there is one."""
        checkpoints = self.checkpoints
        if checkpoints is None or self.kill_reason is not None or has_ended(self.process):
            return None
        why = checkpoints.note_end(seen or await self._how_code_ended())
        checkpoints.forget_ended()
        checkpoint = checkpoints.newest()
        self.processes.stop_all_but_the_first()
        connection = await checkpoints.resume()
        self.processes.goes_on()
        if checkpoint is None or connection is None:
            checkpoints.note_end(why)  # which will be asked for again
            return None
        with suppress(OSError):
            self._events.unregister(self._control)
        self._control.close()
        self._control = connection
        self._events.register(connection, select.EPOLLIN)
        self._packages_told = not self.added_packages
        return Rollback(why, *checkpoints.executions.forget_after(checkpoint.after))

    async def _how_code_ended(self) -> str:
        status = None if self.checkpoints is None else await self.checkpoints.how_code_ended()
        if status is None:
            return INTERFERED  # its connection is closed, and it goes on
        used_up = self.checkpoints is not None and self.checkpoints.had_used_its_time
        killed = status == -signal.SIGKILL and not used_up
        group = self._contained.group if killed else None
        if group is not None and await anyio.to_thread.run_sync(group.ran_out_of_memory):
            return self._out_of_memory
        return describe_status(status, had_used_its_time=used_up)

    def end_code(self, why: str, memory: int = 0) -> None:
        """End what runs, and all of the session where no checkpoint can take its place.

        Args:
            why: a clause.
            memory: that the session has now, in bytes, where it must not take more meanwhile.
        """
        copies = self.checkpoints
        if copies and self.is_running and not copies.is_ending:
            self.processes.stop_all_but_the_first()
        if not copies:
            self.kill_soon(why if copies is None else copies.none_for(why))
        elif not (self.is_running and copies.end_code(why, memory)):
            self.kill_soon(why)

    def kill_soon(self, why: str) -> None:
        """End the session's processes now; whoever uses it, or will, hears why."""
        self.kill_reason = self.kill_reason or why
        self.processes.send(signal.SIGKILL)

    async def why_ended(self, seen: str = "") -> str:
        """Free everything it had, and say why it ended: what we did, else what the system tells."""
        if self.checkpoints is not None and not (self.processes.is_gone or has_ended(self.process)):
            why = self.checkpoints.note_end(seen or await self._how_code_ended())
            seen = self.checkpoints.none_for(why)
        elif not (seen or self.has_ended):
            # Its connection is closed: it is ending, or its code closed that, and it would go on.
            with anyio.move_on_after(_LAST_STEPS_SECONDS):
                async with self._freeing:  # whoever ends it at the same time waits, too
                    if not self.has_ended:
                        await wait_ended(self.process)
            seen = "" if self.has_ended else INTERFERED
        status = await self.kill(None)
        if status is None and self._contained.template.has_ended:
            seen = TEMPLATE_ENDED
        if status == -signal.SIGKILL and self._contained.ran_out_of_memory:
            return self.kill_reason or self._out_of_memory
        return self.kill_reason or seen or describe_status(status)

    async def kill(self, why: str | None) -> int | None:
        """End the session's processes, and free everything it had. Again does no harm.

        * A request is under way: whoever waits for it sees the end, and reads what was printed,
          before the descriptors are closed.
        * Two end it at once: the second waits for the first, and gets the same status.
        * There is a reason for it: no status is asked for, which a template that is importing
          would tell only later.
        * The process does not end within seconds, or the template is gone: no status is known.
        * The caller is cancelled: it is done all the same.

        Returns:
            Its exit code or minus a signal's number, or None if that is not known.
        """
        self.kill_reason = self.kill_reason or why
        with anyio.CancelScope(shield=True):
            if not self.processes.is_gone:
                self.processes.send(signal.SIGKILL)
            if self.is_running:
                self._request_over = self._request_over or anyio.Event()
                # Whoever waits for a reply sees the end, and reads what was printed before it.
                with anyio.move_on_after(_DEATH_SECONDS):
                    await self._request_over.wait()
            async with self._freeing:
                if not self.processes.is_gone:
                    try:
                        wants_status = self.kill_reason is None
                        self._status = await self._contained.end(wants_status=wants_status)
                    finally:
                        self._events.close()
                        self._control.close()
                        if self.checkpoints is not None:
                            self.checkpoints.close()
        return self._status

    def _finish_request(self) -> None:
        if self.checkpoints is not None:
            self.checkpoints.let_surplus_go()
        self.is_running = False
        if self._request_over is not None:
            self._request_over.set()
            self._request_over = None
