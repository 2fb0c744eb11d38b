"""IPython as the interpreter of a session, with its displays collected instead of printed.

Made once, in the template, before any session is forked: sessions share its memory.
"""

# IPython is typed in part: what it does not say is checked by this module's tests.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import builtins
import getpass
import os
import re
import signal
import sys
import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn, cast

from IPython.core.compilerop import CachingCompiler
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.inputtransformer2 import TransformerManager
from IPython.core.interactiveshell import InteractiveShell
from traitlets import Type
from traitlets.config import Config

from aca_mcp.kernel.outputs import OutputCollector
from aca_mcp.kernel.tracebacks import cell_name, format_exception

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from types import FrameType

    from IPython.core.formatters import DisplayFormatter, PlainTextFormatter
    from matplotlib.backend_bases import FigureManagerBase

_MAX_NAME_CHARACTERS = 1000
_PLAIN = frozenset({bool, int, float, complex, str, bytes})
"""Types whose values are text and nothing else."""
_OWN_SYNTAX = re.compile(r"[%!?]|^\s*[,;/]")
"""What each line has that IPython would change."""
_WIDE_TABLE = {"display.width": 200, "display.max_columns": 40}


@dataclass(slots=True)
class CellResult:
    """How one piece of code ended."""

    error_name: str | None = None
    error_message: str = ""
    traceback: str = ""
    outputs: OutputCollector = field(default_factory=OutputCollector)
    duration_seconds: float = 0.0


class _Compiler(CachingCompiler):
    """Names code after its place in the session, where IPython has a hash."""

    def get_code_name(self, raw_code: str, transformed_code: str, number: int) -> str:
        return cell_name(number)


class _CollectingDisplayHook(DisplayHook):
    """Takes the value of a last expression."""

    collector: OutputCollector
    plain_formatter: PlainTextFormatter
    code: str
    _value: object = None

    def __call__(self, result: object = None) -> None:
        self._value = result
        super().__call__(result)
        self._value = None

    def write_output_prompt(self) -> None:
        """Print nothing: the value is collected."""

    def quiet(self) -> bool:
        """Whether a semicolon ends the code; IPython reads all of it for that."""
        return ";" in self.code and bool(super().quiet())

    def compute_format_data(self, result: object) -> object:
        """Ask for text alone where there is no other form: asking for each takes its time."""
        if type(result) not in _PLAIN:
            return super().compute_format_data(result)
        text = cast("str | None", self.plain_formatter(result))  # None where that failed
        return {} if text is None else {"text/plain": text}, {}

    def log_output(self, format_dict: object) -> None:
        """Keep no history of outputs: it would keep every figure for the session's life."""

    def write_format_data(self, format_dict: Mapping[str, object], md_dict: object = None) -> None:
        # A figure that is still open is shown with the others at the end, once.
        if not any(manager.canvas.figure is self._value for manager in _open_figures()):
            self.collector.add("result", format_dict, self._value)


class _CollectingPublisher(DisplayPublisher):
    """Takes what ``display()`` and figures publish."""

    collector: OutputCollector

    def publish(self, data: Mapping[str, object], *args: object, **kwargs: object) -> None:
        self.collector.add("display", data)

    def clear_output(self, wait: bool = False) -> None:
        self.collector.clear()


class Transformer(TransformerManager):
    """Reads code token by token only where there may be syntax that is IPython's own."""

    def __init__(self) -> None:
        super().__init__()
        self._usual = list(self.token_transformers)

    def do_token_transforms(self, lines: list[str]) -> list[str]:
        """Replace magics, shell commands and questions; code may have added more to replace."""
        if self.token_transformers == self._usual and not any(map(_OWN_SYNTAX.search, lines)):
            return lines
        return cast("list[str]", super().do_token_transforms(lines))


class _Shell(InteractiveShell):
    """An InteractiveShell that reports to its caller and prints nothing of its own."""

    compiler_class = Type(_Compiler)
    displayhook_class = Type(_CollectingDisplayHook)
    display_pub_class = Type(_CollectingPublisher)
    errors_shown: list[BaseException]

    def ask_exit(self) -> NoReturn:
        """End the code, as ``exit()`` would a program. The session goes on."""
        raise SystemExit

    def showtraceback(self, *args: object, **kwargs: object) -> None:
        """Keep the error that is being handled: not all of them end ``run_cell``.

        A value that cannot be shown, ``%%time`` and ``%run`` come here and go on.
        """
        error = sys.exc_info()[1]
        if error is not None:
            self.errors_shown.append(error)

    def showsyntaxerror(self, *args: object, **kwargs: object) -> None:
        """Print nothing: the error is in the result of ``run_cell``."""

    def showindentationerror(self) -> None:
        """Print nothing: the error is in the result of ``run_cell``."""

    def _format_exception_for_storage(self, *args: object, **kwargs: object) -> dict[str, object]:
        """Keep no history of errors, which would run the code's own methods to describe them."""
        return {}

    @contextmanager
    def _tee(self, channel: str) -> Generator[None]:
        """Keep no copy of what is printed, as IPython 9 would for its history."""
        yield

    def system(self, cmd: str) -> None:
        """Run a shell command with the session's own stdout and stderr."""
        sys.stdout.flush()
        sys.stderr.flush()
        self.system_raw(cmd)


class Interpreter:
    """One session's Python. Not re-entrant; belongs to the main thread of its process."""

    def __init__(self) -> None:
        config = Config()
        config.HistoryManager.enabled = False  # its thread could not be forked
        config.InteractiveShell.colors = "nocolor"
        self._shell = _Shell.instance(config=config)
        self._shell.input_transformer_manager = Transformer()
        self._shell.events.print_on_error = False
        # IPython's own builtins stay: with each change of them Python forgets what it knows of
        # every function's globals, and all that runs next is slower.
        self._shell.builtin_trap.__enter__()
        self._hook = cast("_CollectingDisplayHook", self._shell.displayhook)
        # There are no numbered prompts, and ``Out`` would keep every value for the session's life.
        self._hook.do_full_cache = False
        self._publisher = cast("_CollectingPublisher", self._shell.display_pub)
        self._process = os.getpid()
        self._running = False
        formatter = cast("DisplayFormatter", self._shell.display_formatter)
        plain = cast("PlainTextFormatter", cast("object", formatter.formatters["text/plain"]))
        self._hook.plain_formatter = plain
        plain.for_type_by_name("pandas", "DataFrame", _wide_table)
        plain.for_type_by_name("pandas.core.frame", "DataFrame", _wide_table)
        # The inline backend says this too, but code may choose another one before any is loaded.
        formatter.formatters["image/png"].for_type_by_name("matplotlib.figure", "Figure", _draw)
        warnings.filterwarnings("ignore", message="To exit: use")  # there is nothing to exit
        builtins.input = _no_input
        getpass.getpass = _no_input

    def warm_up(self) -> None:
        """Run what every session will, in the template, so that no session has to load it."""
        handler = signal.getsignal(signal.SIGINT)
        self.run("1")
        self.run("1/0")
        self.forget()
        signal.signal(signal.SIGINT, handler)

    def begin_session(self) -> None:
        """Call in the forked process: from here on this interpreter is this process's own."""
        self._process = os.getpid()
        signal.signal(signal.SIGINT, self._interrupt)

    def forget(self) -> None:
        """Have no variables and no history again, as if nothing had run."""
        self._shell.reset()

    def run(self, code: str) -> CellResult:
        """Run code to its end, whatever that is. SIGINT raises ``KeyboardInterrupt`` in it."""
        result = CellResult()
        self._hook.collector = self._publisher.collector = result.outputs
        self._hook.code = code
        self._shell.errors_shown = shown = list[BaseException]()
        # Code may have taken the signal for itself.
        signal.signal(signal.SIGINT, self._interrupt)
        started = time.perf_counter()
        error: BaseException | None
        try:
            self._running = True
            outcome = self._shell.run_cell(code, store_history=True)
            error = outcome.error_before_exec or outcome.error_in_exec
            _show_open_figures()
            error = error or next(iter(shown), None)
        except BaseException as stray:
            error = stray
        finally:
            self._running = False
        if os.getpid() != self._process:
            os._exit(0)  # a fork made by the code has come to the end of it: only one may answer
        result.duration_seconds = time.perf_counter() - started
        if error is not None and not _is_normal_exit(error):
            result.error_name = type(error).__name__[:_MAX_NAME_CHARACTERS]
            result.error_message = _text_of(error)
            result.traceback = _traceback_of(error)
        for name in ("stdout", "stderr"):
            _flush(getattr(sys, name, None))
        return result

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        # In a fork made by the code too: it runs the same code, and would go on for ever.
        if self._running:
            raise KeyboardInterrupt


def _open_figures() -> list[FigureManagerBase]:
    """The managers of pyplot's open figures, oldest first; imports nothing."""
    helpers = sys.modules.get("matplotlib._pylab_helpers")
    return helpers.Gcf.get_all_fig_managers() if helpers else []


def _show_open_figures() -> None:
    """Display the figures that are still open, whichever backend the code chose, and close them."""
    managers = _open_figures()
    if not managers:
        return
    from IPython.display import display

    try:
        for manager in managers:
            display(manager.canvas.figure)
    finally:
        sys.modules["matplotlib.pyplot"].close("all")


def _draw(figure: object) -> bytes | None:
    """A figure as PNG; None if there is nothing in it."""
    from IPython.core.pylabtools import print_figure

    return cast("bytes | None", print_figure(figure, "png"))


def _wide_table(table: object, printer: object, cycle: bool) -> None:
    """Print a DataFrame in fewer, longer lines than a terminal's."""
    import pandas as pd  # pyright: ignore[reportMissingTypeStubs] -- untyped, and optional

    options = [item for pair in _WIDE_TABLE.items() for item in pair]
    with pd.option_context(*options):
        printer.text(repr(table))  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] -- IPython's RepresentationPrinter


def _no_input(*args: object, **kwargs: object) -> NoReturn:
    raise EOFError(
        "input() is not available: nobody can type into this session. "
        "Put the value into the code, or upload it as a file."
    )


def _is_normal_exit(error: BaseException) -> bool:
    return isinstance(error, SystemExit) and error.code in (None, 0)


def _text_of(error: BaseException) -> str:
    try:
        return str(error)[:65536]
    except BaseException:
        return "(its text could not be made)"


def _traceback_of(error: BaseException) -> str:
    try:
        return format_exception(error)
    except Exception:
        return "(its traceback could not be made)"


def _flush(stream: object) -> None:
    try:
        stream.flush()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] -- may be anything by now
    except Exception:
        return  # the code closed or replaced it; there is nowhere to say so
