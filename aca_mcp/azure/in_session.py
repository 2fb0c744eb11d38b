"""Runs code inside a session of an Azure pool and packs all that it showed into one value.

The service returns a single value of an execution, so of several figures one would come back. This
module travels with the first execution of a session, together with the capture that local sessions
have (``kernel``), and stays in its interpreter; from then on an execution is a call of ``run``,
whose value has everything. It needs Python 3.10, IPython (as in Jupyter kernels) and nothing else.
"""

# IPython is typed in part: what it does not say is checked by the tests, in real sessions.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportAttributeAccessIssue=false

from __future__ import annotations

import asyncio  # noqa: TID251 -- this runs in the session, on the loop of its kernel
import base64
import codecs
import io
import os
import signal
import sys
import zlib
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from IPython.core.getipython import get_ipython

from aca_mcp.kernel.capture import Capture
from aca_mcp.kernel.changed_files import changed, snapshot
from aca_mcp.kernel.front_end import leave_out_what_needs_a_person
from aca_mcp.kernel.hidden_frames import hide_own_frames
from aca_mcp.kernel.library_defaults import set_defaults
from aca_mcp.kernel.main_module import restore_names
from aca_mcp.kernel.process import Descriptors, flush_native, load_native, other_threads
from aca_mcp.kernel.standard_input import take_stdin
from aca_mcp.kernel.timeline import Recorder, done, encoded
from aca_mcp.kernel.traceback_frames import cell_name
from aca_mcp.kernel.tracebacks import is_normal_exit

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import FrameType

    from IPython.core.interactiveshell import InteractiveShell

PREFIX = "aca-mcp:"
OWN = "_aca_mcp_"
"""The names of modules that are sent begin so."""


@dataclass
class State:
    """What this module remembers from one execution to the next."""

    capture: Capture | None = None
    task: asyncio.Task[object] | None = None
    report: str = ""
    work_directory: str = "."
    recorder: Recorder = field(default_factory=Recorder)
    """Of the execution that runs, or of the next: earlier code may print before it begins."""
    streams: dict[str, Any] = field(default_factory=dict)
    """The interpreter's own: code may have put others into their place, or none."""
    descriptors: Descriptors = field(default_factory=Descriptors)
    """Those that the interpreter, and processes of the code, write to."""
    answering: bool = False
    entered: str = "/mnt/data"
    """Where the first execution begins, if it is there."""
    max_part: int = 900_000
    """Characters of a report that one value carries; ``more`` gives the rest of a longer one."""


state = State()


async def run(code: str, max_side: int) -> str:
    """Run code as a notebook's cell and return, as text, what there is to tell about it."""
    shell = cast("InteractiveShell", get_ipython())
    call, following, hook = shell.displayhook.exec_result, shell.execution_count, sys.displayhook
    is_counted = call is not None and call.info.store_history and not call.info.silent
    if call is not None and is_counted:
        shell.execution_count = call.execution_count  # the code has the number of this call
    fresh, process = state.capture is None, os.getpid()
    capture = state.capture or begin(shell)
    state.answering = False
    await end_interrupted()
    state.task = asyncio.current_task()
    before = snapshot(state.work_directory)
    capture.old_threads = old_threads = other_threads()
    state.descriptors.restore()
    recorder = state.recorder
    recorder.begin(old_threads)
    started = perf_counter()
    with capture.hooked():
        for stream in state.streams.values():
            with suppress(AttributeError):  # a kernel tells it to what stands in its place alone
                stream.set_parent(shell.parent_header)
        follow()
        name = f"cell-{shell.execution_count}"
        capture.begin(recorder, work_directory=state.work_directory, name=name, max_side=max_side)
        try:
            with interruptible() as cancelled:
                error = await run_cell(shell, capture, code)
            flush()  # what code has put around a stream is written, too, while that is counted
            if os.getpid() != process:  # a fork made by the code: only one may answer
                os._exit(0)
            if cancelled and isinstance(error, asyncio.CancelledError):
                error = KeyboardInterrupt().with_traceback(error.__traceback__)
            capture.show_open_figures()
        finally:
            errors, kept = capture.end()
            recorder.end()
            state.recorder = Recorder()
            follow()
            sys.displayhook = hook  # else one that the code put there would have the report
            if is_counted:
                shell.execution_count = following
    state.task = None
    error = error or next(iter(errors), None)
    flush()
    last = {
        **done(
            None if error is None or is_normal_exit(error) else capture.describe(error),
            changed(before, snapshot(state.work_directory)),
            kept,
        ),
        "pieces": recorder.pieces,
        "fresh": fresh,
        "seconds": perf_counter() - started,
    }
    frames = [*recorder.events, (last, ())]
    packed = zlib.compress(b"".join(encoded(event, blobs) for event, blobs in frames), 1)
    state.report = base64.b64encode(packed).decode()
    return more(0)


class Bytes(io.RawIOBase):
    """What programs have below a stream, and a Jupyter kernel has not: takes bytes of UTF-8."""

    def __init__(self, stream: Any) -> None:
        super().__init__()
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")

    def writable(self) -> bool:
        """It is for nothing else."""
        return True

    def write(self, data: Any, /) -> int:
        """Write what has a whole character, to the stream."""
        self._stream.write(self._decoder.decode(data))
        return len(data)

    def flush(self) -> None:
        """Send it."""
        self._stream.flush()

    def close(self) -> None:
        """Stay open: what code has put around it closes it when it is collected."""


@contextmanager
def interruptible() -> Generator[list[int]]:
    """Have an interrupt end code that computes, and at once code that awaits; tell whether it did.

    A Jupyter kernel cancels a cell that has an ``await``, as the call of ``run`` is one: code that
    computes does not notice, and what is awaited goes on until something else wakes the loop.
    """
    loop, task = asyncio.get_running_loop(), cast("asyncio.Task[object]", asyncio.current_task())
    cancelled: list[int] = []
    usual: Any = None

    def interrupt(number: int, frame: FrameType | None) -> None:
        running = asyncio.current_task(loop)
        if running is task:
            raise KeyboardInterrupt
        cancelled.append(number)
        loop.call_soon_threadsafe(task.cancel)
        if running is not None and callable(usual):
            usual(number, frame)  # a task that the code made computes

    with suppress(ValueError):  # this is not the main thread, which alone hears of interrupts
        usual = signal.signal(signal.SIGINT, interrupt)
    try:
        yield cancelled
    finally:
        if usual is not None:
            signal.signal(signal.SIGINT, usual)


def follow() -> None:
    """Have the recorder hear what is written from now on."""
    for name, stream in state.streams.items():
        state.recorder.follow(stream if is_open(stream) else getattr(sys, name), name)


def flush() -> None:
    """Send what was written so far.

    A kernel does so, too, after each execution, and would not answer if it could not: what code has
    left closed, or is no stream, gives its place back.
    """
    for name, stream in state.streams.items():
        try:
            current = getattr(sys, name)
            current.flush()
            is_usable = not getattr(current, "closed", False)
        except Exception:
            is_usable = False
        if not is_usable:
            setattr(sys, name, stream)
    flush_native()


def is_open(stream: Any) -> bool:
    """Whether a stream is neither closed nor, as those that are wrapped anew, detached."""
    with suppress(ValueError):
        return not stream.closed
    return False


async def run_cell(shell: InteractiveShell, capture: Capture, code: str) -> BaseException | None:
    """Run code, and return what ended it."""
    transformed, unparsable = code, None
    try:
        transformed = shell.transform_cell(code)
    except Exception:
        unparsable = sys.exc_info()
    try:
        outcome = await shell.run_cell_async(
            code,
            store_history=True,
            transformed_cell=transformed,
            preprocessing_exc_tuple=unparsable,
        )
        shell.events.trigger("post_execute")
        shell.events.trigger("post_run_cell", outcome)
    except Exception:  # IPython's own, over an exception that has no text
        capture.note_error()
        return None
    return outcome.error_before_exec or outcome.error_in_exec


def more(start: int) -> str:
    """A part of the last report, with the length of the whole before it."""
    state.answering = True
    # With an end, so that a value that was cut on its way is known as one.
    return f"{PREFIX}{len(state.report)}:{state.report[start : start + state.max_part]};"


def begin(shell: InteractiveShell) -> Capture:
    """Prepare the interpreter at the first call."""
    with suppress(OSError):
        os.chdir(state.entered)
    with suppress(OSError):
        state.work_directory = os.getcwd()  # noqa: PTH109 -- text is what is wanted
    # Where `%cd -` goes back to, and what code puts back after it has redirected a stream.
    shell.user_ns["_dh"] = [state.work_directory]
    sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr  # pyright: ignore[reportConstantRedefinition] -- a kernel's own lead nowhere
    state.streams = {name: getattr(sys, name) for name in ("stdout", "stderr")}
    state.descriptors.keep(0, 1, 2)
    for number, stream in enumerate(state.streams.values(), 1):
        if hasattr(stream, "watch_fd_thread"):  # a kernel's, which nothing opens again
            stream.close = stream.flush
            # Its own is what the kernel was started with: what a process writes there is not heard.
            stream.fileno = partial(int, number)
        if not hasattr(stream, "buffer"):
            stream.buffer = Bytes(stream)
            stream.reconfigure = dict  # takes what may be asked for, and does nothing
    state.recorder = Recorder()
    shell.ask_exit = dict  # `exit()` would stop the kernel
    shell.compile.get_code_name = name_cell
    state.capture = capture = Capture(shell)
    load_native()
    set_defaults(capture.output_widgets)
    take_stdin()
    leave_out_what_needs_a_person()
    hide_own_frames()
    keep_calls_out_of(shell.history_manager)
    hook = shell.displayhook
    remember = hook.update_user_ns

    def remember_users_values(value: object) -> None:
        # Else the interpreter would keep every report, and `_` would be one.
        if not (isinstance(value, str) and value.startswith(PREFIX)):
            restore_names(shell)
            remember(value)

    hook.update_user_ns = remember_users_values
    is_quiet = hook.quiet

    def is_quiet_about_users_values() -> bool:
        # It looks at the code that ran last, which is the user's: a semicolon at its end would
        # silence the report.
        answering, state.answering = state.answering, False
        return not answering and bool(is_quiet())

    hook.quiet = is_quiet_about_users_values
    return capture


def name_cell(raw_code: str, transformed_code: str, number: int) -> str:
    """What tracebacks name code by: a Jupyter kernel has a file in /tmp that is not there."""
    return cell_name(number)


def keep_calls_out_of(history: Any) -> None:
    """See to it that a history has the user's code alone, and nothing that calls modules of ours.

    A call of ``run`` leaves its number to the code; any other has one, and an empty line.
    """
    if history is None:
        return
    store = history.store_inputs

    def store_users_inputs(line_num: int, source: str, source_raw: str | None = None) -> None:
        if f'"{__name__}"].run(' in source:
            return
        if OWN in source:
            source = source_raw = ""
        store(line_num, source, source_raw)

    history.store_inputs = store_users_inputs
    if __name__ in history.input_hist_raw[-1]:  # the call that is running
        del history.input_hist_raw[-1], history.input_hist_parsed[-1]
        history._i00, history._i, history._ii = history._i, history._ii, history._iii
        history.new_session()  # the file of the one before has this line's number
    for inputs in (history.input_hist_raw, history.input_hist_parsed):
        inputs[:] = ["" if OWN in each else each for each in inputs]


async def end_interrupted() -> None:
    """End earlier code that an interrupt left waiting in the loop, where it would go on."""
    task = state.task
    if task is not None and not task.done() and task.get_loop() is asyncio.get_running_loop():
        task.cancel()
        await asyncio.wait([task], timeout=1)
