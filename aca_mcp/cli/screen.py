"""What a person sees of executions: two streams, each perhaps a terminal.

What code prints, shows and names is hostile: it reaches a terminal without what could drive it or
make text read as something else, and it never chooses a file name of this machine.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from aca_mcp.cli.figures import Figures
from aca_mcp.cli.markdown import show_markdown
from aca_mcp.cli.transfers import host_file
from aca_mcp.errors import HostPathRefusedError
from aca_mcp.missing_modules import NOTHING, PackageOffer, about_missing_module
from aca_mcp.pool import ExecutionStatus, Output, before_time_was_up, what_is_kept
from aca_mcp.server.results.report import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from aca_mcp.execution import Rollback
    from aca_mcp.pool import Execution, ExecutionError, OutputChunk

_HARMFUL = {
    code: "\N{REPLACEMENT CHARACTER}"
    for code in (
        *range(32),
        *range(127, 160),
        # Marks that change the direction of what follows, so that it reads as something else.
        0x061C,
        0x200E,
        0x200F,
        *range(0x202A, 0x202F),
        *range(0x2066, 0x206A),
    )
    if chr(code) not in "\t\n\r"
}
_MAX_NAMED = 5


class Screen:
    """Where a person reads."""

    def __init__(
        self,
        stdout: TextIO,
        stderr: TextIO,
        *,
        keeps_session: bool = False,
        show_figure: Callable[[bytes], None] | None = None,
        offer: PackageOffer = NOTHING,
        downloads: Collection[str] = (),
    ) -> None:
        """Show on these streams.

        Args:
            stdout: for what the code prints and its values.
            stderr: for its errors, and what we say.
            keeps_session: the session goes on after an execution.
            show_figure: shows a PNG beside saying where it was saved.
            offer: which further packages sessions may get.
            downloads: files that are saved in the end.
        """
        self._streams = {"stdout": stdout, "stderr": stderr}
        on_one = stdout.isatty() and stderr.isatty()
        self._surfaces = {name: "terminal" if on_one else name for name in self._streams}
        """Where each is read: on one terminal, what one wrote stands before the other."""
        self._keeps_session = keeps_session
        self._show_figure = show_figure
        self._offer = offer
        self._downloads = downloads
        self._figures = Figures()
        self._shown: set[str] = set()
        """Streams of which all is told while the code runs."""
        self._displayed: list[Output] = []
        """What was told likewise."""
        self._within_line: set[str] = set()
        self._files: dict[str, None] = {}
        """Paths of what code has written, and nobody has asked to have here."""
        self.is_incomplete = False
        """A figure could not be saved."""

    def begin(self) -> None:
        """An execution begins."""
        self._shown.clear()
        self._displayed.clear()

    def show_chunk(self, chunk: OutputChunk) -> None:
        """Show output of running code."""
        if chunk.displayed is not None:
            self._displayed.append(chunk.displayed)
            self._show_output(chunk.displayed)
            return
        self._shown.add(chunk.stream)
        self._write(chunk.stream, chunk.text)

    def show_rest(self, execution: Execution) -> None:
        """Show what appears at the end: values, figures, and how it went if not well."""
        for item in execution.timeline:
            if isinstance(item, Output):
                if not any(item is each for each in self._displayed):
                    self._show_output(item)
            elif item.stream not in self._shown:
                # Not every pool tells what is printed while it is.
                self._write(item.stream, item.text)
        timed_out = execution.status is ExecutionStatus.TIMED_OUT
        if execution.error is not None:
            self._tell_error(execution.error, timed_out=timed_out)
        if timed_out:
            tells = self._keeps_session and execution.session_lost is None
            kept = f"; {what_is_kept(execution.variables)}" if tells else ""
            self.note(f"time is up{kept}; --timeout gives more")
        self._tell_what_is_missing(execution)
        self._tell_what_was_lost(execution)
        if execution.session_lost is not None:
            self._files.clear()
        written = (*execution.files, *execution.kept_files)
        self._files |= dict.fromkeys(each for each in written if each not in self._downloads)
        if self._keeps_session:
            self._end_line("stdout")  # the prompt is next

    def _tell_error(self, error: ExecutionError, *, timed_out: bool) -> None:
        if error.name != "SystemExit":
            told = before_time_was_up(error.traceback) if timed_out else error.traceback
            self._write_line("stderr", told)
            if error.hint:
                self.note(error.hint)
            if error.missing_module:
                self.note(about_missing_module(error.missing_module, self._offer, by_code=True))
        elif error.message and not error.message.lstrip("-").isdigit():
            # As the interpreter does with a text that a program exits with.
            self._write_line("stderr", error.message)

    def _tell_what_is_missing(self, execution: Execution) -> None:
        for remark in execution.remarks:
            self.note(remark)
        for module in execution.missing_modules:
            self.note(about_missing_module(module, self._offer, by_code=True))

    def tell_of_files(self) -> None:
        """Say what ends with the session, and how to have it here."""
        if not self._files:
            return
        paths = list(self._files)
        named = " ".join(f"--download {shlex.quote(each)}" for each in paths[:_MAX_NAMED])
        more = f" and {len(paths) - _MAX_NAMED:,} more" if len(paths) > _MAX_NAMED else ""
        self.note(
            "the code wrote files, which end with the session; "
            f"to have them here, say {named}{more}"
        )

    def tell_setback(self, lost: str | None, rollback: Rollback | None) -> None:
        """Say what has become of earlier code while none ran.

        Args:
            lost: why its session is gone, as a clause, if it is.
            rollback: by which variables went back, if they did.
        """
        if lost is not None:
            self._tell_of_loss(lost)
        if rollback is not None:
            self.note(
                f"names could not be completed: {rollback.reason}; "
                f"variables are as before {rollback.undone}"
            )

    def _tell_of_loss(self, why: str) -> None:
        self.note(f"the earlier session is gone, with its variables and files: {why}")
        self._files.clear()

    def _tell_what_was_lost(self, execution: Execution) -> None:
        if execution.lost_before is not None:
            self._tell_of_loss(execution.lost_before)
        if execution.session_lost is not None:
            self.note(f"the session ended, with its files: {execution.session_lost}")
        elif (rollback := execution.rollback) is not None:
            tells = f"; variables are as before {rollback.extent}" if self._keeps_session else ""
            self.note(f"the code did not come to its end: {rollback.reason}{tells}")

    def note(self, text: str) -> None:
        """Say something of our own."""
        self._write_line("stderr", f"aca-mcp: {text}")

    def _show_output(self, output: Output) -> None:
        try:
            saved = self._figures.save(output.data)
        except HostPathRefusedError as error:
            # What comes after it is to be seen all the same.
            self.is_incomplete = True
            saved = str(error), None
        if saved is not None:
            if output.text:
                self._show_text(output.text, is_markdown=False)
            told, image = saved
            self.note(told)
            if image is not None and self._show_figure is not None:
                self._show_figure(image)
            for remark in output.remarks:
                self.note(remark)
            return
        if text := text_of(output):
            self._show_text(text, is_markdown=text == output.data.get("text/markdown"))
        for remark in output.remarks:
            self.note(remark)

    def _show_text(self, text: str, *, is_markdown: bool) -> None:
        self._end_line("stdout")
        stdout = self._streams["stdout"]
        if not (is_markdown and show_markdown(text.translate(_HARMFUL), stdout)):
            self._write_line("stdout", text)

    def _write_line(self, name: str, text: str) -> None:
        """Write lines of their own."""
        self._end_line(name)
        self._write(name, text if text.endswith("\n") else f"{text}\n")

    def _end_line(self, name: str) -> None:
        """Begin a line: what the code wrote may end within one."""
        if self._surfaces[name] in self._within_line:
            self._write(name, "\n")

    def _write(self, name: str, text: str) -> None:
        if text:
            ends = text.endswith("\n")
            (self._within_line.discard if ends else self._within_line.add)(self._surfaces[name])
        stream = self._streams[name]
        with host_file(Path(name)):  # a reader may leave, and a disk be full
            stream.write(text.translate(_HARMFUL) if stream.isatty() else text)
            stream.flush()
