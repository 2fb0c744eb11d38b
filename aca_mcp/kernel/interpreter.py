"""IPython as the interpreter of a session, with what it shows told as events instead of printed.

Made once, in the template, before any session is forked: sessions share its memory.
"""

# IPython is typed in part: what it does not say is checked by this module's tests.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import gc
import linecache
import os
import re
import signal
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass, field
from importlib import import_module
from subprocess import CalledProcessError  # noqa: TID251 -- starts none
from typing import TYPE_CHECKING, Any, NoReturn, cast

from IPython.core.autocall import ExitAutocall
from IPython.core.compilerop import CachingCompiler
from IPython.core.displayhook import DisplayHook
from IPython.core.inputtransformer2 import TransformerManager
from IPython.core.interactiveshell import InteractiveShell
from traitlets import HasTraits, Type, default
from traitlets.config import Config

from .capture import Capture
from .error_hints import NO_EDITOR
from .event_loops import Loops
from .front_end import leave_out_what_needs_a_person
from .hidden_frames import hide_own_frames
from .image_scaling import MAX_SIDE
from .library_defaults import set_defaults
from .main_module import restore_names
from .replaced_methods import replaced
from .shell_commands import run_shell_command
from .standard_input import take_stdin
from .timeline import Recorder
from .traceback_frames import cell_name, program_file
from .tracebacks import is_normal_exit, type_name

if TYPE_CHECKING:
    from types import FrameType

    from IPython.core.formatters import DisplayFormatter, PlainTextFormatter

    from .pip_requests import PackageClient
    from .timeline import Sink

_PLAIN = frozenset({bool, int, float, complex, str, bytes})
"""Types whose values are text and nothing else."""
_SHOWN_AS_REPR = frozenset({int, complex, str, bytes})
"""Those of them whose text is ``repr``'s, unless code chose another one."""
_VALUES_KEPT = 3
_NO_COPY = nullcontext()
_WARM_UPS = 10
_set_handler: Any = import_module("_signal").signal
"""``signal.signal``, which makes an enumeration of its result, without that."""
_OWN_SYNTAX = re.compile(r"[%!?]|^\s*[,;/]")
"""What each line has that IPython would change."""


@dataclass
class CellResult:
    """How one piece of code ended."""

    error: dict[str, str] | None = None
    """As ``tracebacks.describe`` gives it."""
    kept: list[str] = field(default_factory=list)
    """Paths of files that keep what a result cannot show."""


class _Compiler(CachingCompiler):
    """Names code after its place in the session, or its file; IPython has a hash."""

    def get_code_name(self, raw_code: str, transformed_code: str, number: int) -> str:
        file = program_file()
        with suppress(ValueError):  # no name that a file can have
            if file and raw_code.rstrip() == "".join(linecache.getlines(file)).rstrip():
                return file
        return cell_name(number)


class _DisplayHook(DisplayHook):
    """Formats the value of a last expression; the capture takes it."""

    plain_formatter: PlainTextFormatter
    usual_printers: dict[type, object]
    """What the formatter has for a type, unless code chose something else."""
    code: str
    shell: InteractiveShell

    def write_output_prompt(self) -> None:
        """Print nothing: the value is collected."""

    def finish_displayhook(self) -> None:
        """Print nothing here either: code may have closed what it would be printed to."""
        self._is_active = False

    def quiet(self) -> bool:
        """Whether a semicolon ends the code; IPython reads all of it for that."""
        return ";" in self.code and bool(super().quiet())

    def compute_format_data(self, result: object) -> object:
        """Ask for text alone where there is no other form: asking for each takes its time."""
        if type(result) not in _PLAIN:
            return super().compute_format_data(result)
        text = self._repr_of(result)
        if text is None:
            text = cast("str | None", self.plain_formatter(result))  # None where that failed
        return {} if text is None else {"text/plain": text}, {}

    def _repr_of(self, result: object) -> str | None:
        """What the formatter would come to by ``repr``, which is ten times faster."""
        kind, formatter = type(result), self.plain_formatter
        printer = cast("dict[type, object]", formatter.type_printers).get(kind)
        if kind not in _SHOWN_AS_REPR or printer is not self.usual_printers.get(kind):
            return None
        try:
            return repr(result)
        except ValueError:  # more digits than Python writes: the formatter says so as ever
            return None

    def update_user_ns(self, result: object) -> None:
        """Remember a value under its names, which code may have deleted."""
        restore_names(self.shell)
        super().update_user_ns(result)

    def cull_cache(self) -> None:
        """Keep no more values by number than ``_``, ``__`` and ``___`` keep anyway."""
        kept = cast("dict[int, object]", self.shell.user_ns["_oh"])
        oldest = min(kept)
        del kept[oldest]
        for names in (self.shell.user_ns, self.shell.user_ns_hidden):
            names.pop(f"_{oldest}", None)

    def log_output(self, format_dict: object) -> None:
        """Keep no history of outputs: it would keep every figure for the session's life."""


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


class _Exit(ExitAutocall):
    """What ``exit`` and ``quit`` are."""

    def __call__(self, code: object = None) -> NoReturn:
        """End the code, as it would a program. The session goes on."""
        raise SystemExit(code)


class _Shell(InteractiveShell):
    """An InteractiveShell that prints nothing of its own."""

    compiler_class = Type(_Compiler)
    displayhook_class = Type(_DisplayHook)
    loops: Loops

    @default("exiter")
    def _exiter_default(self) -> ExitAutocall:
        return _Exit(self)

    def should_run_async(self, raw_cell: str, **kwargs: object) -> bool:
        """Whether the code needs a running event loop, which every cell of a notebook has."""
        if self.loops.are_wanted(raw_cell) and not self.loops.is_running():
            return True
        # IPython compiles the code to see it.
        cell = str(kwargs.get("transformed_cell"))
        return ("await" in cell or "async" in cell) and bool(
            super().should_run_async(raw_cell, **kwargs)
        )

    def _format_exception_for_storage(self, *args: object, **kwargs: object) -> dict[str, object]:
        """Keep no history of errors, which would run the code's own methods to describe them."""
        return {}

    def _tee(self, channel: str) -> Any:
        """Keep no copy of what is printed, as IPython 9 would for its history."""
        return _NO_COPY

    def system(self, cmd: str) -> None:
        """Run a shell command, with the names of the function that it stands in."""
        command = cast("str", self.var_expand(cmd, depth=1))
        code = self.user_ns["_exit_code"] = run_shell_command(command)
        if code and getattr(self, "system_raise_on_error", False):  # IPython 9.4 has it
            raise CalledProcessError(code, command)


class Interpreter:
    """One session's Python. Not re-entrant; belongs to the main thread of its process."""

    def __init__(self) -> None:
        config = Config()
        config.HistoryManager.enabled = False  # its thread could not be forked
        config.InteractiveShell.colors = "nocolor"
        config.InteractiveShell.cache_size = _VALUES_KEPT  # not every value for the session's life
        self._shell = shell = _Shell.instance(config=config)
        shell.loops = self.loops = Loops()
        shell.input_transformer_manager = Transformer()
        shell.events.print_on_error = False
        # IPython's own builtins stay: with each change of them Python forgets what it knows of
        # every function's globals, and all that runs next is slower.
        shell.builtin_trap.__enter__()
        self._hook = cast("_DisplayHook", shell.displayhook)
        formatter = cast("DisplayFormatter", shell.display_formatter)
        plain = cast("PlainTextFormatter", cast("object", formatter.formatters["text/plain"]))
        self._hook.plain_formatter = plain
        self._hook.usual_printers = dict(cast("dict[type, object]", plain.type_printers))
        _make_plain(self._hook, "shell", "exec_result")
        history = cast("HasTraits", shell.history_manager)
        _make_plain(history, "shell", "_i", "_ii", "_iii", "_i00")
        self._capture = Capture(shell)
        self._hooks = ExitStack()  # for as long as the process lives
        self._hooks.enter_context(self._capture.hooked())
        self._process = os.getpid()
        self._running = False
        shell.run_line_magic("load_ext", "storemagic")  # as IPython's own programs do
        self._installing: PackageClient | None = None
        _show_magics_in_lines(shell)
        set_defaults(self._capture.output_widgets)
        take_stdin()
        hide_own_frames()
        leave_out_what_needs_a_person()
        shell.set_hook("editor", _no_editor)

    def warm_up(self) -> None:
        """Run what every session will, in the template, so that no session has to load it."""
        handler = signal.getsignal(signal.SIGINT)
        # Until Python has made what runs often fast: each session would, in memory of its own.
        for piece in ("1", "1/0") * _WARM_UPS:
            self.run(piece, Recorder())
        self.forget()
        signal.signal(signal.SIGINT, handler)

    def begin_session(self) -> None:
        """Call in the forked process: from here on this interpreter is this process's own."""
        self._process = os.getpid()
        signal.signal(signal.SIGINT, self._interrupt)

    def take_over_installing(self, client: PackageClient) -> None:
        """Let the commands by which people install packages ask for them outside."""
        client.begin(self._shell)
        self._installing = client

    def go_on_here(self) -> None:
        """Take this process, a copy of the one before, for the one that answers."""
        self._process = os.getpid()
        if self._installing is not None:
            self._installing.go_on_here()

    def forget(self) -> None:
        """Have no variables and no history again, as if nothing had run."""
        # IPython would look for garbage, which takes longer than all else in a session made ready.
        with replaced(gc, "collect", int):
            self._shell.reset()
            self._hook.flush()  # there is a last value, which is empty
        history: Any = self._shell.history_manager
        history._i00 = history._i = history._ii = history._iii = ""  # which IPython keeps
        restore_names(self._shell)

    def run(
        self,
        code: str,
        sink: Sink,
        *,
        work_directory: str = ".",
        max_side: int = MAX_SIDE,
        old_threads: frozenset[int] = frozenset(),
    ) -> CellResult:
        """Run code to its end, whatever that is. SIGINT raises ``KeyboardInterrupt`` in it.

        Args:
            code: Python, or IPython.
            sink: takes what is shown.
            work_directory: where originals of what is shown are kept.
            max_side: pixels of a picture's longer side.
            old_threads: identifiers of threads that earlier code has left.
        """
        capture, shell = self._capture, self._shell
        self._hook.code = code
        # Code may have taken the signal for itself.
        _set_handler(signal.SIGINT, self._interrupt)
        error: BaseException | None = None
        try:
            self._running = True
            capture.old_threads = old_threads
            capture.begin(
                sink,
                work_directory=work_directory,
                name=f"cell-{shell.execution_count}",
                max_side=max_side,
            )
            outcome = shell.run_cell(code, store_history=True)
            error = outcome.error_before_exec or outcome.error_in_exec
            capture.show_open_figures()
        except BaseException as stray:
            error = stray
        if os.getpid() != self._process:
            os._exit(0)  # a fork made by the code has come to the end of it: only one may answer
        return self._end(error)

    def _end(self, error: BaseException | None) -> CellResult:
        """Tell what is left to tell. An interrupt ends what takes long of it, and no more."""
        result = CellResult()
        try:
            errors, result.kept = self._capture.end()
            error = error or next(iter(errors), None)
        except BaseException as stray:
            error = error or stray
        if error is not None and not is_normal_exit(error):
            try:
                result.error = self._capture.describe(error)
            except BaseException:  # interrupted between two of its own guards
                result.error = {"name": type_name(error), "message": "", "traceback": ""}
        if self._installing is not None:
            self._installing.end()
        self._running = False
        return result

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        # In a fork made by the code too: it runs the same code, and would go on for ever.
        if self._running:
            raise KeyboardInterrupt


def _make_plain(owner: HasTraits, *names: str) -> None:
    """Make traits that nobody configures or observes usual attributes: cells read many of them."""
    kind = type(owner)
    values = {name: getattr(owner, name) for name in names}
    owner.__class__ = type(kind.__name__, (kind,), values)


class _Lines(str):
    """A text that is shown as such where it is a value."""

    __slots__ = ()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))


def _show_magics_in_lines(shell: InteractiveShell) -> None:
    """IPython 9.18 makes ``%lsmagic`` a text, which is shown as one long literal."""
    usual: Any = shell.find_line_magic("lsmagic")

    def lsmagic(line: str) -> object:
        found = usual(line)
        return _Lines(found) if isinstance(found, str) else found

    lsmagic.__doc__ = usual.__doc__
    register: Any = shell.register_magic_function
    register(lsmagic, "line", "lsmagic")


def _no_editor(*args: object, **kwargs: object) -> NoReturn:
    raise EOFError(NO_EDITOR)
