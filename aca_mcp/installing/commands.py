"""Which installer this machine has, and running it with bounds.

The only module outside ``local`` that starts a program. What it starts is the user's own uv or pip,
with the user's own configuration of both (``package_sources``); nothing of a package is run by it.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import anyio
import anyio.abc

from aca_mcp.installing.package_sources import environment_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MAX_STDOUT_BYTES = 32 * 2**20
_MAX_STDERR_BYTES = 256 * 1024
_READ_BYTES = 64 * 1024
_REST_SECONDS = 2


class InstallerError(Exception):
    """The installer did not do what it was asked; the text is what it said."""


class InstallerMissingError(InstallerError):
    """This machine has neither uv nor pip."""

    def __init__(self) -> None:
        super().__init__(
            "neither uv nor pip is there; install uv beside aca-mcp (pip install 'aca-mcp[local]')"
        )


@dataclass(frozen=True, slots=True)
class Installer:
    """A command that installs packages."""

    name: Literal["uv", "pip"]
    command: tuple[str, ...]
    places: Mapping[str, str] = field(default_factory=dict[str, str])
    """Variables that name directories which it writes to, in the place of the user's."""
    index: str = ""
    """The URL of the package index, where it is not the one that it is configured for."""
    max_file_bytes: int | None = None
    """The largest file that it may write. What an index does not tell of a wheel, the wheel is
    fetched for."""

    def variables(self) -> dict[str, str]:
        """What it must be told: of its places, and of how the other one is configured.

        Reads files.
        """
        return {**environment_for(self.name, os.environ), **self.places}

    async def run(
        self,
        *arguments: str,
        variables: Mapping[str, str] | None = None,
        timeout_seconds: float,
        shows_progress: bool = False,
    ) -> str:
        """Have it ask its index, and do what the arguments say; as ``run``.

        Raises:
            InstallerError: as ``run``.
        """
        option = "--default-index" if self.name == "uv" else "--index-url"
        return await run(
            (*self.command, *arguments, *((option, self.index) if self.index else ())),
            variables={**self.variables(), **(variables or {})},
            timeout_seconds=timeout_seconds,
            max_file_bytes=self.max_file_bytes,
            shows_progress=shows_progress,
        )


def find_installer() -> Installer:
    """Find uv beside this package or on the PATH, else pip.

    Raises:
        InstallerMissingError: there is none.
    """
    if importlib.util.find_spec("uv") is not None:
        from uv import find_uv_bin

        with suppress(FileNotFoundError):
            return Installer("uv", (find_uv_bin(),))
    if (uv := shutil.which("uv")) is not None:
        return Installer("uv", (uv,))
    if importlib.util.find_spec("pip") is not None:
        return Installer("pip", (sys.executable, "-m", "pip"))
    if (pip := shutil.which("pip3") or shutil.which("pip")) is not None:
        return Installer("pip", (pip,))
    raise InstallerMissingError


async def run(
    command: Sequence[str],
    *,
    variables: Mapping[str, str] | None = None,
    timeout_seconds: float,
    max_file_bytes: int | None = None,
    shows_progress: bool = False,
) -> str:
    """Run a command to its end and return what it printed.

    Args:
        command: the program and its arguments.
        variables: of its environment, beside this process's.
        timeout_seconds: it is killed after that, with what it started.
        max_file_bytes: no file that it writes may be larger.
        shows_progress: its stderr goes to this process's, with the bars that it draws there.

    Raises:
        InstallerError: it failed, could not be started or took too long.
    """
    try:
        process = await anyio.open_process(
            command,
            stdin=-3,  # /dev/null
            stderr=None if shows_progress else -1,
            start_new_session=not shows_progress,  # a person's Ctrl-C is for it, too
            # Certificates that the machine trusts, as for pip: behind a company's proxy uv's own
            # are not enough. What the user has set wins.
            env={
                "UV_SYSTEM_CERTS": "1",
                **os.environ,
                **(variables or {}),
                "PIP_DISABLE_PIP_VERSION_CHECK": "1",
                "PIP_NO_INPUT": "1",
            },
        )
    except OSError as error:
        raise InstallerError(f"{command[0]} cannot be started: {error.strerror}") from error
    stdout, stderr = bytearray(), bytearray()
    try:
        with anyio.fail_after(timeout_seconds):
            if max_file_bytes is not None:
                _limit_files(process.pid, max_file_bytes)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_collect, process.stderr, stderr, _MAX_STDERR_BYTES)
                tasks.start_soon(_collect, process.stdout, stdout, _MAX_STDOUT_BYTES)
                await process.wait()
                # What it started may outlive it, and holds the other ends.
                tasks.cancel_scope.deadline = anyio.current_time() + _REST_SECONDS
    except TimeoutError:
        raise InstallerError(f"it took longer than {timeout_seconds:g} seconds") from None
    finally:
        with anyio.CancelScope(shield=True):
            await _end(process, whole_group=not shows_progress)
    if sys.platform != "win32" and process.returncode == -signal.SIGXFSZ:
        raise InstallerError("File too large")
    if sys.platform != "win32" and process.returncode == -signal.SIGKILL:
        raise InstallerError("it was killed")
    if process.returncode != 0:
        said = (stderr or stdout).decode("utf-8", "replace").strip()
        raise InstallerError(said or f"it ended with exit code {process.returncode}")
    return stdout.decode("utf-8", "replace")


def _limit_files(pid: int, most_bytes: int) -> None:
    if sys.platform == "linux":  # elsewhere what grows too large is noticed a little later
        import resource

        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (most_bytes, most_bytes))


async def _collect(stream: anyio.abc.ByteReceiveStream | None, kept: bytearray, most: int) -> None:
    """Read a stream to its end; of what is too much, the beginning is dropped."""
    if stream is None:
        return
    with suppress(anyio.EndOfStream):
        while True:
            kept += await stream.receive(_READ_BYTES)
            del kept[:-most]


async def _end(process: anyio.abc.Process, *, whole_group: bool) -> None:
    """End it, and with it what it started, which may still run when it does not."""
    with suppress(ProcessLookupError):
        if whole_group and sys.platform != "win32":
            os.killpg(process.pid, signal.SIGKILL)
        elif process.returncode is None:
            process.kill()
    with anyio.move_on_after(5):
        await process.wait()
    await process.aclose()
