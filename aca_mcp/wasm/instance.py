"""One instance of CPython in WebAssembly, as wasmtime runs it. Blocking; one thread enters it.

The boundary is wasmtime's: its sandbox for memory and control flow, and its own WASI for files.
The one import that is not WASI's, ``host.call``, carries bytes to a function and its answer back.
"""

# wasmtime-py is typed in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import ctypes
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import wasmtime

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

PAGE_BYTES = 65_536
_ENVIRONMENT = {
    "HOME": "/tmp",  # noqa: S108 -- the instance's own
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "MPLCONFIGDIR": "/tmp/matplotlib",  # noqa: S108 -- likewise
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONTZPATH": "",
    "TMPDIR": "/tmp",  # noqa: S108 -- likewise
}
_NO_ANSWER = -1
_UNSIGNED = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory of this machine that the instance sees. Their order is part of its memory."""

    host_path: Path
    guest_path: str
    writable: bool = False


class Trapped(Exception):
    """The instance was stopped, or did what WebAssembly does not allow. It cannot go on."""


class Exited(Exception):
    """The code ended its own process. The text is the exit code."""


def make_engine() -> wasmtime.Engine:
    """The engine: one for a process, since compiled code belongs to its options."""
    options = wasmtime.Config()
    options.epoch_interruption = True
    return wasmtime.Engine(options)


def compile_module(engine: wasmtime.Engine, wasm: Path) -> bytes:
    """Compile on every processor, for some 100 CPU-seconds and with up to 2.5 GiB of memory."""
    return bytes(wasmtime.Module.from_file(engine, str(wasm)).serialize())


def load_module(engine: wasmtime.Engine, compiled: Path) -> wasmtime.Module:
    """Map compiled code into memory. It is native code: only what this user made may be loaded.

    Raises:
        OSError: there is none, or it is of another version of wasmtime or another processor.
    """
    try:
        return wasmtime.Module.deserialize_file(engine, str(compiled))
    except wasmtime.WasmtimeError as error:
        raise OSError("the compiled interpreter does not belong to this machine") from error


class Instance:
    """An instance and its memory.

    Args:
        engine: that the module was loaded by.
        module: CPython.
        directories: what it sees of this machine's files.
        memory_bytes: the most that its memory may grow to.
        on_output: takes what it writes to ``stdout`` and ``stderr``, named so.
        exchange: takes what it sends by ``host.call``, and returns the answer.
    """

    def __init__(
        self,
        engine: wasmtime.Engine,
        module: wasmtime.Module,
        directories: Sequence[Directory],
        *,
        memory_bytes: int,
        on_output: Callable[[str, bytes], None],
        exchange: Callable[[bytes], bytes],
    ) -> None:
        self._engine = engine
        self._exchange = exchange
        self._store = wasmtime.Store(engine)
        self._store.set_limits(memory_size=memory_bytes)
        self._store.set_epoch_deadline(1)
        self._store.set_wasi(_wasi(directories, on_output))
        linker = wasmtime.Linker(engine)
        linker.define_wasi()
        numbers = [wasmtime.ValType.i32()] * 4
        call_type = wasmtime.FuncType(numbers, [wasmtime.ValType.i32()])
        linker.define_func("host", "call", call_type, self._call, access_caller=True)
        exports = linker.instantiate(self._store, module).exports(self._store)
        self._memory = cast("wasmtime.Memory", exports["memory"])
        self._allocate = cast("wasmtime.Func", exports["host_alloc"])
        self._turn = cast("wasmtime.Func", exports["turn"])

    def run(self, source: str) -> bool:
        """Run a piece of Python to its end. False if it raised.

        Raises:
            Trapped: it was stopped by ``trap``, or its stack was too deep.
            Exited: it ended its process.
        """
        data = source.encode()
        self._store.set_epoch_deadline(1)
        try:
            address = self._allocate(self._store, len(data)) & _UNSIGNED
            self._memory.write(self._store, data, address)
            return self._turn(self._store, address, len(data)) == 0
        except wasmtime.ExitTrap as ending:
            raise Exited(str(ending.code)) from None
        except (wasmtime.Trap, wasmtime.WasmtimeError) as error:
            code = error.trap_code if isinstance(error, wasmtime.Trap) else None
            name = "error" if code is None else code.name
            raise Trapped(name.lower().replace("_", " ")) from None

    def trap(self) -> None:
        """Stop what runs, from another thread, as soon as it is not in a call of WASI."""
        self._engine.increment_epoch()

    def close(self) -> None:
        """Free its memory."""
        self._store.close()

    @property
    def size(self) -> int:
        """Bytes of its memory now."""
        return self._memory.data_len(self._store)

    @property
    def address(self) -> int:
        """Where its memory is in this process; it does not move when it grows."""
        return ctypes.addressof(self._memory.data_ptr(self._store).contents)

    def grow_to(self, size: int) -> None:
        """Make its memory as large as this many bytes, a multiple of the page's."""
        missing = (size - self.size) // PAGE_BYTES
        if missing > 0:
            self._memory.grow(self._store, missing)

    def _call(self, caller: wasmtime.Caller, start: int, length: int, *out: int) -> int:
        start, length = start & _UNSIGNED, length & _UNSIGNED
        answer_at, length_at = (address & _UNSIGNED for address in out)
        if max(start + length, answer_at + 4, length_at + 4) > self.size:
            return _NO_ANSWER
        answer = self._exchange(ctypes.string_at(self.address + start, length))
        room = self._allocate(caller, max(len(answer), 1)) & _UNSIGNED
        if room == 0 or room + len(answer) > self.size:
            return _NO_ANSWER
        for address, data in (
            (room, answer),
            (answer_at, room.to_bytes(4, "little")),
            (length_at, len(answer).to_bytes(4, "little")),
        ):
            ctypes.memmove(self.address + address, data, len(data))
        return 0


def _wasi(
    directories: Sequence[Directory], on_output: Callable[[str, bytes], None]
) -> wasmtime.WasiConfig:
    wasi = wasmtime.WasiConfig()
    wasi.argv = ["python"]
    wasi.env = list(_ENVIRONMENT.items())
    wasi.stdout_custom = functools.partial(on_output, "stdout")
    wasi.stderr_custom = functools.partial(on_output, "stderr")
    for directory in directories:
        wasi.preopen_dir(str(directory.host_path), directory.guest_path, directory.writable)
    return wasi
