"""Installs a wheel that is a file of the session: nothing is asked of anybody, nothing is built."""

from __future__ import annotations

import platform
import re
import shutil
import sys
import zipfile
from dataclasses import dataclass
from email.parser import Parser
from importlib import metadata
from pathlib import Path, PurePosixPath

_NAME = re.compile(
    r"(?P<name>[^-]+)-(?P<version>[^-]+)(-\d[^-]*)?"
    r"-(?P<python>[^-]+)-(?P<abi>[^-]+)-(?P<platform>[^-]+)\.whl$",
    re.IGNORECASE,
)
_DATA = re.compile(r"[^/]+\.data/(?:purelib|platlib)/")


@dataclass(frozen=True)
class Wheel:
    """What a wheel says of itself."""

    path: Path
    name: str
    version: str
    requires: tuple[str, ...]
    """What else it needs, as PEP 508 writes it, without its extras."""


def read_wheel(path: Path) -> Wheel:
    """Look into a wheel.

    Raises:
        ValueError: it is none, is for another interpreter, or the session has another version.
        OSError: it cannot be read.
    """
    match = _NAME.match(path.name)
    if match is None:
        raise ValueError(f"{path.name} is not named as wheels are (PEP 427)")
    if not _fits(match["python"], match["abi"], match["platform"]):
        here = f"Python {sys.version_info.major}.{sys.version_info.minor} on {platform.machine()}"
        raise ValueError(f"{path.name} is not for this interpreter, {here}")
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            where = next(each for each in names if re.fullmatch(r"[^/]+\.dist-info/METADATA", each))
            said = Parser().parsestr(archive.read(where).decode("utf-8"), headersonly=True)
    except (zipfile.BadZipFile, StopIteration, UnicodeDecodeError, RuntimeError):
        raise ValueError(f"{path.name} is damaged, or no wheel") from None
    if any(_leads_out(name) for name in names):
        raise ValueError(f"{path.name} has files that would not lie in its own directory")
    name, version = said["Name"] or match["name"], said["Version"] or match["version"]
    requires = [each for each in said.get_all("Requires-Dist", []) if "extra" not in each]
    try:
        present = metadata.version(name)
    except metadata.PackageNotFoundError:
        present = version
    if present != version:
        raise ValueError(f"the session has {name} {present}, which stays as it is")
    return Wheel(path, name, version, tuple(requires))


def unpack(wheel: Wheel, into: Path) -> None:
    """Write a wheel's modules into a directory that is on ``sys.path``.

    Raises:
        OSError: it cannot be written.
    """
    with zipfile.ZipFile(wheel.path) as archive:
        for entry in archive.infolist():
            name = _DATA.sub("", entry.filename)
            if entry.is_dir() or re.match(r"[^/]+\.data/", name):
                continue  # scripts and headers are not for imports
            target = into / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entry) as read, target.open("wb") as written:
                shutil.copyfileobj(read, written)


def _fits(pythons: str, abis: str, platforms: str) -> bool:
    """Whether a wheel of these tags (PEP 425) can be imported here."""
    minor = sys.version_info.minor
    own = f"cp3{minor}"
    older = {f"{kind}3{number}" for kind in ("py", "cp") for number in range(minor + 1)}
    for abi in abis.split("."):
        known = {"py3", *(each for each in older if each.startswith("py") or abi == "abi3"), own}
        if abi in {"none", "abi3", own} and known & set(pythons.split(".")):
            machine = platform.machine()
            return any(
                each == "any" or ("linux" in each and each.endswith(machine))
                for each in platforms.split(".")
            )
    return False


def _leads_out(name: str) -> bool:
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts or "\\" in name
