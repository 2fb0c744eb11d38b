"""plotly's figures for a reader of text: a line, a page that is kept, and a picture.

A picture takes a browser. kaleido to 0.2.1 brings one along; kaleido 1 looks for a Chrome of the
machine, and plotly from 7 on knows only that. So where the former is installed, it is asked by all
that makes pictures, ``write_image`` too. Its browser stays for one execution: beside other
processes no session can be copied.
"""

# The libraries need not be there for the types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from IPython.core.getipython import get_ipython

from .renderers import has, picture, say_once
from .widgets import STATIC_FORM

if TYPE_CHECKING:
    from types import ModuleType

_PACKAGE = "kaleido==0.2.1"
_WITHOUT = f"Pictures of plotly figures need the package {_PACKAGE}, which brings a browser."
_NO_CHROME = (
    f"kaleido 1 found no Chrome. {_PACKAGE} brings a browser of its own; a new session can have it "
    "instead."
)

_ENDING_SECONDS = 10
_BROWSERS = ("browser", "firefox", "chrome", "chromium")


def prepare_plotly(plotly_io: ModuleType) -> None:
    """Have figures shown and drawn as the module says."""
    from IPython.display import display
    from plotly.io.base_renderers import ExternalRenderer  # pyright: ignore[reportMissingImports]

    browser = _draw_with_own_browser(plotly_io)

    class SessionRenderer(ExternalRenderer):  # pyright: ignore[reportUntypedBaseClass]
        width: int | None = None
        height: int | None = None

        def render(self, fig_dict: dict[str, Any]) -> None:
            display(self.bundle(fig_dict), raw=True)

        def bundle(self, fig_dict: dict[str, Any]) -> dict[str, object]:
            found: dict[str, object] = {
                "text/plain": _line(fig_dict),
                "text/html": plotly_io.to_html(fig_dict, include_plotlyjs="cdn", validate=False),
            }
            if has("kaleido", "plotly figures", _PACKAGE):
                sizes = {"width": self.width, "height": self.height}
                found |= picture(
                    lambda: plotly_io.to_image(fig_dict, "png", validate=False, **sizes)
                )
            return found

        def bundle_at_end(self, fig_dict: dict[str, Any]) -> dict[str, object]:
            try:
                return self.bundle(fig_dict)
            finally:
                browser.close()

    usual = plotly_io.show
    plotly_io.renderers["session"] = SessionRenderer()
    plotly_io.renderers.default = "session"

    def show(fig: Any, renderer: str | None = None, validate: bool = True, **options: Any) -> None:
        chosen = renderer or plotly_io.renderers.default or ""
        if any(each in chosen for each in _BROWSERS):
            say_once(f"There is no browser here for {chosen!r}; figures are shown in the result.")
        # What is for people's front ends would be a flood of code here, or an error.
        usual(fig, "session", validate, **options)

    show.__doc__ = usual.__doc__
    plotly_io.show = show  # pyright: ignore[reportAttributeAccessIssue] -- it has one


def prepare_figure_widgets(basewidget: ModuleType) -> None:
    """Show a FigureWidget as the figure that it is."""

    def form(widget: Any) -> Any:
        renderers: Any = importlib.import_module("plotly.io").renderers
        return renderers["session"].bundle_at_end(widget.to_dict())

    setattr(basewidget.BaseFigureWidget, STATIC_FORM, form)


def _line(figure: dict[str, Any]) -> str:
    traces = [trace for trace in figure.get("data", ()) if isinstance(trace, dict)]
    kinds = ", ".join(dict.fromkeys(str(trace.get("type", "scatter")) for trace in traces))
    names = ", ".join(str(trace["name"]) for trace in traces[:10] if trace.get("name"))
    title = figure.get("layout", {}).get("title") or {}
    said = title.get("text", "") if isinstance(title, dict) else title
    count = f"{len(traces)} trace{'' if len(traces) == 1 else 's'} ({kinds})"
    line = f"plotly figure{f' {said!r}' if said else ''}: {count}"
    return f"{line}: {names}" if names else line


def _has_own_browser() -> bool:
    try:
        return version("kaleido").startswith("0.")
    except PackageNotFoundError:
        return False


def _draw_with_own_browser(plotly_io: ModuleType) -> _Browser:
    """Replace plotly's ``to_image`` by one that takes the browser of an old kaleido, if any."""
    browser = _Browser(plotly_io)
    usual = plotly_io.to_image

    def to_image(
        fig: Any,
        format: str | None = None,
        width: int | None = None,
        height: int | None = None,
        scale: float | None = None,
        validate: bool = True,
        **others: object,
    ) -> bytes:
        if _has_own_browser():
            return browser.draw(fig, format, width=width, height=height, scale=scale)
        return bytes(usual(fig, format, width, height, scale, validate, **others))

    to_image.__doc__ = usual.__doc__
    plotly_io.to_image = to_image  # pyright: ignore[reportAttributeAccessIssue]
    module: Any = sys.modules.get("plotly.io._kaleido")  # where ``write_image`` finds it
    if module is not None:
        module.to_image = to_image
        module.kaleido_available = lambda: _is_found(module)
        # What they say leads to a download, for which there is no network.
        module.KALEIDO_REQUIRED_MSG, module.PLOTLY_GET_CHROME_ERROR_MSG = _WITHOUT, _NO_CHROME
    return browser


def _is_found(module: Any) -> bool:
    """Whether there is a kaleido, which may have been installed after plotly was imported."""
    if module.kaleido is None and importlib.util.find_spec("kaleido") is not None:
        module.kaleido = importlib.import_module("kaleido")
    return module.kaleido is not None


class _Browser:
    """The browser of an old kaleido, which is started for a picture and ends with the cell."""

    def __init__(self, plotly_io: ModuleType) -> None:
        self._plotly_io = plotly_io
        self._scope: Any = None

    def draw(self, fig: Any, form: str | None, **sizes: object) -> bytes:
        if self._scope is None:
            self._scope = self._open()
        figure = json.loads(self._plotly_io.to_json(fig, validate=False))
        return bytes(self._scope.transform(figure, form or "png", **sizes))

    def _open(self) -> Any:
        scopes: Any = importlib.import_module("kaleido.scopes.plotly")
        plotly = sys.modules["plotly"]
        code = os.path.join(plotly.__path__[0], "package_data", "plotly.min.js")  # noqa: PTH118
        shell = get_ipython()
        if shell is not None:
            shell.events.register("post_run_cell", self.close)
        return scopes.PlotlyScope(plotlyjs=code)

    def close(self, result: object = None) -> None:
        """End it, if it was started."""
        scope, self._scope = self._scope, None
        if scope is None:
            return
        scope.plotlyjs = scope.plotlyjs  # to change it ends the process
        if (reader := getattr(scope, "_std_error_thread", None)) is not None:
            reader.join(_ENDING_SECONDS)
        shell = get_ipython()
        if shell is not None:
            shell.events.unregister("post_run_cell", self.close)
