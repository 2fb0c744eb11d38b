"""Makes the entries of the cache, in a process of its own: ``python -m aca_mcp.wasm.prepare``.

Compiling takes the memory and the processors that a server should not take from its clients.
Prints one line of JSON for each step that begins.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from aca_mcp.errors import PoolUnavailableError
from aca_mcp.wasm.artifacts import (
    Artifacts,
    find_artifacts,
    image_name,
    library_name,
    module_name,
    own_files,
    package_files,
    unpack_figure_data,
)
from aca_mcp.wasm.cache import (
    PACKAGES,
    Prepared,
    make_private,
    mark_used,
    new_entry,
    remove_superseded,
    remove_unfinished,
    write_signal_words,
)
from aca_mcp.wasm.configuration import MAX_MEMORY_BYTES
from aca_mcp.wasm.instance import (
    Exited,
    Instance,
    Trapped,
    compile_module,
    load_module,
    make_engine,
)
from aca_mcp.wasm.interrupting import SignalWordSearch
from aca_mcp.wasm.memory import copy_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Tell = Callable[[str], None]

COMPILING = "compiling"
IMPORTING = "importing"


def locate(cache: Path, artifacts: Artifacts, preimport: Sequence[str]) -> Prepared:
    """Where the entries are, or would be."""
    module = module_name(artifacts)
    return Prepared(cache / module, cache / image_name(module, preimport), library_name(artifacts))


def is_prepared(cache: Path, preimport: Sequence[str]) -> bool:
    """Whether there is nothing left to make.

    Raises:
        PoolUnavailableError: the interpreter is not installed.
    """
    return locate(cache, find_artifacts(), preimport).is_complete


def prepare(cache: Path, preimport: Sequence[str], tell: Tell) -> Prepared:
    """Make what is missing. Whoever comes second waits for the first and finds it there.

    Raises:
        PoolUnavailableError: it cannot be made.
    """
    artifacts = find_artifacts()
    make_private(cache)
    prepared = locate(cache, artifacts, preimport)
    with FileLock(cache / "lock"):
        remove_unfinished(cache)
        if not prepared.module.is_dir():
            tell(COMPILING)
            _make_module(prepared, artifacts)
        if not prepared.image.is_dir():
            tell(IMPORTING)
            _make_image(prepared, preimport)
        mark_used(prepared)
        remove_superseded(cache, prepared)
    return prepared


def _make_module(prepared: Prepared, artifacts: Artifacts) -> None:
    with new_entry(prepared.module) as entry:
        making = Prepared(entry, prepared.image, prepared.library_name)
        making.library.mkdir()
        shutil.copyfile(artifacts.standard_library, making.library / prepared.library_name)
        unpack_figure_data(artifacts, making.figure_data)
        making.code.write_bytes(compile_module(make_engine(), artifacts.wasm))


def _make_image(prepared: Prepared, preimport: Sequence[str]) -> None:
    with new_entry(prepared.image) as entry, tempfile.TemporaryDirectory() as scratch:
        making = Prepared(prepared.module, entry, prepared.library_name)
        for target, source in (*own_files(), *package_files()):
            path = making.packages / target
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, path)
        storage = Path(scratch)
        for name in ("data", "tmp", "packages"):
            (storage / name).mkdir()
        search = SignalWordSearch()
        instance = _started(making, storage, preimport, search)
        write_signal_words(entry, search.words())
        making.memory.write_bytes(copy_memory(instance))


def _started(
    making: Prepared, storage: Path, preimport: Sequence[str], search: SignalWordSearch
) -> Instance:
    printed: list[bytes] = []

    def exchange(said: bytes) -> bytes:
        search.look(instance.address, instance.size)
        return b""

    engine = make_engine()
    instance = Instance(
        engine,
        load_module(engine, making.code),
        making.directories(storage),
        memory_bytes=MAX_MEMORY_BYTES,
        on_output=lambda stream, data: printed.append(data),
        exchange=exchange,
    )
    steps = (
        f"import sys; sys.path.append({PACKAGES!r})",
        "import _host; from aca_mcp.wasm.guest import session",
        f"session.create(_host.call, {list(preimport)!r}); del sys, _host, session",
    )
    try:
        done = all(map(instance.run, steps))
    except (Trapped, Exited) as error:
        printed.append(str(error).encode())
        done = False
    if not done:
        why = b"".join(printed).decode(errors="replace")[-2000:]
        raise PoolUnavailableError(f"The interpreter in WebAssembly could not be started: {why}")
    return instance


def main() -> int:
    """Run as a program; returns its exit code."""
    parser = argparse.ArgumentParser(prog="aca_mcp.wasm.prepare")
    parser.add_argument("cache", type=Path)
    parser.add_argument("preimport", nargs="*")
    arguments = parser.parse_args()
    began = time.monotonic()

    def tell(step: str) -> None:
        seconds = round(time.monotonic() - began, 1)
        sys.stdout.write(json.dumps({"step": step, "seconds": seconds}) + "\n")
        sys.stdout.flush()

    try:
        prepare(arguments.cache, arguments.preimport, tell)
    except PoolUnavailableError as error:
        sys.stdout.write(json.dumps({"refused": error.message}) + "\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
