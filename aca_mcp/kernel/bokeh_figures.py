"""Figures of bokeh and holoviews for a reader of text: a line, and a page that stands on its own.

What they show in a notebook is drawn by scripts that were loaded into its page before. A file has
no such page, so each brings what it needs. Pictures of them take a browser, which is not here.
"""

# The libraries need not be there for the types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import importlib
import io
from typing import TYPE_CHECKING, Any

from .renderers import say_once

if TYPE_CHECKING:
    from types import ModuleType

_NO_PICTURES = (
    "There are no pictures of bokeh's figures here: a browser draws them. What matplotlib draws is "
    "shown in the result."
)
_MAX_GLYPHS = 10
_DRAWN_BY_SCRIPTS = "application/vnd.holoviews_exec.v0+json"


def prepare_bokeh(notebook: ModuleType) -> None:
    """Have ``show`` display a page of its own, for which nothing has to be loaded before."""
    from IPython.display import display

    def load_notebook(*args: object, **kwargs: object) -> None:
        """Do nothing: there is no page to load anything into."""

    def show_doc(obj: Any, state: Any, notebook_handle: object = None) -> None:
        if obj not in state.document.roots:
            state.document.add_root(obj)
        embed: Any = importlib.import_module("bokeh.embed")
        resources: Any = importlib.import_module("bokeh.resources")
        page = embed.file_html(obj, resources.CDN, _title(obj) or "bokeh")
        say_once(_NO_PICTURES)
        display({"text/plain": _line(obj), "text/html": page}, raw=True)

    notebook.load_notebook, notebook.show_doc = load_notebook, show_doc  # pyright: ignore[reportAttributeAccessIssue]


def prepare_holoviews(renderer: ModuleType) -> None:
    """Have what holoviews draws by bokeh's scripts come as a page of its own."""
    kind: Any = vars(renderer)["Renderer"]
    usual = kind.components

    def components(self: Any, obj: Any, fmt: str | None = None, *args: Any, **options: Any) -> Any:
        data, metadata = usual(self, obj, fmt, *args, **options)
        if _DRAWN_BY_SCRIPTS in data:
            say_once(_NO_PICTURES)
            page = io.StringIO()
            self.save(obj, page, fmt or "auto", resources="cdn", title="holoviews")
            data = {**data, "text/html": page.getvalue()}
        return data, metadata

    kind.components = components


def _line(model: Any) -> str:
    parts = getattr(model, "renderers", ())
    glyphs = [type(each.glyph).__name__ for each in parts if hasattr(each, "glyph")][:_MAX_GLYPHS]
    title = _title(model)
    line = f"bokeh {type(model).__name__}{f' {title!r}' if title else ''}"
    return f"{line}: {', '.join(glyphs)}" if glyphs else line


def _title(model: Any) -> str:
    return str(getattr(getattr(model, "title", None), "text", "") or "")
