"""``aca-mcp exec`` and ``repl``: Python in a fresh session, with its output as it appears."""

from __future__ import annotations

import dataclasses
import functools
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from aca_mcp.cli.code_sources import code_source
from aca_mcp.cli.counted_session import CountedSession
from aca_mcp.cli.figures import shower
from aca_mcp.cli.interrupts import INTERRUPTED, Interrupts, open_interrupts
from aca_mcp.cli.logs import configure_logging
from aca_mcp.cli.screen import Screen
from aca_mcp.cli.transfers import download, host_file, upload, written_whole
from aca_mcp.cli.waiting import say_if_it_takes_long
from aca_mcp.errors import NotSupportedError, SessionPoolError, SettingsError
from aca_mcp.execution import status_of_command
from aca_mcp.pool import ExecutionStatus
from aca_mcp.pools import open_session_pool, package_offer
from aca_mcp.server.results.notebook import notebook
from aca_mcp.server.sessions.execution_store import Record
from aca_mcp.server.sessions.undone_executions import taken_back
from aca_mcp.session import STOP_SECONDS, PythonSession
from aca_mcp.unrecorded_code import program

if TYPE_CHECKING:
    import argparse

    from aca_mcp.cli.code_sources import CodeSource
    from aca_mcp.execution import Rollback
    from aca_mcp.pool import Execution, SessionPool
    from aca_mcp.settings import Settings

_FAILED = 1
_MAX_EXIT_CODE = 255
_PREPARE_SECONDS = 60
_HURRIED_SECONDS = 2
"""For ending the session after a person has pressed Ctrl-C twice."""


@dataclasses.dataclass(frozen=True, slots=True)
class ExecRequest:
    """What one ``aca-mcp exec`` does, in this order."""

    uploads: tuple[Path, ...]
    """Files of this machine; each is copied to the work directory under its own name."""
    source: CodeSource
    """What is run. A script is copied to the work directory before all other files."""
    interactive: bool
    """Go on at a prompt."""
    downloads: tuple[str, ...]
    """Paths in the session; each is copied to the current directory under its own name."""
    notebook: Path | None
    """Where to write what ran."""


def request_from(arguments: argparse.Namespace) -> ExecRequest:
    """Read the code, and see that the files to upload are there before anything is started.

    Raises:
        SettingsError: a script or a file to upload is not there, or there is nothing to run.
    """
    uploads = tuple(Path(name) for name in arguments.upload)
    for path in uploads:
        if not path.is_file():
            raise SettingsError(f"--upload {path} is not a file of this machine.")
    for path in arguments.download:
        if Path(path).name in {"", ".."}:
            raise SettingsError(f"--download {path} does not name a file.")
    notebook: Path | None = arguments.notebook
    if notebook is not None and not notebook.absolute().parent.is_dir():
        raise SettingsError(f"--notebook {notebook} is in no directory that exists.")
    words: list[str] = arguments.words
    has_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if arguments.interactive and (words[:1] == ["-"] or not has_terminal):
        raise SettingsError("A prompt needs a terminal. For code from a pipe there is exec -.")
    if not words and not arguments.interactive:
        raise SettingsError(
            "exec needs code, a path of a script or a notebook, - for stdin, or --interactive."
        )
    return ExecRequest(
        uploads,
        code_source(words, is_code=arguments.is_code),
        arguments.interactive,
        tuple(arguments.download),
        notebook,
    )


def execute(settings: Settings, request: ExecRequest) -> int:
    """Run a request in a fresh session.

    Returns:
        0 if the code succeeded, what it exited with if it did that, 130 if it was interrupted,
        and else 1.

    Raises:
        SessionPoolError: the pool, not the code, is in the way.
    """
    configure_logging(settings.log_level)
    return anyio.run(_execute, settings, request)


async def _execute(settings: Settings, request: ExecRequest) -> int:
    show_figure = shower(sys.stdin, sys.stdout, asks_first=request.interactive)
    screen = Screen(
        sys.stdout,
        sys.stderr,
        keeps_session=request.interactive,
        show_figure=show_figure,
        offer=package_offer(settings),
        downloads=request.downloads,
    )
    code = INTERRUPTED
    async with open_interrupts(screen.note) as interrupts, open_session_pool(settings) as pool:
        session = PythonSession(pool)
        try:
            code = await Run(settings, request, screen, interrupts).run(pool, session)
        finally:
            if settings.pool_kind == "azure":  # one of this machine ends its sessions with itself
                with anyio.CancelScope(shield=True):
                    await session.close(
                        within_seconds=_HURRIED_SECONDS if interrupts.ended else STOP_SECONDS
                    )
    return INTERRUPTED if interrupts.ended else code


class Run:
    """One request on its way."""

    def __init__(
        self, settings: Settings, request: ExecRequest, screen: Screen, interrupts: Interrupts
    ) -> None:
        self._settings = settings
        self._request = request
        self._screen = screen
        self._interrupts = interrupts
        self._records: list[Record] = []

    async def run(self, pool: SessionPool, session: PythonSession) -> int:
        """Do it all, and return the exit code."""
        request, is_shell = self._request, False
        if self._settings.pool_kind == "azure":
            async with say_if_it_takes_long(self._settings, self._screen.note):
                is_shell = (await pool.metadata()).runs == "shell"
        command = _command(request) if is_shell else None
        counted = CountedSession(session)
        await self._prepare(counted, keeps_program=not is_shell)
        code = 0
        try:
            for each in request.source.codes:
                ran = await self._execute(counted, each, command)
                code = _exit_code(ran)
                if ran.status is not ExecutionStatus.SUCCEEDED:
                    break
            if request.interactive:
                from aca_mcp.cli.prompt import prompt_for_code

                code = 0
                run = functools.partial(self._execute, counted)
                await prompt_for_code(counted, run, completes=not is_shell)
        finally:
            self._heed_setbacks(counted)
            if request.notebook is not None:
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(_write_notebook, request.notebook, self._records)
                self._screen.note(f"saved {request.notebook}")
        for path in request.downloads:
            try:
                self._screen.note(f"saved {await download(session, path)}")
            except SessionPoolError as error:
                if code == 0:
                    raise
                self._screen.note(error.message)
        self._screen.tell_of_files()
        return code or (_FAILED if self._screen.is_incomplete else 0)

    async def _prepare(self, counted: CountedSession, *, keeps_program: bool) -> None:
        """Bring the files, and have the code find itself the program that it is.

        Args:
            counted: where to.
            keeps_program: what an execution makes of its Python is there for the next.
        """
        _, script, argv = self._request.source
        for path in (script, *self._request.uploads):
            if path is not None:
                await upload(counted.session, path)
        if keeps_program and (script is not None or len(argv) > 1):
            prepared = await counted.execute_unrecorded(
                program(argv, is_file=script is not None),
                timeout_seconds=min(_PREPARE_SECONDS, self._settings.max_timeout_seconds),
            )
            self._screen.show_rest(prepared)  # nothing, but for what a pool remarks at first

    async def _execute(
        self, counted: CountedSession, code: str, command: str | None = None
    ) -> Execution:
        """Run code and show it; Ctrl-C interrupts it and nothing else.

        Args:
            counted: where to run it.
            code: what is run.
            command: what is to be sent in its place, if not it itself.
        """
        self._heed_setbacks(counted)
        self._screen.begin()
        with self._interrupts.of(counted.session.interrupt):
            execution = await counted.execute(
                code if command is None else command,
                timeout_seconds=self._settings.execution_timeout_seconds,
                on_output=self._screen.show_chunk,
            )
        self._records.append(Record(f"execution-{len(self._records) + 1}", code, execution))
        self._mark_undone(execution.rollback)
        self._screen.show_rest(execution)
        return execution

    def _heed_setbacks(self, counted: CountedSession) -> None:
        """Tell what has become of earlier code meanwhile, and note it."""
        for lost, rollback in counted.take_setbacks():
            self._screen.tell_setback(lost, rollback)
            self._mark_undone(rollback)

    def _mark_undone(self, rollback: Rollback | None) -> None:
        undone = [] if rollback is None else taken_back(self._records, rollback)
        for position, each in enumerate(self._records):
            if each in undone:
                self._records[position] = each._replace(is_undone=True)


def _command(request: ExecRequest) -> str | None:
    """What runs a script as the program that it is where each execution is a new Python.

    Returns:
        Commands, or None for code that can be run as it is.

    Raises:
        NotSupportedError: it has arguments, and there is no file to give them to; or it is several
            cells, which would know nothing of each other.
    """
    codes, script, argv = request.source
    if script is not None and script.suffix != ".ipy":
        # Behind -- a name that begins with a dash is one.
        return f"%%bash\n{shlex.join(['python3', '--', *argv])}"
    if len(codes) > 1:
        raise NotSupportedError(
            "In a Shell pool no notebook can be run: Python is started anew for each execution. "
            "Nothing was executed."
        )
    if len(argv) > 1:
        raise NotSupportedError(
            "In a Shell pool only a script can have arguments: Python is started anew for each "
            "execution. Nothing was executed. Put the code into a file, or the values into it."
        )
    return None


def _write_notebook(path: Path, records: list[Record]) -> None:
    text = notebook(records)
    with host_file(path):
        if path.exists() and not path.is_file():  # a pipe or a device
            path.write_text(text, encoding="utf-8")
            return
        with written_whole(Path(os.path.realpath(path))) as partial:
            partial.write_text(text, encoding="utf-8")


def _exit_code(execution: Execution) -> int:
    if execution.status is ExecutionStatus.SUCCEEDED:
        return 0
    if execution.status is ExecutionStatus.CANCELED:
        return INTERRUPTED
    error = execution.error
    if error is None or error.name == "KeyboardInterrupt":
        return _FAILED if error is None else INTERRUPTED
    if error.name == "SystemExit" and error.message.lstrip("-").isdigit():
        # As a process' exit code: what a shell sees of sys.exit(-1) is 255.
        return int(error.message) & _MAX_EXIT_CODE
    status = status_of_command(error)
    return _FAILED if status is None else status
