"""Defaults of libraries that suit a reader of text, set once, so that the code's own choices win.

Each is set when code imports its library, and nothing is imported for it.
"""

# The libraries need not be there for the types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

from .figures import INLINE, accept_backends, collect_missing_glyphs, find_fonts
from .on_import import ImportHooks
from .renderers import has, say_once

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType


def set_defaults() -> None:
    """Arrange for all of them."""
    os.environ.setdefault("MPLBACKEND", INLINE)
    hooks = ImportHooks()
    hooks.add("pandas", _pandas)
    hooks.add("matplotlib.pyplot", _pyplot)
    hooks.add("plotly.io", _plotly)
    hooks.add("altair", _altair)
    hooks.add("tqdm.std", _tqdm)
    hooks.add("tqdm.notebook", _tqdm_notebook)
    hooks.install()


def _pandas(pandas: ModuleType) -> None:
    pandas.set_option("display.width", 200)
    pandas.set_option("display.max_columns", 40)


def _pyplot(pyplot: ModuleType) -> None:
    accept_backends(pyplot)
    collect_missing_glyphs()
    find_fonts(sys.modules["matplotlib"])


def _plotly(plotly_io: ModuleType) -> None:
    """Show a figure as a line of text, a page that is kept, and a picture where one can be made."""
    from plotly.io.base_renderers import ExternalRenderer  # pyright: ignore[reportMissingImports]

    class SessionRenderer(ExternalRenderer):  # pyright: ignore[reportUntypedBaseClass]
        def render(self, fig_dict: dict[str, Any]) -> None:
            from IPython.display import display

            bundle: dict[str, object] = {
                "text/plain": _plotly_line(fig_dict),
                "text/html": plotly_io.to_html(fig_dict, include_plotlyjs="cdn", validate=False),
            }
            if has("kaleido", "plotly figures"):
                bundle |= _picture(lambda: plotly_io.to_image(fig_dict, "png", validate=False))
            display(bundle, raw=True)

    plotly_io.renderers["session"] = SessionRenderer()
    plotly_io.renderers.default = "session"


def _plotly_line(figure: dict[str, Any]) -> str:
    traces = [trace for trace in figure.get("data", ()) if isinstance(trace, dict)]
    kinds = ", ".join(dict.fromkeys(str(trace.get("type", "scatter")) for trace in traces))
    names = ", ".join(str(trace["name"]) for trace in traces[:10] if trace.get("name"))
    title = figure.get("layout", {}).get("title") or {}
    said = title.get("text", "") if isinstance(title, dict) else title
    count = f"{len(traces)} trace{'' if len(traces) == 1 else 's'} ({kinds})"
    line = f"plotly figure{f' {said!r}' if said else ''}: {count}"
    return f"{line}: {names}" if names else line


def _altair(altair: ModuleType) -> None:
    """Show a chart in the same way."""

    def render(spec: dict[str, Any], **metadata: object) -> dict[str, object]:
        bundle: dict[str, object] = {"text/plain": _altair_line(spec)}
        mimebundle = altair.utils.mimebundle.spec_to_mimebundle
        options = {"mode": "vega-lite", "vegalite_version": altair.SCHEMA_VERSION.lstrip("v")}
        versions = {
            "vega_version": altair.VEGA_VERSION,
            "vegaembed_version": altair.VEGAEMBED_VERSION,
        }
        bundle |= mimebundle(spec, "html", **options, **versions)
        if has("vl_convert", "altair charts", "vl-convert-python"):
            converter: Any = importlib.import_module("vl_convert")
            bundle |= _picture(lambda: converter.vegalite_to_png(spec))
        return bundle

    altair.renderers.register("session", render)
    altair.renderers.enable("session")


def _altair_line(spec: dict[str, Any]) -> str:
    mark = spec.get("mark", {})
    kind = mark.get("type") if isinstance(mark, dict) else mark
    fields = [
        f"{channel}: {definition['field']}"
        for channel, definition in spec.get("encoding", {}).items()
        if isinstance(definition, dict) and "field" in definition
    ]
    return f"altair chart{f' of {kind}s' if kind else ''} {', '.join(fields)}".rstrip()


def _tqdm(tqdm: ModuleType) -> None:
    """Have no thread that looks after bars: a process with threads cannot be copied."""
    tqdm.tqdm.monitor_interval = 0


def _tqdm_notebook(notebook: ModuleType) -> None:
    """Bars without widgets where there are none, as text on one line."""
    if getattr(notebook, "IProgress", None) is not None:
        return
    from tqdm.std import tqdm, trange  # pyright: ignore[reportMissingModuleSource]

    notebook.tqdm = notebook.tqdm_notebook = tqdm  # pyright: ignore[reportAttributeAccessIssue]
    notebook.trange = notebook.tnrange = trange  # pyright: ignore[reportAttributeAccessIssue]


def _picture(make: Callable[[], bytes]) -> dict[str, object]:
    """The picture that a renderer makes; where it cannot, why, and the figure is shown without."""
    try:
        return {"image/png": make()}
    except Exception as error:
        why = " ".join(str(error).split()) or type(error).__name__
        say_once(f"No picture could be made of this figure: {why[:300]}")
        return {}
