"""What sessions do not have, in a sentence for code that has just found that out. Standard library.

The module that cannot be imported is named apart: who knows the packages says what to do about it.
"""

from __future__ import annotations

import errno
import linecache
import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

NO_INPUT = (
    "{}() is not available: nobody can type into this session. "
    "Put the value into the code, or upload it as a file."
)
NO_DEBUGGER = (
    "There is no debugger to talk to: nobody can type into this session. Print what you want to "
    "know, or look at the variables in the next call: they are kept."
)
_NO_NETWORK = (
    "Sessions have no network, so nothing can be fetched from it. Bring the data as a file of the "
    "session, or make it in the code."
)
_NOT_REACHED = (
    "The network was not reached: this session may have none, or not to there. If it stays so, "
    "bring the data as a file of the session."
)
_NO_GPU = "Sessions have no GPU. Choose the CPU, such as device='cpu'."
_NO_SCREEN = (
    "Sessions have no screen and no windows. Figures are shown in the result; save anything else "
    "to a file."
)

_LOST_WORKERS = (
    "A worker process ended: it had too little memory, or did not find a function. Workers know "
    "what was imported and defined before they were started; functions that are made in other "
    "ways they find in a module (%%writefile)."
)

_BY_NAME = {
    "BdbQuit": NO_DEBUGGER,
    "BrokenProcessPool": _LOST_WORKERS,
    "StdinNotImplementedError": NO_INPUT.format("input"),
    "TerminatedWorkerError": _LOST_WORKERS,
}
"""What there is to know about an exception of this name."""

_NETWORK_ERRNOS = frozenset(
    {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EAFNOSUPPORT}
)
_RESOLVING = ("gaierror", "NameResolutionError")
_NETWORK_WORDS = (
    "Temporary failure in name resolution",
    "Name or service not known",
    "Network is unreachable",
    "NameResolutionError",
    "nodename nor servname provided",
)
_GPU_WORDS = ("no nvidia driver", "not compiled with cuda", "cuda is not available", "no cuda gpu")
_SCREEN_WORDS = (
    "no display name and no $display",
    "couldn't connect to display",
    "could not connect to display",
    "cannot connect to x server",
    "no available video device",
    "could not load the qt platform plugin",
)
_MAX_CHAIN = 20
_TO_INSTALL = re.compile(
    r"(?:pip3? install|conda install|[Pp]lease install|to install|accessor requires)(?: the)? "
    r"(?!(?:it|them|this|or|and|an?)\b)[`'\"]*([A-Za-z]\w*)"
    r"|[`'\"]?\b([A-Za-z]\w*)[`'\"]? (?:not found, please install|is not installed)"
    r"|requires '([A-Za-z]\w*)' version"
)
_FROM = re.compile(r"[ \t]*from[ \t]+([\w.]+)[ \t]+import[ \t]*(?:\([ \t]*\n?[ \t]*)?(\w+)?")
_DOTTED = re.compile(r"\w+(?:\.\w+)*")


def hint_for(error: BaseException) -> str:
    """What to know about an error; empty for most."""
    for each in _causes(error):
        name, text = type(each).__name__, _text(each)
        if name in _BY_NAME:
            return _BY_NAME[name]
        lowered = text.lower()
        if _is_of_network(each, name, text):
            return _NOT_REACHED if _has_network() else _NO_NETWORK
        if any(words in lowered for words in _GPU_WORDS):
            return _NO_GPU
        if any(words in lowered for words in _SCREEN_WORDS):
            return _NO_SCREEN
    return ""


def missing_module(error: BaseException) -> str:
    """The module that could not be found, as code names it: ``google.cloud.storage``.

    Empty for other errors, and for a module that a package which is there does not have.
    """
    for each in _causes(error):
        if type(each) in (ImportError, AttributeError) and getattr(each, "name", None) is None:
            # As libraries say it of what they can do without.
            if (wanted := _TO_INSTALL.search(_text(each))) is not None:
                return next(filter(None, wanted.groups()))[:200]
        elif isinstance(each, ModuleNotFoundError) and isinstance(each.name, str):
            parent = each.name.rpartition(".")[0]
            if parent and not _is_namespace(parent):
                return ""
            return _as_imported(each, each.name)[:200]
    return ""


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


def is_network_hint(hint: str) -> bool:
    """Whether a hint says that there is no network."""
    return hint in (_NO_NETWORK, _NOT_REACHED)


def _has_network() -> bool:
    """Whether this process sees an interface besides its own loopback."""
    try:
        import socket

        return any(name != "lo" for _, name in socket.if_nameindex())
    except (ImportError, AttributeError, OSError):
        return False


def _is_of_network(error: BaseException, name: str, text: str) -> bool:
    if name in _RESOLVING:
        return True
    if isinstance(error, OSError) and error.errno in _NETWORK_ERRNOS:
        return True
    return any(words in text for words in _NETWORK_WORDS)


def _causes(error: BaseException) -> Iterator[BaseException]:
    each: object = error
    for _ in range(_MAX_CHAIN):
        if not isinstance(each, BaseException):
            return
        yield each
        try:
            each = each.__cause__ or each.__context__
        except Exception:  # a property of the code's own
            return


def _text(error: BaseException) -> str:
    """The text of those exceptions whose text is made of what they were given."""
    return " ".join(
        str(each)[:1000] for each in error.args[:5] if isinstance(each, (str, Exception))
    )
