"""Figures of matplotlib: shown whichever backend and formats code chose, each once as it stands.

Imports matplotlib only where code has.
"""

# matplotlib need not be there for the types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

from __future__ import annotations

import hashlib
import io
import re
import sys
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn
from weakref import WeakKeyDictionary

from .error_hints import NO_CLICKS
from .figure_boxes import TooLargeError, box_of_near, can_be_drawn, in_bounds
from .image_scaling import Drawn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

    from IPython.core.interactiveshell import InteractiveShell

INLINE = "module://matplotlib_inline.backend_inline"
_EMPTY_FIGURE = re.compile(r"<Figure size [\w.+-]+x[\w.+-]+ with \d+ Axes>")
_MISSING_GLYPH = re.compile(r"Glyph (\d+) \(.*\) missing from")
_FALLBACK_FONTS = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "Droid Sans Fallback",
    "IPAexGothic",
    "IPAGothic",
    "NanumGothic",
    "Noto Sans Arabic",
    "Noto Sans Hebrew",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
)
"""Those that machines have for what DejaVu, matplotlib's own, has no glyphs for."""
_MANY_PIXELS = (
    "A figure of {:.0f}x{:.0f} pixels is drawn with fewer. Choose a smaller figsize or dpi, or "
    "save it to a file."
)
_FAR_AWAY = (
    "Parts of a figure lie far outside of it, and are not shown: look at the coordinates of its "
    "texts, which are data's unless transform=ax.transAxes says otherwise."
)
_boxes: set[int] = set()
"""Characters that the fonts lacked, since that was told last."""


class Figures:
    """Draws the figures of one execution."""

    def __init__(self) -> None:
        self._shown: WeakKeyDictionary[Any, bytes] = WeakKeyDictionary()
        """Figure to the digest of the picture that was shown of it last."""
        self._told: dict[str, None] = {}
        """What there is to know of them, once each."""

    def draw(self, figure: Any) -> Drawn | None:
        """A figure as PNG; None if there is nothing in it, or it was shown like this already."""
        if _is_empty(figure):
            return None
        data = self._draw(figure)
        digest = hashlib.blake2b(data, digest_size=16).digest()
        if self._shown.get(figure) == digest:
            return None
        self._shown[figure] = digest
        return Drawn(data)

    def _draw(self, figure: Any) -> bytes:
        options = {"format": "png", "bbox_inches": "tight", **_chosen(figure)}
        options |= {"facecolor": figure.get_facecolor(), "edgecolor": figure.get_edgecolor()}
        if not figure.axes:
            options["bbox_inches"] = None  # pictures and texts alone have no box that can be told
        dpi = options.get("dpi", figure.dpi)
        dpi = figure.dpi if dpi == "figure" else dpi
        width, height = figure.get_size_inches()
        options["dpi"] = in_bounds(width, height, dpi)
        with warnings.catch_warnings(record=True) as noted:
            warnings.simplefilter("always")
            try:
                data = self._print(figure, options, is_bounded=True)
            except TooLargeError as large:
                noted.clear()  # it is laid out again
                width, height = large.inches
                options["dpi"] = in_bounds(width, height, options["dpi"])
                data = self._print(figure, options)
        if options["dpi"] < dpi:
            self._told[_MANY_PIXELS.format(width * dpi, height * dpi)] = None
        for warning in noted:
            if not _is_of_glyph(warning.message):
                warnings.warn_explicit(
                    warning.message, warning.category, warning.filename, warning.lineno
                )
        return data

    def _print(self, figure: Any, options: Mapping[str, Any], *, is_bounded: bool = False) -> bytes:
        """Draw it with what stands beside it.

        Raises:
            TooLargeError: before anything is drawn, if it is bounded.
        """
        measure = partial(type(figure).get_tightbbox, figure)  # the class's: see below
        padding = options.get("pad_inches")
        if not isinstance(padding, (int, float)):
            padding = sys.modules["matplotlib"].rcParams["savefig.pad_inches"]

        def get_tightbbox(renderer: Any, bbox_extra_artists: Any = None) -> Any:
            box = measure(renderer, bbox_extra_artists=bbox_extra_artists)
            box = self._without_what_is_far_away(figure, box, renderer, measure)
            if is_bounded and not can_be_drawn(padded := box.padded(padding), figure.dpi):
                raise TooLargeError(padded)
            return box

        buffer = io.BytesIO()
        figure.get_tightbbox = get_tightbbox
        try:
            figure.canvas.print_figure(buffer, **options)
        finally:
            vars(figure).pop("get_tightbbox", None)  # two threads may draw it at once
        return buffer.getvalue()

    def _without_what_is_far_away(
        self, figure: Any, box: Any, renderer: Any, measure: Callable[[Any], Any]
    ) -> Any:
        """Have no text that stands where its axes do not reach make the picture a strip.

        The box of all that is drawn is what a picture has. Legends and labels stand beside a
        figure; what does not even begin in three times its size is left out of that box.
        """
        width, height = figure.get_size_inches()
        if box.width <= 3 * width and box.height <= 3 * height:
            return box
        smaller = box_of_near(figure, renderer, measure)
        is_smaller = smaller.width < box.width or smaller.height < box.height
        if not is_smaller and can_be_drawn(box, figure.dpi):
            return box
        self._told[_FAR_AWAY] = None
        return smaller if can_be_drawn(smaller, figure.dpi) else figure.bbox_inches

    def end(self) -> None:
        """Say once what the figures lack."""
        for sentence in self._told:
            print(sentence, file=sys.stderr)  # noqa: T201 -- as below
        self._told.clear()
        if _boxes:
            some = "".join(map(chr, sorted(_boxes)[:10]))
            _boxes.clear()
            print(  # noqa: T201 -- this is for whoever reads what the code prints
                f"The fonts here have no glyphs for {some}: figures show boxes instead. Use other "
                "characters, or a font file that you upload and add by "
                "matplotlib.font_manager.fontManager.addfont().",
                file=sys.stderr,
            )


def _is_empty(figure: Any) -> bool:
    """Whether it has no more than its background, and parts of which the same is true."""
    parts = figure.subfigs
    drawn = len(figure.get_children()) - len(parts)
    return drawn <= 1 and not figure.axes and all(map(_is_empty, parts))


def refuse_clicks() -> None:
    """Have what waits for a click or a key say that there will be none."""
    waiting = sys.modules.get("matplotlib._blocking_input")  # from matplotlib 3.6 on
    if waiting is not None:
        waiting.blocking_input_loop = _no_clicks  # pyright: ignore[reportAttributeAccessIssue] -- it has one


def draw_once(pyplot: ModuleType) -> None:
    """Have pyplot draw no figure at the end of an execution: it is drawn where it is shown."""
    pyplot.uninstall_repl_displayhook()
    pyplot.install_repl_displayhook = _no_hook  # pyright: ignore[reportAttributeAccessIssue] -- it has one


def _no_hook() -> None:
    """There is no window that would be out of date."""


def _no_clicks(*args: object, **kwargs: object) -> NoReturn:
    raise EOFError(NO_CLICKS)


def open_figures() -> list[Any]:
    """Pyplot's open figures, oldest first; imports nothing."""
    helpers = sys.modules.get("matplotlib._pylab_helpers")
    if helpers is None:
        return []
    return [manager.canvas.figure for manager in helpers.Gcf.get_all_fig_managers()]


def show_open_figures() -> None:
    """Display the figures that are still open, whichever backend the code chose, and close them."""
    figures = open_figures()
    if not figures:
        return
    from IPython.display import display

    try:
        for figure in figures:
            display(figure)
    finally:
        sys.modules["matplotlib.pyplot"].close("all")


def accept_backends(pyplot: ModuleType) -> None:
    """Have pyplot take every backend: one that cannot be here becomes the inline one."""
    switch = pyplot.switch_backend

    def switch_backend(name: str) -> None:
        try:
            switch(name)
        except Exception:
            say_inline(name)
            switch(INLINE)

    switch_backend.__doc__ = switch.__doc__
    pyplot.switch_backend = switch_backend  # pyright: ignore[reportAttributeAccessIssue] -- it has one


def say_inline(name: str) -> None:
    """Say that a backend was not taken."""
    print(  # noqa: T201 -- this is for whoever reads what the code prints
        f"There is no screen here for {name!r}; figures are shown in the result, as with "
        "%matplotlib inline.",
        file=sys.stderr,
    )


def enable_matplotlib(shell: InteractiveShell, gui: object) -> tuple[str, str]:
    """What ``%matplotlib`` does here: whatever is asked for, figures are shown in the result."""
    import matplotlib as mpl

    if gui not in (None, "inline", "auto", "agg", INLINE):
        say_inline(str(gui))
    from matplotlib import pyplot
    from matplotlib_inline.backend_inline import configure_inline_support

    pyplot.switch_backend(INLINE)
    mpl.interactive(True)
    configure_inline_support(shell, INLINE)
    return "inline", INLINE


def collect_missing_glyphs() -> None:
    """Have warnings of them, one for each character, told together at the end of an execution."""
    show = warnings.showwarning

    def showwarning(message: Warning | str, *args: Any, **kwargs: Any) -> None:
        if not _is_of_glyph(message):
            show(message, *args, **kwargs)

    warnings.showwarning = showwarning


def _is_of_glyph(message: Warning | str) -> bool:
    missing = _MISSING_GLYPH.match(str(message))
    if missing is not None:
        _boxes.add(int(missing[1]))
    return missing is not None


def find_fonts(font_manager: ModuleType) -> None:
    """Have glyphs found in other fonts that are there, whichever font code or a style chooses.

    Those of the machine that have what the usual one lacks, and those that code adds.
    """
    manager = font_manager.fontManager
    names = {font.name for font in manager.ttflist}
    others = [name for name in _FALLBACK_FONTS if name in names]
    chosen, add = font_manager.FontProperties.get_family, font_manager.FontManager.addfont

    def get_family(properties: Any) -> list[str]:
        family = chosen(properties)
        return [*family, *(name for name in others if name not in family)]

    def addfont(manager: Any, path: Any) -> None:
        before = len(manager.ttflist)
        add(manager, path)
        others[:0] = [font.name for font in manager.ttflist[before:]]

    font_manager.FontProperties.get_family = get_family
    font_manager.FontManager.addfont = addfont


def _chosen(figure: Any) -> dict[str, Any]:
    """What code configured for figures in notebooks: a finer picture, another frame."""
    config = sys.modules.get("matplotlib_inline.config")
    if config is None or not config.InlineBackend.initialized():
        return {}
    inline = config.InlineBackend.instance()
    options = dict(inline.print_figure_kwargs)
    if "retina" in inline.figure_formats or "png2x" in inline.figure_formats:
        options["dpi"] = 2 * figure.dpi
    return options


def forget_fonts() -> None:
    """Have matplotlib, which keeps the files of fonts open, open them again.

    Raises:
        AttributeError: this release of it keeps them elsewhere.
    """
    fonts = sys.modules.get("matplotlib.font_manager")
    if fonts is not None:
        fonts._get_font.cache_clear()


def is_figure(obj: object) -> bool:
    """Whether a value is a figure of matplotlib, which is not imported for that."""
    module = sys.modules.get("matplotlib.figure")
    return module is not None and isinstance(obj, module.Figure)


def is_empty_figure(bundle: Mapping[str, object]) -> bool:
    """A figure without anything in it, or one that was shown already."""
    plain = bundle.get("text/plain")
    return (
        len(bundle) == 1 and isinstance(plain, str) and _EMPTY_FIGURE.fullmatch(plain) is not None
    )
