"""Output widgets of ipywidgets: what code shows while it is within one, the widget holds.

In a notebook a front end puts it there, by messages. Here it is put there at once: it is shown
where the widget is, and cleared without what stands beside it. Standard library only.
"""

# ipywidgets need not be there for the types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import base64
import os
import sys
from contextlib import ExitStack
from contextvars import ContextVar
from functools import wraps
from threading import current_thread, main_thread
from typing import TYPE_CHECKING, Any

from .replaced_methods import replaced
from .truncation import truncate_middle

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

_MAX_OUTPUTS = 200
"""That one widget holds; older ones are forgotten."""
_MAX_CHARACTERS = 256 * 1024
"""Of one stream's text in a row; more is cut in the middle."""
_MAX_DISPLAYS = 1000
"""Inside widgets, that can be updated."""


class OutputWidgets:
    """The Output widgets of one session, and which of them code is within.

    Args:
        describe: an error's traceback and what to know about it, by those names.
    """

    def __init__(self, describe: Callable[[BaseException], Mapping[str, str]]) -> None:
        self._describe = describe
        self._process = os.getpid()
        self._open: list[_Held] = []
        self._within: ContextVar[tuple[_Held, ...]] = ContextVar("within", default=())
        """Those that this thread or task has entered: what others show meanwhile is not theirs."""
        self._written: dict[str, object] = {}
        """The streams of this execution: what code itself puts in their place is its own."""
        self._streams = ExitStack()
        """While it is within one: what is written goes there."""
        self._due: set[str] = set()
        """Models of those to be cleared when something comes."""
        self._displays: dict[str, dict[str, object]] = {}
        """Display's identifier to the last output that has it, of those inside widgets."""
        self.changed: dict[str, None] = {}
        """Models of those that something was put into, since that was told last."""

    def prepare(self, module: ModuleType) -> None:
        """Have the library's class do its work by this."""
        kind: Any = vars(module)["Output"]

        def enter(widget: Any) -> None:
            self._enter(widget)

        def leave(widget: Any, kind: object, error: BaseException | None, frames: object) -> bool:
            return self._exit(widget, error)

        kind.__enter__, kind.__exit__ = enter, leave
        for name in ("append_stdout", "append_stderr", "append_display_data"):
            setattr(kind, name, self._noting(getattr(kind, name)))

    def begin(self) -> None:
        """An execution begins in this process."""
        self._process = os.getpid()
        self._written = {"stdout": sys.stdout, "stderr": sys.stderr}

    def end(self) -> None:
        """Leave those that code has entered and not left."""
        while self._open:
            self._open.pop().flush()
        self._streams.close()

    def take(self, data: Mapping[str, object], display_id: str) -> bool:
        """Put a displayed value into the widget that code is within; False if it is in none."""
        if (held := self._innermost()) is None:
            return False
        output: dict[str, object] = {
            "output_type": "display_data",
            "data": _as_text(data),
            "metadata": {},
        }
        if display_id:
            self._displays.pop(display_id, None)
            self._displays[display_id] = output
            if len(self._displays) > _MAX_DISPLAYS:
                del self._displays[next(iter(self._displays))]
        held.put(output)
        return True

    def update(self, data: Mapping[str, object], display_id: str) -> bool:
        """Replace a displayed value inside a widget; False if there is none of this name."""
        if (output := self._displays.get(display_id)) is None:
            return False
        output["data"] = _as_text(data)
        return True

    def clear(self, wait: bool) -> bool:
        """Clear the widget that code is within; False if it is in none."""
        if (held := self._innermost()) is None:
            return False
        held.clear(wait)
        return True

    def _innermost(self) -> _Held | None:
        """The widget that what is shown now belongs to.

        What a thread shows that has entered none belongs where the code is that waits for it.
        """
        for held in reversed(self._within.get()):
            if held in self._open:
                return held
        if not self._open or current_thread() is main_thread():
            return None
        return next((held for held in reversed(self._open) if held.is_of_main_thread), None)

    def _enter(self, widget: Any) -> None:
        if os.getpid() != self._process:
            return  # a fork made by the code, which can tell nothing but what it prints
        for held in self._open:
            held.flush()
        if not self._open:
            for name, stream in self._written.items():
                self._divert(name, stream)
        held = _Held(widget, self._due)
        self._open.append(held)
        self._within.set((*self._within.get(), held))
        self.changed[widget.model_id] = None

    def _exit(self, widget: Any, error: BaseException | None) -> bool:
        """Leave a widget. What went wrong in it is shown there, and the code goes on after it."""
        *before, held = self._within.get() or (None,)
        if held is None or held.widget is not widget or os.getpid() != self._process:
            return False
        self._within.set(tuple(before))
        held.flush()
        if held in self._open:
            self._open.remove(held)
        if not self._open:
            self._streams.close()
        if not isinstance(error, Exception):
            return False  # an interrupt is not the widget's
        held.put(_as_output(self._describe(error)))
        return True

    def _divert(self, name: str, stream: Any) -> None:
        write = getattr(stream, "write", None)
        if write is None:
            return  # code deleted it, or put something else there

        def hold(text: object) -> Any:
            held = self._innermost() if os.getpid() == self._process else None
            if held is None or not isinstance(text, str):
                return write(text)
            held.write(name, text)
            return len(text)

        self._streams.enter_context(replaced(stream, "write", hold))

    def _noting(self, method: Callable[..., None]) -> Callable[..., None]:
        @wraps(method)
        def append(widget: Any, *args: object, **kwargs: object) -> None:
            self.changed[widget.model_id] = None
            for held in self._open:
                held.flush()
            method(widget, *args, **kwargs)

        return append


class _Held:
    """What is put into one widget, in the form that notebooks keep."""

    def __init__(self, widget: Any, due: set[str]) -> None:
        self.widget = widget
        self.is_of_main_thread = current_thread() is main_thread()
        self._due = due
        self._name = ""
        self._pieces: list[str] = []
        """Text of that stream, which the widget has not yet."""
        self._size = 0

    def write(self, name: str, text: str) -> None:
        self._clear_if_due()
        if name != self._name or self._size > _MAX_CHARACTERS:
            self.flush()
        self._name = name
        self._pieces.append(text)
        self._size += len(text)

    def put(self, output: dict[str, object]) -> None:
        self._clear_if_due()
        self.flush()
        self.widget.outputs = (*self.widget.outputs[1 - _MAX_OUTPUTS :], output)

    def flush(self) -> None:
        pieces, self._pieces, self._size = self._pieces, [], 0
        if not pieces:
            return
        text, outputs = "".join(pieces), tuple(self.widget.outputs)
        if outputs and outputs[-1].get("name") == self._name:
            text = outputs[-1]["text"] + text
            outputs = outputs[:-1]
        text = truncate_middle(text, _MAX_CHARACTERS)
        output = {"output_type": "stream", "name": self._name, "text": text}
        self.widget.outputs = (*outputs[1 - _MAX_OUTPUTS :], output)

    def clear(self, wait: bool) -> None:
        self._due.add(self.widget.model_id)
        if not wait:
            self._clear_if_due()

    def _clear_if_due(self) -> None:
        if self.widget.model_id in self._due:
            self._due.discard(self.widget.model_id)
            self._pieces, self._size = [], 0
            self.widget.outputs = ()


def _as_text(data: Mapping[str, object]) -> dict[str, object]:
    """A MIME bundle as notebooks have it."""
    return {
        mime: base64.b64encode(each).decode() if isinstance(each, bytes) else each
        for mime, each in data.items()
    }


def _as_output(described: Mapping[str, str]) -> dict[str, object]:
    hint = described["hint"]
    return {
        "output_type": "error",
        "ename": described["name"],
        "evalue": described["message"],
        "traceback": [*([f"[{hint}]"] if hint else []), described["traceback"]],
    }
