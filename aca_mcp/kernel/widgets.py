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
    from collections.abc import Iterable, Iterator, Mapping

    Part = str | Mapping[str, object]
    """A text, or a MIME bundle."""

VIEW = "application/vnd.jupyter.widget-view+json"
"""The representation by which front ends find a widget."""
OPERATED = (
    "widgets are operated in a browser, which is not here: this is how they stand. Call the "
    "function with other values, or set them in the code"
)
DRAWN = "a widget that is drawn in a browser, which is not here"
STATIC_FORM = "_form_without_a_browser"
"""The method of a widget's class that gives a MIME bundle, where a library has another form."""
_MODULE = "ipywidgets.widgets.widget"
_MAX_DEPTH = 5
_MAX_CHILDREN = 50
_MAX_WIDGETS = 200
_MAX_CHARACTERS = 500
_MAX_NAME = 200
"""Of what a widget is called that only a browser draws."""
_MAX_OPTIONS = 20
_MEDIA = frozenset({"Image", "Audio", "Video"})
_IMAGES = frozenset({"png", "jpeg", "gif", "webp"})


def model_of(bundle: Mapping[str, object]) -> str:
    """The identifier of the widget that a bundle is of."""
    view = bundle.get(VIEW)
    return str(view.get("model_id")) if isinstance(view, dict) else ""


def as_it_stands(model: str, seen: set[str]) -> tuple[list[Part], str]:
    """What a widget shows now, part by part, and what else there is to know about it.

    Of one that was closed, nothing.

    Args:
        model: the widget's identifier.
        seen: takes those of all that is shown with it.
    """
    widget = _widget_of(model)
    if widget is None:
        return [], ""
    shown = list(islice(_within(widget, seen), _MAX_WIDGETS))
    parts = _joined(part for each, title in shown for part in (title, *_parts(each)) if part)
    remark = ""
    if any(_is_operated(each) for each, _ in shown):
        remark = OPERATED
    elif not _tells_itself(widget) and parts == [_name(widget)]:
        remark = DRAWN
    return parts, remark


def _widget_of(model: str) -> Any:
    module = sys.modules.get(_MODULE)
    return (getattr(module, "_instances", None) or {}).get(model)


def _within(widget: Any, seen: set[str], depth: int = 0) -> Iterator[tuple[Any, str]]:
    """A widget and those in it, each once, with the titles that some have there.

    Those that tell of themselves and of what is in them by a text of their own have nothing in it.
    What an Output widget holds are mappings, as notebooks keep them, and widgets.
    """
    seen.add(widget.model_id)
    if type(widget).__name__ == "Output":
        for output in tuple(widget.outputs):
            inner = _widget_of(model_of(output.get("data") or {}))
            if inner is None:
                yield output, ""
            elif inner.model_id not in seen and depth < _MAX_DEPTH:
                yield from _within(inner, seen, depth + 1)
        return
    if _tells_itself(widget) or not widget.has_trait("children") or depth >= _MAX_DEPTH:
        yield widget, ""
        return
    titles = tuple(getattr(widget, "titles", ()))
    for at, child in enumerate(tuple(widget.children)[:_MAX_CHILDREN]):
        if child.model_id not in seen:
            title = f"{titles[at]}:" if at < len(titles) else ""
            for each, inner in _within(child, seen, depth + 1):
                yield each, "\n".join(filter(None, (title, inner)))
                title = ""


def _joined(parts: Iterable[Part]) -> list[Part]:
    """Texts that follow one another as one."""
    joined: list[Part] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part if joined[-1].endswith("\n") else f"\n{part}"
        else:
            joined.append(part)
    return [part.rstrip("\n") if isinstance(part, str) else part for part in joined]


def _tells_itself(widget: Any) -> bool:
    """Whether a widget's class has a text of its own, such as a progress bar's."""
    kind = type(widget)
    return "__repr__" in vars(kind) and kind.__name__ not in _MEDIA


def _is_operated(widget: Any) -> bool:
    if isinstance(widget, dict) or _tells_itself(widget) or hasattr(type(widget), STATIC_FORM):
        return False
    return bool(widget.has_trait("disabled"))


def _parts(widget: Any) -> list[Part]:
    if isinstance(widget, dict):
        return [_held(widget)]
    if (static_form := getattr(type(widget), STATIC_FORM, None)) is not None:
        return [static_form(widget)]
    if type(widget).__name__ == "Image" and widget.format in _IMAGES:
        return [{f"image/{widget.format}": bytes(widget.value)}]
    return [repr(widget) if _tells_itself(widget) else _text(widget)]


def _text(widget: Any) -> str:
    kind = type(widget).__name__
    match kind:
        case "HTML" | "HTMLMath":
            return _described(widget, read_html(str(widget.value))[0])
        case "Label":
            return _described(widget, str(widget.value))
        case _ if kind in _MEDIA:
            return f"[{kind}: {len(widget.value):,} bytes]"
        case _ if not widget.has_trait("value"):
            name = str(getattr(widget, "description", ""))
            return f"{kind} {name!r}" if name else _name(widget)
        case _:
            about = ", ".join(filter(None, (kind, _choice(widget))))
            return _described(widget, f"{_shown(widget.value)} ({about})")


def _name(widget: Any) -> str:
    text = repr(widget)
    return text if len(text) <= _MAX_NAME else f"{text[:_MAX_NAME]}…"


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


def _held(output: Mapping[str, Any]) -> Part:
    """Of what was put into an Output widget, in the form that notebooks keep."""
    if output.get("output_type") == "stream":
        return str(output.get("text", ""))
    return output.get("data") or "\n".join(map(str, output.get("traceback", ())))
