"""``aca-mcp exec``: Python in a fresh session, with its output as it appears.

What the code prints, shows and names is hostile: it reaches a terminal without control characters,
and never chooses a file name of this machine.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import anyio

from aca_mcp.cli.logs import configure_logging
from aca_mcp.cli.transfers import download, host_file, upload
from aca_mcp.errors import SettingsError
from aca_mcp.pool import ExecutionStatus
from aca_mcp.pools import open_session_pool
from aca_mcp.session import PythonSession

if TYPE_CHECKING:
    import argparse

    from aca_mcp.pool import Execution, Output, OutputChunk
    from aca_mcp.settings import Settings

_IMAGE_SUFFIXES = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "image/svg+xml": ".svg",
}
_CONTROL = {
    code: "\N{REPLACEMENT CHARACTER}"
    for code in (*range(32), *range(127, 160))
    if chr(code) not in "\t\n\r"
}
"""The control characters that could drive a terminal."""


@dataclasses.dataclass(frozen=True, slots=True)
class ExecRequest:
    """What one ``aca-mcp exec`` does, in this order."""

    uploads: tuple[Path, ...]
    """Files of this machine; each is copied to the work directory under its own name."""
    code: str
    downloads: tuple[str, ...]
    """Paths in the session; each is copied to the current directory under its own name."""


def request_from(arguments: argparse.Namespace) -> ExecRequest:
    """Read the code, and see that the files to upload are there before anything is started.

    Raises:
        SettingsError: a script or a file to upload is not there.
    """
    uploads = tuple(Path(name) for name in arguments.upload)
    for path in uploads:
        if not path.is_file():
            raise SettingsError(f"--upload {path} is not a file of this machine.")
    for path in arguments.download:
        if Path(path).name in {"", ".."}:
            raise SettingsError(f"--download {path} does not name a file.")
    return ExecRequest(uploads, _code(arguments.code), tuple(arguments.download))


def _code(argument: str) -> str:
    if argument == "-":
        return sys.stdin.read()
    is_script = argument.endswith((".py", ".ipy")) and "\n" not in argument
    if not is_script:
        return argument
    try:
        return Path(argument).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"{argument} is not a script that can be read, in UTF-8.") from None


def execute(settings: Settings, request: ExecRequest) -> int:
    """Run a request in a fresh session; returns 0 if the code succeeded, else 1.

    Raises:
        SessionPoolError: the pool, not the code, is in the way.
    """
    configure_logging(settings.log_level)
    return anyio.run(_execute, settings, request)


async def _execute(settings: Settings, request: ExecRequest) -> int:
    async with open_session_pool(settings) as pool, PythonSession(pool) as session:
        for path in request.uploads:
            await upload(session, path)
        screen = Screen(sys.stdout, sys.stderr)
        execution = await session.execute(
            request.code,
            timeout_seconds=settings.execution_timeout_seconds,
            on_output=screen.show_chunk,
        )
        screen.show_rest(execution)
        if execution.status is not ExecutionStatus.SUCCEEDED:
            return 1
        for path in request.downloads:
            screen.note(f"saved {await download(session, path)}")
        return 0


class Screen:
    """Where a person reads: two streams, each perhaps a terminal."""

    def __init__(self, stdout: TextIO, stderr: TextIO) -> None:
        """Show on these streams."""
        self._streams = {"stdout": stdout, "stderr": stderr}
        self._shown: set[str] = set()

    def show_chunk(self, chunk: OutputChunk) -> None:
        """Show output of running code."""
        self._shown.add(chunk.stream)
        self._write(chunk.stream, chunk.text)

    def show_rest(self, execution: Execution) -> None:
        """Show what appears at the end: values, figures, and how it went if not well."""
        # Not every pool tells what is printed while it is.
        for name, stream in (("stdout", execution.stdout), ("stderr", execution.stderr)):
            if name not in self._shown:
                self._write(name, stream.text)
        for output in execution.outputs:
            self._show_output(output)
        if execution.error is not None:
            self._write("stderr", _line(execution.error.traceback))
        elif execution.status is ExecutionStatus.TIMED_OUT:
            self.note("time is up; --execution-timeout-seconds gives more")
        if execution.session_lost is not None:
            self.note(f"the session ended, with its files: {execution.session_lost}")

    def note(self, text: str) -> None:
        """Say something of our own."""
        self._write("stderr", f"aca-mcp: {text}\n")

    def _show_output(self, output: Output) -> None:
        for mime_type, suffix in _IMAGE_SUFFIXES.items():
            if (image := output.data.get(mime_type)) is not None:
                self.note(f"saved {_save_image(image, suffix)}")
                return
        text = output.data.get("text/plain")
        if isinstance(text, str):
            self._write("stdout", _line(text))

    def _write(self, name: str, text: str) -> None:
        stream = self._streams[name]
        stream.write(text.translate(_CONTROL) if stream.isatty() else text)
        stream.flush()


def _save_image(image: str | bytes, suffix: str) -> Path:
    number = 1
    while os.path.lexists(path := Path(f"figure-{number}{suffix}")):
        number += 1
    # "x": not even a link that was made in this moment is followed.
    with host_file(path), path.open("xb") as file:
        file.write(image if isinstance(image, bytes) else image.encode())
    return path


def _line(text: str) -> str:
    return text if text.endswith("\n") else f"{text}\n"
