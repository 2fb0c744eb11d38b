"""Takes all that an IPython shell would show, and tells it as events.

The same in every session: in those of the local pool, whose shell is ours, and in those of an Azure
pool, where it works on the shell of the Jupyter kernel that is there.
"""

# IPython is typed in part: what it does not say is checked by this module's tests.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportAttributeAccessIssue=false

from __future__ import annotations

import builtins
import getpass
import os
import sys
import time
from _thread import RLock, get_ident
from collections import deque
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, cast

from .display_files import DisplayFiles
from .figures import Figures, enable_matplotlib, is_empty_figure, is_figure, show_open_figures
from .front_end import no_debugger, no_gui, print_page, show_input
from .image_scaling import MAX_SIDE
from .main_module import restore_names
from .mime_bundles import Bundles, Shown, is_bare
from .output_widgets import OutputWidgets
from .replaced_methods import replaced
from .standard_input import input_for, no_password
from .tracebacks import describe
from .widgets import as_it_stands, model_of

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from IPython.core.formatters import DisplayFormatter
    from IPython.core.interactiveshell import InteractiveShell

    from .timeline import Sink

MAX_DISPLAYS = 1000
"""Of one execution. Those past it are counted, and the last of them shown."""
LAST_DISPLAYS = 50
_MAX_INLINE_CHARACTERS = 4096
"""Of a text in an event; longer ones are attachments."""
_UPDATE_SECONDS = 0.1
"""Between two looks at a display that is updated; its last state is always told."""


class _Execution:
    """What there is of one execution while it runs."""

    def __init__(self, sink: Sink, work_directory: str, name: str, max_side: int) -> None:
        self.sink = sink
        self.kept = DisplayFiles(work_directory, name)
        self.bundles = Bundles(self.kept, max_side)
        self.figures = Figures()
        self.errors: list[BaseException] = []
        """That IPython would print: not all of them end the code."""
        self.files: list[str] = []
        self.displayed = 0
        self.last: deque[tuple[str, Mapping[str, object], str]] = deque(maxlen=LAST_DISPLAYS)
        """Displays past the bound."""
        self.updates: dict[str, Mapping[str, object]] = {}
        """Of which nothing has been told yet: display's id to its bundle."""
        self.updated_at = 0.0
        self.widgets: dict[str, tuple[str, Mapping[str, object]]] = {}
        """Model's id to that of its display, and what was told of it."""
        self.clearing = False
        """What comes next is to be shown instead of all that was before it."""
        self.held: tuple[dict[str, object], list[bytes]] | None = None
        """The value, which is told with the end: nothing comes after it."""


class Capture:
    """Collects what a shell shows while code runs in it. Belongs to the shell's process."""

    def __init__(self, shell: InteractiveShell) -> None:
        """Take hold of a shell; nothing is taken from it before ``begin``."""
        self.shell = shell
        self._lock = RLock()
        self._process = os.getpid()
        self._now: _Execution | None = None
        self._late: list[tuple[Mapping[str, object], str]] = []
        self.old_threads: frozenset[int] = frozenset()
        """Identifiers of threads that earlier code has left."""
        self._last_traceback = "No traceback available to show."
        self._format = cast("DisplayFormatter", shell.display_formatter).format
        self.output_widgets = OutputWidgets(self.describe)

    def begin(
        self, sink: Sink, *, work_directory: str, name: str, max_side: int = MAX_SIDE
    ) -> None:
        """Tell a sink what is shown from now on.

        Args:
            sink: takes the events.
            work_directory: where the files of displays are kept.
            name: what their names begin with.
            max_side: pixels of a picture's longer side.
        """
        restore_names(self.shell)
        self._process = os.getpid()
        self._now = _Execution(sink, work_directory, name, max_side)
        self.output_widgets.begin()
        late, self._late = self._late, []
        for bundle, display_id in late:
            self._add("display", bundle, display_id=display_id, late=True)

    def end(self) -> tuple[list[BaseException], list[str]]:
        """Tell the rest, and take nothing any more; what IPython found wrong, and files kept."""
        now = self._now
        if now is None:
            return [], []
        with self._lock:
            try:
                self.output_widgets.end()
                self._tell_last(now)
                if now.held is not None:
                    now.sink.emit(*now.held)
                self._look_at_widgets(now)
                self._tell_updates(now)
                now.figures.end()
            except Exception as error:
                now.errors.append(error)
        self._now = None
        return now.errors, now.files

    def describe(self, error: BaseException) -> dict[str, str]:
        """What to tell of the error that ended code; ``%tb`` shows it again."""
        described = describe(error)
        self._last_traceback = described["traceback"]
        return described

    @contextmanager
    def hooked(self) -> Generator[None]:
        """Have this take what the shell shows, instead of what takes it otherwise."""
        shell = self.shell
        with ExitStack() as stack:
            for owner, name, method in (
                (shell.display_pub, "publish", self.publish),
                (shell.display_pub, "clear_output", self.clear_output),
                (shell.displayhook, "write_format_data", self.write_format_data),
                (shell.display_formatter, "format", self.format),
                (shell, "showtraceback", self.note_error),
                (shell, "showsyntaxerror", self.note_error),
                (shell, "showindentationerror", self.note_error),
                (shell, "debugger", no_debugger),
                (builtins, "input", input_for(builtins.input)),
                (getpass, "getpass", no_password),
                (shell, "enable_gui", no_gui),
                (shell, "set_next_input", show_input),
                (shell.hooks, "show_in_pager", print_page),
                (shell, "enable_matplotlib", self.enable_matplotlib),
            ):
                stack.enter_context(replaced(owner, name, method))
            yield

    def show_open_figures(self) -> None:
        """Display the figures that code left open, and close them."""
        now = self._now
        if now is None:
            return
        try:
            show_open_figures()
        except Exception as error:
            now.errors.append(error)

    def publish(
        self,
        data: Mapping[str, object],
        metadata: object = None,
        source: object = None,
        *,
        transient: Mapping[str, object] | None = None,
        update: bool = False,
        **kwargs: object,
    ) -> None:
        """Take what ``display()``, figures and updates publish."""
        display_id = str((transient or {}).get("display_id") or "")[:200]
        with self._lock:
            now = self._now
            if os.getpid() != self._process:
                # A fork made by the code, which can tell nothing but what it prints.
                print(data.get("text/plain", ""))  # noqa: T201 -- see above
            elif is_empty_figure(data):
                return
            elif now is None:
                self._keep_for_later(data, display_id)
            elif update and not self.output_widgets.update(data, display_id):
                now.updates[display_id] = data
                if time.monotonic() - now.updated_at >= _UPDATE_SECONDS:
                    self._tell_updates(now)
            elif not update and not self.output_widgets.take(data, display_id):
                self._add("display", data, display_id=display_id, late=self._is_late())

    def write_format_data(self, format_dict: Mapping[str, object], md_dict: object = None) -> None:
        """Take the value of a last expression."""
        value = getattr(self.shell.displayhook.exec_result, "result", None)
        with self._lock:
            is_running = self._now is not None and os.getpid() == self._process
            if is_running and not is_empty_figure(format_dict):
                self._add("result", format_dict, value=value)

    def clear_output(self, wait: bool = False) -> None:
        """Forget what was shown so far, now or when something else is shown."""
        with self._lock:
            now = self._now
            if now is None or os.getpid() != self._process or self.output_widgets.clear(wait):
                return
            now.updates.clear()
            now.widgets.clear()
            self.output_widgets.changed.clear()
            now.last.clear()
            now.displayed = 0
            now.clearing = wait
            if wait:
                now.sink.clear_before_next()
            else:
                now.sink.emit({"event": "clear", "place": now.sink.clear()}, [])

    def format(
        self, obj: object, include: object = None, exclude: object = None
    ) -> tuple[Mapping[str, object], Mapping[str, object]]:
        """The representations of a value; of a figure always a picture, whatever was configured."""
        if self._now is None or not is_figure(obj):
            forms, about = self._format(obj, include=include, exclude=exclude)
            if len(forms) == 1 and is_bare(str(forms.get("text/plain", ""))):
                forms = {"text/plain": _said(obj) or forms["text/plain"]}
            return forms, about
        bundle: dict[str, object] = {"text/plain": repr(obj)}
        if (image := self._now.figures.draw(obj)) is not None:
            bundle["image/png"] = image
        return bundle, {}

    def note_error(self, raised: object = None, *args: object, **kwargs: object) -> None:
        """Keep an error that IPython would print: not all of them end the code.

        A value that cannot be shown, ``%%time`` and ``%run`` come here and go on. One of what reads
        the code comes with its name, as ``sys.exc_info`` has it.
        """
        found = raised if isinstance(raised, tuple) else sys.exc_info()
        error = cast("BaseException | None", found[1])
        if error is None:  # ``%tb``
            print(self._last_traceback, file=sys.stderr)  # noqa: T201 -- as IPython would
        elif self._now is not None:
            self._now.errors.append(error)

    def enable_matplotlib(self, gui: object = None) -> tuple[str, str]:
        """What ``%matplotlib`` calls."""
        return enable_matplotlib(self.shell, gui)

    def _add(
        self,
        kind: str,
        bundle: Mapping[str, object],
        *,
        value: object = None,
        display_id: str = "",
        late: bool = False,
    ) -> None:
        now = cast("_Execution", self._now)
        if kind == "display":
            now.displayed += 1
            if now.displayed > MAX_DISPLAYS:
                now.last.append((kind, bundle, display_id))
                return
        if now.held is not None:
            about, blobs = now.held
            now.held = None
            now.sink.emit({**about, "place": now.sink.place()}, blobs)
        ends = kind == "result" and self.shell.ast_node_interactivity.startswith("last")
        place = None if ends and not now.clearing else now.sink.place()
        now.clearing = False
        if model := model_of(bundle):
            display_id = display_id or f"widget-{model}"
            now.widgets[model] = display_id, bundle
        shown = now.bundles.describe(bundle, value, display_id)
        about: dict[str, object] = {"event": kind, "place": place}
        if late:
            about["late"] = True
        self._emit(now, about, shown, display_id, hold=ends)

    def _emit(
        self,
        now: _Execution,
        about: dict[str, object],
        shown: Shown,
        display_id: str,
        *,
        hold: bool = False,
    ) -> None:
        if not (shown.data or shown.text or shown.remarks):
            return
        blobs: list[bytes] = []
        about["data"] = {mime: _attached(each, blobs) for mime, each in shown.data.items()}
        if display_id:
            about["display_id"] = display_id
        if shown.text:
            about["text"] = _attached(shown.text, blobs)
        if shown.remarks:
            about["remarks"] = shown.remarks
        now.files += shown.files
        if hold:
            now.held = about, blobs
        else:
            now.sink.emit(about, blobs)

    def _tell_updates(self, now: _Execution) -> None:
        now.updated_at = time.monotonic()
        updates, now.updates = now.updates, {}
        for display_id, bundle in updates.items():
            shown = now.bundles.describe(bundle, None, display_id)
            self._emit(now, {"event": "update"}, shown, display_id)

    def _tell_last(self, now: _Execution) -> None:
        if now.displayed <= MAX_DISPLAYS:
            return
        left_out = now.displayed - MAX_DISPLAYS - len(now.last)
        if left_out:
            shown = Shown(remarks=[f"{left_out:,} displayed values are left out here"])
            self._emit(now, {"event": "display", "place": None}, shown, "")
        for kind, bundle, display_id in now.last:
            shown = now.bundles.describe(bundle, None, display_id)
            self._emit(now, {"event": kind, "place": None}, shown, display_id)

    def _look_at_widgets(self, now: _Execution) -> None:
        """Show widgets as they are at the end: they change without being displayed again."""
        said: set[str] = set()
        seen: set[str] = set()
        for model, (display_id, bundle) in now.widgets.items():
            with suppress(Exception):
                self._tell_widget(now, model, display_id, bundle, said, seen)
        for model in self.output_widgets.changed:
            if model not in seen:
                with suppress(Exception):
                    self._tell_widget(now, model, f"widget-{model}", {}, said, seen)
        self.output_widgets.changed.clear()

    def _tell_widget(
        self,
        now: _Execution,
        model: str,
        display_id: str,
        bundle: Mapping[str, object],
        said: set[str],
        seen: set[str],
    ) -> None:
        parts, remark = as_it_stands(model, seen)
        for at, part in enumerate(parts or [""]):
            form = {"text/plain": part} if isinstance(part, str) else {"text/plain": "", **part}
            if at:  # what has several parts is several outputs
                shown = now.bundles.describe(form, None, f"{display_id}-{at}")
                about: dict[str, object] = {"event": "display", "place": None, "behind": display_id}
                self._emit(now, about, shown, "")
                continue
            shown = now.bundles.describe({**bundle, **form}, None, display_id)
            shown.remarks += {remark} - said - {""}
            said.add(remark)
            self._emit(now, {"event": "update"}, shown, display_id)

    def _keep_for_later(self, data: Mapping[str, object], display_id: str) -> None:
        if len(self._late) < LAST_DISPLAYS:
            self._late.append((data, display_id))

    def _is_late(self) -> bool:
        return get_ident() in self.old_threads


def _attached(content: str | bytes, blobs: list[bytes]) -> object:
    """A representation as events have it: bytes and long texts are attachments."""
    if isinstance(content, str) and len(content) <= _MAX_INLINE_CHARACTERS:
        return content
    kind = "text" if isinstance(content, str) else "blob"
    blobs.append(content.encode("utf-8", "replace") if isinstance(content, str) else content)
    return {kind: len(blobs) - 1}


def _said(obj: object) -> str:
    """What a value says as text where its representation is an address alone; empty if nothing."""
    if type(obj).__str__ is object.__str__:
        return ""
    text = ""
    with suppress(Exception):
        text = str(obj)
    return "" if is_bare(text) else text
