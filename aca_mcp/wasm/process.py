"""One session's process as the supervisor holds it: what it is asked, what it says, its end."""

from __future__ import annotations

import shutil
import sys
from contextlib import suppress
from subprocess import CalledProcessError  # noqa: TID251 -- what anyio raises
from typing import TYPE_CHECKING

import anyio
import anyio.abc
import anyio.to_thread

from aca_mcp.embedded.replies import INTERFERED
from aca_mcp.embedded.session_process import Outcome, Stop
from aca_mcp.errors import PoolUnavailableError
from aca_mcp.execution import Rollback
from aca_mcp.kernel.message_framing import Frame, FrameDecoder, FrameError, encode
from aca_mcp.wasm.files import WasmFiles
from aca_mcp.wasm.framed_output import FramedOutput
from aca_mcp.wasm.job_object import labelling_command
from aca_mcp.wasm.second_ring import command_of, environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aca_mcp.pool import OutputCallback
    from aca_mcp.wasm.cache import Prepared
    from aca_mcp.wasm.configuration import WasmPoolConfiguration

_START_SECONDS = 60
_DEATH_SECONDS = 10
_INTERRUPT_AGAIN_SECONDS = 1.0
"""The interpreter may have been about to overwrite the word that tells it of an interrupt."""
_TRAP_SECONDS = 10
"""From a trap to the session's being as before: its memory is written again."""


class _Dead(Exception):
    """There will be no reply. The text is a clause that says why, or empty."""


class _WentBack(Exception):
    """There will be no reply, and the session goes on from a checkpoint."""

    def __init__(self, rollback: Rollback) -> None:
        super().__init__(rollback.reason)
        self.rollback = rollback


class WasmProcess:
    """A session's process, from ready to gone. Made by ``start_process``."""

    def __init__(self, process: anyio.abc.Process, storage: Path, files: WasmFiles) -> None:
        if process.stdin is None or process.stdout is None:
            raise PoolUnavailableError("A session's process has no pipes.")
        self._process = process
        self._requests, self._said = process.stdin, process.stdout
        self._storage = storage
        self.files = files
        self._decoder = FrameDecoder()
        self._frames: list[Frame] = []
        self._number = 0
        self._runs_code = False
        self._stop: Stop | None = None
        self._request_over: anyio.Event | None = None
        self._kill_reason: str | None = None
        self._on_question: Callable[[dict[str, object]], None] | None = None
        self.checkpoints_kept: int | None = None
        """How many there were when it last answered; None where none are made."""
        self.added_packages: dict[str, tuple[str, str]] = {}
        """What was installed into it: normalized name to version and directory."""
        self.went_back: Rollback | None = None
        """By which its state went back as the last request was cancelled, which got no outcome."""
        self.packages = storage / "packages"
        """Where it reads that; only this process writes there."""
        self._killing = anyio.Lock()
        self._killed = False

    @property
    def is_running(self) -> bool:
        """Whether code runs in it now."""
        return self._request_over is not None

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone already, for whatever reason."""
        return self._killed or self._process.returncode is not None

    async def start(self, header: dict[str, object]) -> None:
        """Let it begin, and wait until it is ready.

        Raises:
            PoolUnavailableError: it is not.
        """
        try:
            with anyio.fail_after(_START_SECONDS):
                await self._send(header)
                ready = await self._next()
        except (TimeoutError, _Dead, FrameError) as error:
            raise PoolUnavailableError("A session in WebAssembly did not start.") from error
        if ready.header.get("ready") is not True:
            raise PoolUnavailableError("A session in WebAssembly did not start as it should.")

    async def request(
        self,
        header: dict[str, object],
        *,
        deadline: float,
        grace_seconds: float,
        max_output_bytes: int = 0,
        on_output: OutputCallback | None = None,
        on_question: Callable[[dict[str, object]], None] | None = None,
    ) -> Outcome:
        """Send a request and wait for its reply, taking what is printed meanwhile.

        At the deadline (of anyio's clock), and when the caller is cancelled, the code is
        interrupted; if it goes on past the grace, its instance is stopped, and goes on from where
        it was before; if that fails too, the process is killed. One request at a time. What code
        asks meanwhile goes to ``on_question``; ``answer`` answers it.

        Raises:
            FrameError: the request is too long to be sent.
        """
        self._number += 1
        data = encode(Frame({**header, "id": self._number}))
        self._stop = self.went_back = None
        self._on_question = on_question
        self._runs_code = header["op"] == "execute"
        output = FramedOutput(max_output_bytes, on_output)
        self._request_over = anyio.Event()
        self.files.note_change()
        try:
            with anyio.CancelScope(deadline=deadline):
                await self._write(data)
                return await self._outcome(output)
            return await self._stop_code(output, "timeout", grace_seconds)
        except _WentBack as went:
            return Outcome(output, None, self._stop, str(went), went.rollback)
        except _Dead as death:
            self._finish_request()
            return Outcome(output, None, self._stop, await self.why_ended(str(death)))
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                try:
                    await self._stop_code(output, "interrupt", grace_seconds)
                except _WentBack as went:
                    self.went_back = went.rollback
                except _Dead as death:
                    self._finish_request()
                    await self.kill(str(death) or "it ended")
            raise
        finally:
            output.finish()
            self._finish_request()

    async def interrupt(self) -> bool:
        """Do what Ctrl-C does. False if no code runs."""
        if self._request_over is None:
            return False
        self._stop = self._stop or "interrupt"
        with suppress(_Dead):  # whoever waits for the reply sees that
            await self._send({"op": "interrupt"})
        return True

    async def answer(self, header: dict[str, object]) -> None:
        """Answer what its code asked."""
        with suppress(_Dead):  # whoever waits for the reply sees that
            await self._send({**header, "op": "answer"})

    async def undo(self) -> tuple[Rollback | None, str]:
        """Go back to before the last execution. Nothing may run; files stay as they are.

        Returns:
            What was done, or None and a clause that says why it cannot be.
        """
        deadline = anyio.current_time() + _TRAP_SECONDS
        outcome = await self.request({"op": "undo"}, deadline=deadline, grace_seconds=0)
        match outcome.reply:
            case Frame({"restored": True, "undone": int(undone), "begins": str(begins)}):
                return Rollback("it was asked for", max(1, undone), begins), ""
            case Frame({"why": str(why)}):
                return None, why[:200]
            case _:
                return None, outcome.died or "it did not answer"

    async def why_ended(self, seen: str = "") -> str:
        """End it if it has not ended, and say why it did: a clause."""
        if not seen and self._process.returncode is None:
            with anyio.move_on_after(1):
                await self._process.wait()
        status = self._process.returncode
        await self.kill(None)
        return self._kill_reason or seen or _describe(status)

    def kill_soon(self, why: str) -> None:
        """End it now; whoever uses it, or will, hears why."""
        self._kill_reason = self._kill_reason or why
        with suppress(ProcessLookupError):
            self._process.kill()

    async def kill(self, why: str | None) -> None:
        """End its process, and free everything it had. Again does no harm."""
        self._kill_reason = self._kill_reason or why
        with anyio.CancelScope(shield=True):
            with suppress(ProcessLookupError):
                self._process.kill()
            if self._request_over is not None:
                # Whoever waits for a reply sees the end, and reads what was printed before it.
                with anyio.move_on_after(_DEATH_SECONDS):
                    await self._request_over.wait()
            async with self._killing:
                if not self._killed:
                    with anyio.move_on_after(_DEATH_SECONDS):
                        await self._process.aclose()
                    self._killed = True
                    await anyio.to_thread.run_sync(self._free)

    def _free(self) -> None:
        self.files.close()
        shutil.rmtree(self._storage, ignore_errors=True)

    def _finish_request(self) -> None:
        if self._request_over is not None:
            self._request_over.set()
            self._request_over = None
            self.files.note_change()

    async def _stop_code(self, output: FramedOutput, why: Stop, grace_seconds: float) -> Outcome:
        self._stop = self._stop or why
        end = anyio.current_time() + grace_seconds
        while anyio.current_time() < end:
            again = min(end, anyio.current_time() + _INTERRUPT_AGAIN_SECONDS)
            with anyio.CancelScope(deadline=again):
                await self._send({"op": "interrupt"})
                return await self._outcome(output)
        with anyio.CancelScope(deadline=anyio.current_time() + _TRAP_SECONDS):
            await self._send({"op": "trap"})
            return await self._outcome(output)
        raise _Dead("the code would not stop when it was interrupted")

    async def _outcome(self, output: FramedOutput) -> Outcome:
        frame = await self._reply(output)
        match frame.header:
            case {"trapped": str()} if self._stop is not None:
                why = "the code would not stop when it was interrupted"
            case {"trapped": str(trap)}:
                why = f"its code crashed the interpreter ({trap[:60]})"
            case {"exited": str(code)}:
                why = f"its process ended itself (exit code {code[:20]})"
            case {"interfered": True}:
                why = INTERFERED
            case {"checkpoints": int(kept)}:
                self.checkpoints_kept = kept
                return Outcome(output, frame, self._stop)
            case _:
                return Outcome(output, frame, self._stop)
        match frame.header:
            case {"restored": True, "undone": int(undone), "begins": str(begins)}:
                raise _WentBack(Rollback(why, max(1, undone), begins))
            case {"why": str(none)}:
                raise _Dead(f"{why}, and there was no checkpoint of it, because {none[:200]}")
            case _:
                raise _Dead(why)

    async def _reply(self, output: FramedOutput) -> Frame:
        try:
            while True:
                frame = await self._next()
                is_event = frame.header.get("event", "done") != "done"
                if frame.header.get("id") != self._number or is_event:
                    output.take(frame)
                elif "ask" not in frame.header:
                    if self._runs_code and "checkpoints" in frame.header:  # the code has ended
                        output.take_event(frame)
                    return frame
                elif self._on_question is not None:
                    self._on_question(dict(frame.header))
        except FrameError:
            raise _Dead(INTERFERED) from None

    async def _next(self) -> Frame:
        while not self._frames:
            try:
                self._frames += self._decoder.feed(await self._said.receive())
            except (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
                raise _Dead("") from None
        return self._frames.pop(0)

    async def _send(self, header: dict[str, object]) -> None:
        await self._write(encode(Frame(header)))

    async def _write(self, data: bytes) -> None:
        try:
            await self._requests.send(data)
        except (anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
            raise _Dead("") from None


def _describe(status: int | None) -> str:
    return "its process ended" if status is None else f"its process ended (status {status})"


async def start_process(
    prepared: Prepared, configuration: WasmPoolConfiguration, storage: Path
) -> WasmProcess:
    """Start a session's process, and return it ready to run code.

    Raises:
        PoolUnavailableError: it could not be started.
    """

    def make_storage() -> WasmFiles:
        for name in ("data", "tmp", "incoming", "packages"):
            (storage / name).mkdir(parents=True)
        return WasmFiles(storage, configuration.max_file_bytes, configuration.disk_bytes)

    try:
        files = await anyio.to_thread.run_sync(make_storage)
        # -P: no module of the current directory, which nobody may have reviewed, is imported.
        command = [sys.executable, "-P", "-m", "aca_mcp.wasm.worker"]
        if configuration.second_ring:
            command = command_of(command, prepared, storage)
            if sys.platform == "win32":
                for name in ("data", "tmp"):
                    await anyio.run_process(labelling_command(storage / name))
        process = await anyio.open_process(command, stderr=_NOWHERE, env=environment())
    except (OSError, CalledProcessError) as error:
        why = error.strerror if isinstance(error, OSError) else "its files could not be labelled"
        raise PoolUnavailableError(
            f"A session in WebAssembly could not be started: {why}."
        ) from error
    session = WasmProcess(process, storage, files)
    header: dict[str, object] = {
        "op": "start",
        "module": str(prepared.module),
        "image": str(prepared.image),
        "library": prepared.library_name,
        "storage": str(storage),
        "memory_bytes": configuration.memory_bytes,
        "disk_bytes": configuration.disk_bytes,
        "checkpoints": configuration.checkpoints,
        "is_held": configuration.second_ring,
    }
    try:
        await session.start(header)
    except BaseException:
        await session.kill("it could not be started")
        raise
    return session


_NOWHERE = -3
"""``subprocess.DEVNULL``: what the process says there is of no use, and must not fill a pipe."""
