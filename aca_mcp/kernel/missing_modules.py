"""The module that an error is about, as code names it, and what it may have meant instead.

Standard library. Who knows the packages says, outside, what to do about it.
"""

from __future__ import annotations

import difflib
import importlib.util
import linecache
import pkgutil
import re
import sys
from importlib import metadata

from .error_hints import causes, text_of

_TO_INSTALL = re.compile(
    r"(?:pip3? install|conda install|[Pp]lease install|to install|accessor requires)(?: the)? "
    r"(?!(?:it|them|this|or|and|an?)\b)[`'\"]*([A-Za-z]\w*(?:-\w+)*)"
    r"|[`'\"]?\b([A-Za-z]\w*)[`'\"]? (?:not found, please install|is not installed)"
    r"|requires '([A-Za-z]\w*)' version"
)
"""As libraries say it of what they can do without."""
_FROM = re.compile(r"[ \t]*from[ \t]+([\w.]+)[ \t]+import[ \t]*(?:\([ \t]*\n?[ \t]*)?(\w+)?")
_DOTTED = re.compile(r"\w+(?:\.\w+)*")
_LIKENESS = 0.8


def missing_module(error: BaseException) -> str:
    """The module that could not be found, as code names it: ``google.cloud.storage``.

    Empty for other errors, and for a module that a package which is there does not have.
    """
    for each in causes(error):
        if type(each) in (ImportError, AttributeError) and getattr(each, "name", None) is None:
            if (wanted := _TO_INSTALL.search(text_of(each))) is not None:
                name = next(filter(None, wanted.groups()))[:200]
                if not _is_there(name):  # one of several that are asked for
                    return name
        elif isinstance(each, ModuleNotFoundError) and isinstance(each.name, str):
            parent = each.name.rpartition(".")[0]
            if parent and not _is_namespace(parent):
                return ""
            return _as_imported(each, each.name)[:200]
    return ""


def similar_module(error: BaseException) -> str:
    """The name of a module that is there and much like the one that was not found, or nothing."""
    name = error.name if isinstance(error, ModuleNotFoundError) else None
    if not isinstance(name, str):
        return ""
    parent, _, last = name.rpartition(".")
    paths = getattr(sys.modules.get(parent), "__path__", None) if parent else None
    if parent and paths is None:
        return ""
    found = [each.name for each in pkgutil.iter_modules(paths)]
    near = difflib.get_close_matches(last, found, n=1, cutoff=_LIKENESS)
    return f"{parent}.{near[0]}".lstrip(".") if near else ""


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None or bool(metadata.version(name))
    except (ImportError, ValueError):  # of which the error of ``metadata`` is one
        return False


def _is_namespace(name: str) -> bool:
    """Whether several packages may have modules below this one."""
    module = sys.modules.get(name)
    return module is not None and getattr(module, "__file__", None) is None


def _as_imported(error: BaseException, name: str) -> str:
    """The whole name in the line that imports it; the error has the first part that is missing."""
    line, rest = "", ""
    frames = error.__traceback__
    while frames is not None:
        file, number = frames.tb_frame.f_code.co_filename, frames.tb_lineno
        if not file.startswith("<frozen "):
            line, rest = linecache.getline(file, number), linecache.getline(file, number + 1)
        frames = frames.tb_next
    if (match := _FROM.match(line + rest)) is not None and _begins(match.group(1), name):
        return ".".join(filter(None, match.groups()))
    found = (each for each in _DOTTED.findall(line) if _begins(each, name))
    return next(found, name)


def _begins(dotted: str, name: str) -> bool:
    return dotted == name or dotted.startswith(f"{name}.")
