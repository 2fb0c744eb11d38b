"""Runs code inside a session of an Azure pool and packs all that it displayed into one value.

The service returns a single value of an execution, so of several figures one would come back. This
module's source travels with the first execution of a session and stays in its interpreter; from
then on an execution is a call of ``run``, whose value has everything. It needs Python 3.10, IPython
(as in Jupyter kernels) and nothing else. Nothing of the package is installed there: in the place of
what is imported from it, its source is sent.
"""

# IPython is typed in part: what it does not say is checked by the tests, in real sessions.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportAttributeAccessIssue=false

from __future__ import annotations

import asyncio  # noqa: TID251 -- this runs in the session, on the loop of its kernel
import base64
import json
import os
import signal
import sys
import time
import traceback
import zlib
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from IPython.core.getipython import get_ipython

from aca_mcp.kernel.changes import changed, snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from IPython.core.interactiveshell import InteractiveShell
    from matplotlib.backend_bases import FigureManagerBase

PREFIX = "aca-mcp:"
WORK_DIRECTORY = "/mnt/data"
MAX_TEXT = 2**20
MAX_IMAGES = 32 * 2**20
MAX_ERROR = 64 * 1024
LIBRARY_FRAMES_KEPT = 3

MAX_PART = 900_000
"""Characters of a report that one value carries; ``more`` gives the rest of a longer one."""


@dataclass
class State:
    """What this module remembers from one execution to the next."""

    fresh: bool = True
    task: asyncio.Task[object] | None = None
    report: str = ""
    work_directory: str = "."
    answering: bool = False


state = State()


class Collector:
    """What one execution displays."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self.outputs: list[dict[str, object]] = []
        self.errors: list[BaseException] = []
        self.image_bytes = 0

    def add(self, kind: str, bundle: Mapping[str, object], value: object = None) -> None:
        """Add a value's representations; images become base64 text, marked as such."""
        data: dict[str, object] = {}
        for mime, content in bundle.items():
            if is_binary(mime):
                self.attach(mime, content, data)
            else:
                data.setdefault(mime, cut(content if isinstance(content, str) else dumps(content)))
        if type(value) in (bool, int, float, str):
            data["application/json"] = cut(dumps(value))
        if data:
            self.outputs.append({"kind": kind, "data": data})

    def attach(self, mime: str, content: object, data: dict[str, object]) -> None:
        """Add an image, unless there are too many already."""
        text = content if isinstance(content, str) else encoded(cast("bytes", content))
        self.image_bytes += len(text) * 3 // 4
        if self.image_bytes > MAX_IMAGES:
            data["text/plain"] = "[" + mime + " left out: too large; save it to a file instead]"
        else:
            data[mime] = {"base64": text}

    def publish(self, data: Mapping[str, object], *args: object, **kwargs: object) -> None:
        """Take what ``display()`` and figures publish."""
        self.add("display", data)

    def write_format_data(self, format_dict: Mapping[str, object], md_dict: object = None) -> None:
        """Take the value of a last expression. A figure that is still open is shown at the end."""
        value = getattr(self.shell.displayhook.exec_result, "result", None)
        if not any(manager.canvas.figure is value for manager in open_figures()):
            self.add("result", format_dict, value)

    def clear_output(self, wait: bool = False) -> None:
        """Forget what was displayed so far."""
        self.outputs.clear()
        self.image_bytes = 0

    def note_error(self, *args: object, **kwargs: object) -> None:
        """Keep an error that IPython would print: not all of them end the code."""
        error = sys.exc_info()[1]
        if error is not None:
            self.errors.append(error)

    def show_open_figures(self) -> None:
        """Display the figures that are still open, whichever backend there is, and close them."""
        managers = open_figures()
        if not managers:
            return
        from IPython.core.pylabtools import print_figure

        try:
            for manager in managers:
                image = print_figure(manager.canvas.figure, "png")
                if image is not None:
                    self.add("display", {"image/png": image})
        except Exception as error:
            self.errors.append(error)
        finally:
            sys.modules["matplotlib.pyplot"].close("all")


async def run(code: str) -> str:
    """Run code as a notebook's cell and return, as text, what there is to tell about it."""
    shell = cast("InteractiveShell", get_ipython())
    fresh = begin(shell)
    state.answering = False
    await end_interrupted()
    state.task = asyncio.current_task()
    collector = Collector(shell)
    before = snapshot(state.work_directory)
    started = time.perf_counter()
    with collecting(shell, collector):
        transformed, unparsable = code, None
        try:
            transformed = shell.transform_cell(code)
        except Exception:
            unparsable = sys.exc_info()
        error = None
        try:
            outcome = await shell.run_cell_async(
                code,
                store_history=True,
                transformed_cell=transformed,
                preprocessing_exc_tuple=unparsable,
            )
            shell.events.trigger("post_execute")
            shell.events.trigger("post_run_cell", outcome)
            error = outcome.error_before_exec or outcome.error_in_exec
        except Exception as failure:  # IPython's own, over an exception that has no text
            collector.errors.append(failure)
        collector.show_open_figures()
    state.task = None
    error = error or next(iter(collector.errors), None)
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    report = {
        "fresh": fresh,
        "outputs": collector.outputs,
        "error": None if error is None or is_normal_exit(error) else describe(error),
        "seconds": time.perf_counter() - started,
        "files": changed(before, snapshot(state.work_directory)),
    }
    text = json.dumps(report, ensure_ascii=False)
    packed = zlib.compress(text.encode("utf-8", "replace"), 1)
    state.report = encoded(packed)
    return more(0)


def more(start: int) -> str:
    """A part of the last report, with the length of the whole before it."""
    state.answering = True
    return f"{PREFIX}{len(state.report)}:{state.report[start : start + MAX_PART]}"


def begin(shell: InteractiveShell) -> bool:
    """Prepare the interpreter at the first call. Returns whether this is it."""
    fresh = state.fresh
    if fresh:
        state.fresh = False
        with suppress(OSError):
            os.chdir(WORK_DIRECTORY)
        with suppress(OSError):
            state.work_directory = os.getcwd()  # noqa: PTH109 -- text is what is wanted
        hook = shell.displayhook
        remember = hook.update_user_ns

        def remember_users_values(value: object) -> None:
            # Else the interpreter would keep every report, and `_` would be one.
            if not (isinstance(value, str) and value.startswith(PREFIX)):
                remember(value)

        hook.update_user_ns = remember_users_values
        is_quiet = hook.quiet

        def is_quiet_about_users_values() -> bool:
            # It looks at the code that ran last, which is the user's: a semicolon at its end would
            # silence the report.
            answering, state.answering = state.answering, False
            return not answering and bool(is_quiet())

        hook.quiet = is_quiet_about_users_values
    return fresh


async def end_interrupted() -> None:
    """End earlier code that an interrupt left waiting in the loop, where it would go on."""
    task = state.task
    if task is not None and not task.done() and task.get_loop() is asyncio.get_running_loop():
        task.cancel()
        await asyncio.wait([task], timeout=1)


@contextmanager
def collecting(shell: InteractiveShell, collector: Collector) -> Generator[None]:
    """Have the collector instead of the kernel take what is displayed, and IPython's errors."""
    with ExitStack() as stack:
        for owner, name, method in (
            (shell.display_pub, "publish", collector.publish),
            (shell.display_pub, "clear_output", collector.clear_output),
            (shell.displayhook, "write_format_data", collector.write_format_data),
            (shell, "showtraceback", collector.note_error),
            (shell, "showsyntaxerror", collector.note_error),
            (shell, "showindentationerror", collector.note_error),
        ):
            stack.enter_context(replaced(owner, name, method))
        yield


@contextmanager
def replaced(owner: object, name: str, method: Callable[..., None]) -> Generator[None]:
    """Give one object a method that its class has too."""
    setattr(owner, name, method)
    try:
        yield
    finally:
        with suppress(AttributeError):
            delattr(owner, name)


def open_figures() -> list[FigureManagerBase]:
    """The managers of pyplot's open figures, oldest first; imports nothing."""
    helpers = sys.modules.get("matplotlib._pylab_helpers")
    return helpers.Gcf.get_all_fig_managers() if helpers else []


def describe(error: BaseException) -> dict[str, str]:
    """An exception, with the frames of the user's code and the last ones of a library."""
    try:
        formatted = traceback.TracebackException.from_exception(error, compact=True)
        trim(formatted, 20)
        shown = cut("".join(formatted.format()).rstrip("\n"), MAX_ERROR)
    except Exception:
        shown = "(its traceback could not be made)"
    try:
        message = cut(str(error), MAX_ERROR)
    except BaseException:
        message = "(its text could not be made)"
    return {"name": type(error).__name__[:1000], "message": message, "traceback": shown}


def trim(formatted: traceback.TracebackException, depth: int) -> None:
    """Leave out the frames of the interpreter, of what interrupts code, and of this module."""
    handler = getattr(signal.getsignal(signal.SIGINT), "__code__", None)
    own = (__name__, getattr(handler, "co_filename", __name__))
    kept: list[traceback.FrameSummary] = []
    library: list[traceback.FrameSummary] = []
    entered = not any(is_cell(frame.filename) for frame in formatted.stack)
    for frame in formatted.stack:
        if is_cell(frame.filename):
            kept += [*library[-LIBRARY_FRAMES_KEPT:], frame]
            library = []
            entered = True
        elif entered and frame.filename not in own and "/IPython/" not in frame.filename:
            library.append(frame)
    formatted.stack[:] = [*kept, *library[-LIBRARY_FRAMES_KEPT:]]
    if depth:
        grouped: list[traceback.TracebackException] = getattr(formatted, "exceptions", None) or []
        for each in (formatted.__cause__, formatted.__context__, *grouped):
            if each is not None:
                trim(each, depth - 1)


def is_cell(filename: str) -> bool:
    """Whether a file name is that of code given to an execution."""
    return filename.startswith(("<cell ", "<ipython-input", "/tmp/ipykernel_"))  # noqa: S108 -- a name to compare


def is_normal_exit(error: BaseException) -> bool:
    """Whether code ended as programs do."""
    return isinstance(error, SystemExit) and error.code in (None, 0)


def is_binary(mime: str) -> bool:
    """Whether a representation of this type is bytes."""
    kind = mime.partition("/")[0]
    return mime == "application/pdf" or (
        kind in ("image", "audio", "video") and mime != "image/svg+xml"
    )


def dumps(value: object) -> str:
    """JSON; what has no form there, such as nan, is null."""
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return "null"


def encoded(data: bytes) -> str:
    """Base64 text: no way in which a value may travel changes it."""
    return base64.b64encode(data).decode()


def cut(text: str, most: int = MAX_TEXT) -> str:
    """Text without its middle if it is too long."""
    if len(text) <= most:
        return text
    half = most // 2
    return text[:half] + f"\n[... {len(text) - 2 * half:,} characters ...]\n" + text[-half:]
