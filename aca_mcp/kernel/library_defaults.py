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

from IPython.core.getipython import get_ipython

from .bokeh_figures import prepare_bokeh, prepare_holoviews
from .browsers import prepare_webbrowser
from .figures import (
    INLINE,
    accept_backends,
    collect_missing_glyphs,
    draw_once,
    find_fonts,
    refuse_clicks,
)
from .import_hooks import ImportHooks
from .plotly_figures import prepare_figure_widgets, prepare_plotly
from .renderers import has, picture
from .standard_input import prepare_help
from .widgets import STATIC_FORM
from .worker_processes import prepare_workers

if TYPE_CHECKING:
    from types import ModuleType

    from .output_widgets import OutputWidgets


def set_defaults(output_widgets: OutputWidgets) -> None:
    """Arrange for all of them, and for Output widgets to do their work by what is given."""
    os.environ.setdefault("MPLBACKEND", INLINE)
    hooks = ImportHooks()
    hooks.add("pandas", _pandas)
    hooks.add("polars", _polars)
    hooks.add("matplotlib.pyplot", _pyplot)
    hooks.add("plotly.io", prepare_plotly)
    hooks.add("plotly.basewidget", prepare_figure_widgets)
    hooks.add("bokeh.io.notebook", prepare_bokeh)
    hooks.add("holoviews.plotting.renderer", prepare_holoviews)
    hooks.add("altair", _altair)
    hooks.add("altair.jupyter.jupyter_chart", _altair_widget)
    hooks.add("ipywidgets.widgets.widget_output", output_widgets.prepare)
    hooks.add("sympy.interactive.printing", _sympy)
    hooks.add("tqdm.std", _tqdm)
    hooks.add("tqdm.notebook", _tqdm_notebook)
    hooks.add("webbrowser", prepare_webbrowser)
    hooks.add("pydoc", prepare_help)
    prepare_workers(hooks, _cells)
    hooks.install()


def _cells() -> list[str]:
    history = getattr(get_ipython(), "history_manager", None)
    return [] if history is None else list(history.input_hist_parsed)


def _pandas(pandas: ModuleType) -> None:
    pandas.set_option("display.width", 200)
    pandas.set_option("display.max_columns", 40)


def _polars(polars: ModuleType) -> None:
    polars.Config.set_tbl_width_chars(200)
    polars.Config.set_tbl_cols(40)


def _pyplot(pyplot: ModuleType) -> None:
    accept_backends(pyplot)
    draw_once(pyplot)
    collect_missing_glyphs()
    refuse_clicks()
    find_fonts(sys.modules["matplotlib.font_manager"])


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
            bundle |= picture(lambda: converter.vegalite_to_png(spec))
        return bundle

    # Whatever code chooses: each of them is for a front end that is not here.
    for name in (*altair.renderers.names(), "session"):
        altair.renderers.register(name, render)
    altair.renderers.enable("session")


def _altair_widget(jupyter_chart: ModuleType) -> None:
    """Show a chart that front ends would let a person operate as the chart that it is of."""

    def form(widget: Any) -> Any:
        return {} if widget.chart is None else widget.chart._repr_mimebundle_()

    setattr(jupyter_chart.JupyterChart, STATIC_FORM, form)


def _altair_line(spec: dict[str, Any]) -> str:
    mark = spec.get("mark", {})
    kind = mark.get("type") if isinstance(mark, dict) else mark
    fields = [
        f"{channel}: {definition['field']}"
        for channel, definition in spec.get("encoding", {}).items()
        if isinstance(definition, dict) and "field" in definition
    ]
    return f"altair chart{f' of {kind}s' if kind else ''} {', '.join(fields)}".rstrip()


def _sympy(printing: ModuleType) -> None:
    """Have formulas as LaTeX alone: a picture of each, and of each list, takes seconds to draw.

    Front ends set the LaTeX where there is some, and readers are shown it.
    """
    usual = printing._init_ipython_printing

    def init(shell: Any, stringify: Any, use_latex: Any, *others: Any, **options: Any) -> None:
        use_latex = "mathjax" if use_latex is True else use_latex
        usual(shell, stringify, use_latex, *others, **options)

    printing._init_ipython_printing = init  # pyright: ignore[reportAttributeAccessIssue] -- it has one


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
