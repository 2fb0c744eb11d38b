"""ipywidgets for a reader of text: what they show now. A browser would let a person operate them.

Imports nothing: widgets are there only where code has them. Standard library only.
"""

# ipywidgets need not be there for the types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import sys
from itertools import islice
from typing import TYPE_CHECKING, Any

from .html_text import read_html

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VIEW = "application/vnd.jupyter.widget-view+json"
"""The representation by which front ends find a widget."""
OPERATED = (
    "widgets are operated in a browser, which is not here: this is how they stand. Call the "
    "function with other values, or set them in the code"
)
DRAWN = "a widget that is drawn in a browser, which is not here"
CAPTURED = "an Output widget: what it captures is shown where it is printed"
_MODULE = "ipywidgets.widgets.widget"
_MAX_DEPTH = 5
_MAX_CHILDREN = 50
_MAX_WIDGETS = 200
_MAX_CHARACTERS = 500
_MAX_OPTIONS = 20
_MEDIA = frozenset({"Image", "Audio", "Video"})
_IMAGES = frozenset({"png", "jpeg", "gif", "webp"})


def model_of(bundle: Mapping[str, object]) -> str:
    """The identifier of the widget that a bundle is of."""
    view = bundle.get(VIEW)
    return str(view.get("model_id")) if isinstance(view, dict) else ""


def as_it_stands(model: str) -> tuple[dict[str, object], str]:
    """What a widget shows now, as a MIME bundle, and what else there is to know about it.

    Of one that was closed, nothing.
    """
    module = sys.modules.get(_MODULE)
    widget = (getattr(module, "_instances", None) or {}).get(model)
    if widget is None:
        return {"text/plain": ""}, ""
    kind = type(widget).__name__
    if kind == "Image" and widget.format in _IMAGES:
        return {"text/plain": "", f"image/{widget.format}": bytes(widget.value)}, ""
    shown = list(islice(_within(widget), _MAX_WIDGETS))
    text = "\n".join(filter(None, (_line(*each) for each in shown)))
    remark = ""
    if kind == "Output":
        remark = "" if widget.outputs else CAPTURED
    elif any(_is_operated(each) for each, _ in shown):
        remark = OPERATED
    elif text == _cut(repr(widget)) and not _tells_itself(widget):
        remark = DRAWN
    return {"text/plain": text}, remark


def _within(widget: Any, depth: int = 0, seen: set[int] | None = None) -> Iterator[tuple[Any, str]]:
    """A widget and those in it, each once, with the titles that some have there.

    Those that tell of themselves and of what is in them by a text of their own have nothing in it.
    """
    seen = set() if seen is None else seen
    seen.add(id(widget))
    if _tells_itself(widget) or not widget.has_trait("children") or depth >= _MAX_DEPTH:
        yield widget, ""
        return
    titles = tuple(getattr(widget, "titles", ()))
    for at, child in enumerate(tuple(widget.children)[:_MAX_CHILDREN]):
        if id(child) not in seen:
            title = f"{titles[at]}:" if at < len(titles) else ""
            for each, inner in _within(child, depth + 1, seen):
                yield each, "\n".join(filter(None, (title, inner)))
                title = ""


def _tells_itself(widget: Any) -> bool:
    """Whether a widget's class has a text of its own, such as a progress bar's."""
    kind = type(widget)
    return "__repr__" in vars(kind) and kind.__name__ not in _MEDIA


def _is_operated(widget: Any) -> bool:
    return not _tells_itself(widget) and widget.has_trait("disabled")


def _line(widget: Any, title: str) -> str:
    text = repr(widget) if _tells_itself(widget) else _text(widget)
    return "\n".join(filter(None, (title, text)))


def _text(widget: Any) -> str:
    kind = type(widget).__name__
    match kind:
        case "HTML" | "HTMLMath":
            return _described(widget, read_html(str(widget.value))[0])
        case "Label":
            return _described(widget, str(widget.value))
        case "Output":
            return "".join(map(_output_text, widget.outputs)).rstrip("\n")
        case _ if kind in _MEDIA:
            return f"[{kind}: {len(widget.value):,} bytes]"
        case _ if not widget.has_trait("value"):
            name = str(getattr(widget, "description", ""))
            return f"{kind} {name!r}" if name else _cut(repr(widget))
        case _:
            about = ", ".join(filter(None, (kind, _choice(widget))))
            return _described(widget, f"{_shown(widget.value)} ({about})")


def _described(widget: Any, text: str) -> str:
    name = str(getattr(widget, "description", ""))
    return f"{name}: {text}" if name else text


def _choice(widget: Any) -> str:
    """What may be chosen."""
    if widget.has_trait("options"):
        options = [str(each) for each in getattr(widget, "_options_labels", widget.options)]
        more = ", …" if len(options) > _MAX_OPTIONS else ""
        return f"of {', '.join(options[:_MAX_OPTIONS])}{more}"
    if getattr(widget, "max", None) is not None and hasattr(widget, "min"):
        return f"{widget.min} to {widget.max}"
    return ""


def _shown(value: object) -> str:
    return _cut(value if isinstance(value, str) else repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_CHARACTERS else f"{text[:_MAX_CHARACTERS]}…"


def _output_text(output: Mapping[str, Any]) -> str:
    """Of what was put into an Output widget, in the form that notebooks keep."""
    if output.get("output_type") == "stream":
        return str(output.get("text", ""))
    data: Mapping[str, object] = output.get("data", {})
    if not data:
        return "\n".join(map(str, output.get("traceback", ())))
    return f"{data.get('text/plain', '')}\n"
