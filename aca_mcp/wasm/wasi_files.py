"""Files below a directory, by way of wasmtime's WASI: the same confinement as code has.

A small WebAssembly module calls WASI for this process, so that a name of a hostile tree leads
nowhere else on any system. Blocking; one call at a time, from any thread.
"""

# wasmtime-py is typed in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import ctypes
import errno
import os
import struct
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

import wasmtime

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Kind = Literal["file", "directory", "link", "other"]

_SIGNATURES = {
    "path_open": "i32 i32 i32 i32 i32 i64 i64 i32 i32",
    "path_create_directory": "i32 i32 i32",
    "path_filestat_get": "i32 i32 i32 i32 i32",
    "path_link": "i32 i32 i32 i32 i32 i32 i32",
    "path_remove_directory": "i32 i32 i32",
    "path_rename": "i32 i32 i32 i32 i32 i32",
    "path_unlink_file": "i32 i32 i32",
    "fd_close": "i32",
    "fd_filestat_get": "i32 i32",
    "fd_read": "i32 i32 i32 i32",
    "fd_readdir": "i32 i32 i32 i64 i32",
    "fd_write": "i32 i32 i32 i32",
}
# Addresses in the module's memory.
_FIRST_PATH, _SECOND_PATH = 0, 8192
_OUT, _VECTOR = 16_384, 16_640
_BUFFER = 65_536
BUFFER_BYTES = 2**20
_MAX_PATH_BYTES = 8192
_PAGES = (_BUFFER + BUFFER_BYTES) // 65_536

_CREATE, _DIRECTORY, _EXCLUSIVE = 1, 2, 4
_RIGHT_READ, _RIGHT_WRITE, _RIGHT_LIST = 1 << 1, 1 << 6, 1 << 14
_KINDS: dict[int, Kind] = {3: "directory", 4: "file", 7: "link"}
_STATUS = struct.Struct("<QQB7xQQQQQ")
_ENTRY = struct.Struct("<QQIB3x")
_ERRORS = {
    2: errno.EACCES,
    19: getattr(errno, "EDQUOT", errno.ENOSPC),
    20: errno.EEXIST,
    22: errno.EFBIG,
    28: errno.EINVAL,
    31: errno.EISDIR,
    32: errno.ELOOP,
    37: errno.ENAMETOOLONG,
    44: errno.ENOENT,
    51: errno.ENOSPC,
    54: errno.ENOTDIR,
    55: errno.ENOTEMPTY,
    63: errno.EPERM,
    76: errno.EPERM,
}


@dataclass(frozen=True, slots=True)
class Status:
    """What a name stands for; links are not followed."""

    kind: Kind
    size: int
    modified_ns: int


def _module_text() -> str:
    imports: list[str] = []
    functions: list[str] = []
    for name, parameters in _SIGNATURES.items():
        signature = f"(param {parameters}) (result i32)"
        imports.append(f'(import "wasi_snapshot_preview1" "{name}" (func ${name} {signature}))')
        gets = " ".join(f"(local.get {n})" for n in range(len(parameters.split())))
        functions.append(f'(func (export "{name}") {signature} (call ${name} {gets}))')
    memory = f'(memory (export "memory") {_PAGES})'
    return f"(module {' '.join(imports)} {memory} {' '.join(functions)})"


class WasiFiles:
    """Some directories of this machine, each known by its place in the arguments.

    Paths are relative to one of them, with ``/`` between parts. Every method raises ``OSError``
    as the function of ``os`` would that does the same.
    """

    def __init__(self, *directories: Path) -> None:
        engine = wasmtime.Engine()
        self._store = wasmtime.Store(engine)
        wasi = wasmtime.WasiConfig()
        for number, directory in enumerate(directories):
            wasi.preopen_dir(str(directory), f"/{number}", True)
        self._store.set_wasi(wasi)
        linker = wasmtime.Linker(engine)
        linker.define_wasi()
        module = wasmtime.Module(engine, _module_text())
        exports = linker.instantiate(self._store, module).exports(self._store)
        self._functions = {name: cast("wasmtime.Func", exports[name]) for name in _SIGNATURES}
        memory = cast("wasmtime.Memory", exports["memory"])
        self._address = ctypes.addressof(memory.data_ptr(self._store).contents)
        self._lock = threading.RLock()

    def close(self) -> None:
        """Close all that is open."""
        with self._lock:
            self._store.close()

    def status(self, directory: int, path: str) -> Status:
        """What a name stands for."""
        with self._lock:
            length = self._put_path(_FIRST_PATH, path)
            self._call("path_filestat_get", 3 + directory, 0, _FIRST_PATH, length, _OUT)
            return self._status()

    def open(self, directory: int, path: str, *, create: bool = False) -> int:
        """Open a file for reading, or make one that is not there for writing."""
        rights = _RIGHT_WRITE if create else _RIGHT_READ
        return self._open(directory, path, (_CREATE | _EXCLUSIVE) if create else 0, rights)

    def file_status(self, descriptor: int) -> Status:
        """What an open file is."""
        with self._lock:
            self._call("fd_filestat_get", descriptor, _OUT)
            return self._status()

    def read(self, descriptor: int, count: int) -> bytes:
        """The next bytes of a file, at most ``BUFFER_BYTES`` of them; none at its end."""
        with self._lock:
            self._put(_VECTOR, struct.pack("<II", _BUFFER, min(count, BUFFER_BYTES)))
            self._call("fd_read", descriptor, _VECTOR, 1, _OUT)
            return self._get(_BUFFER, self._number())

    def write(self, descriptor: int, data: bytes) -> None:
        """Append bytes to a file."""
        with self._lock:
            for start in range(0, len(data), BUFFER_BYTES):
                self._write_piece(descriptor, data[start : start + BUFFER_BYTES])

    def close_file(self, descriptor: int) -> None:
        """Close a file."""
        with self._lock:
            self._call("fd_close", descriptor)

    def names(self, directory: int, path: str) -> Iterator[str]:
        """The names in a directory."""
        descriptor = self._open(directory, path or ".", _DIRECTORY, _RIGHT_LIST)
        try:
            cookie = 0
            while True:
                with self._lock:
                    call = (descriptor, _BUFFER, BUFFER_BYTES, cookie, _OUT)
                    self._call("fd_readdir", *call)
                    data = self._get(_BUFFER, self._number())
                found, cookie = _entries(data, cookie)
                yield from found
                if len(data) < BUFFER_BYTES:
                    return
        finally:
            self.close_file(descriptor)

    def make_directory(self, directory: int, path: str) -> None:
        """Make a directory."""
        self._on_path("path_create_directory", directory, path)

    def remove_directory(self, directory: int, path: str) -> None:
        """Remove a directory with nothing in it."""
        self._on_path("path_remove_directory", directory, path)

    def remove(self, directory: int, path: str) -> None:
        """Remove a file or a link."""
        self._on_path("path_unlink_file", directory, path)

    def rename(self, old: tuple[int, str], new: tuple[int, str]) -> None:
        """Move a file; what had the new name is replaced."""
        with self._lock:
            lengths = self._put_path(_FIRST_PATH, old[1]), self._put_path(_SECOND_PATH, new[1])
            first = (3 + old[0], _FIRST_PATH, lengths[0])
            self._call("path_rename", *first, 3 + new[0], _SECOND_PATH, lengths[1])

    def link(self, old: tuple[int, str], new: tuple[int, str]) -> None:
        """Give a file a second name, which nothing may have yet."""
        with self._lock:
            lengths = self._put_path(_FIRST_PATH, old[1]), self._put_path(_SECOND_PATH, new[1])
            first = (3 + old[0], 0, _FIRST_PATH, lengths[0])
            self._call("path_link", *first, 3 + new[0], _SECOND_PATH, lengths[1])

    def _on_path(self, function: str, directory: int, path: str) -> None:
        with self._lock:
            length = self._put_path(_FIRST_PATH, path)
            self._call(function, 3 + directory, _FIRST_PATH, length)

    def _open(self, directory: int, path: str, flags: int, rights: int) -> int:
        with self._lock:
            length = self._put_path(_FIRST_PATH, path)
            where = (3 + directory, 0, _FIRST_PATH, length)
            self._call("path_open", *where, flags, rights, 0, 0, _OUT)
            return self._number()

    def _write_piece(self, descriptor: int, data: bytes) -> None:
        self._put(_BUFFER, data)
        done = 0
        while done < len(data):
            self._put(_VECTOR, struct.pack("<II", _BUFFER + done, len(data) - done))
            self._call("fd_write", descriptor, _VECTOR, 1, _OUT)
            done += self._number()

    def _call(self, function: str, *arguments: int) -> None:
        number = self._functions[function](self._store, *arguments)
        if number:
            code = _ERRORS.get(number, errno.EIO)
            raise OSError(code, os.strerror(code))

    def _put_path(self, address: int, path: str) -> int:
        data = path.encode()
        if len(data) > _MAX_PATH_BYTES:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        self._put(address, data)
        return len(data)

    def _put(self, address: int, data: bytes) -> None:
        ctypes.memmove(self._address + address, data, len(data))

    def _get(self, address: int, length: int) -> bytes:
        return ctypes.string_at(self._address + address, length)

    def _number(self) -> int:
        return int.from_bytes(self._get(_OUT, 4), "little")

    def _status(self) -> Status:
        fields = _STATUS.unpack(self._get(_OUT, _STATUS.size))
        return Status(_KINDS.get(fields[2], "other"), fields[4], fields[6])


def _entries(data: bytes, cookie: int) -> tuple[list[str], int]:
    """The whole entries of a directory in what was read, and where to go on reading."""
    found: list[str] = []
    at = 0
    while at + _ENTRY.size <= len(data):
        following, _, length, _ = _ENTRY.unpack_from(data, at)
        end = at + _ENTRY.size + length
        if end > len(data):
            break
        name = data[at + _ENTRY.size : end].decode(errors="replace")
        if name not in (".", ".."):
            found.append(name)
        at, cookie = end, following
    return found, cookie
