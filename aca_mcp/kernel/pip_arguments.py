"""What a command says to pip: its arguments, and the requirements among them. Pure."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_PIP = re.compile(r"(pip[\d.]*|conda|mamba|micromamba)$")
_PYTHON = re.compile(r"python[\d.]*$")
_IGNORED = re.compile(
    r"-[qvUyI]+$|--(quiet|verbose|upgrade|user|no-cache-dir|no-cache|no-input|yes|system|"
    r"disable-pip-version-check|break-system-packages|no-warn-script-location|force-reinstall|"
    r"ignore-installed|prefer-binary|no-progress|no-deps|override-channels|dev|"
    r"((root-user-action|progress-bar|upgrade-strategy|only-binary|timeout|default-timeout|"
    r"retries|trusted-host|channel|name)(=.*)?))$"
)
"""What changes nothing here: how it is done, and where conda would look and put it."""
_WITH_VALUE = re.compile(
    r"--(root-user-action|progress-bar|upgrade-strategy|only-binary|timeout|default-timeout|retries"
    r"|trusted-host|channel|name)$|-n$"
)
_CHANNEL = re.compile(r"[a-z]+(-[a-z]+)*$")
"""Of conda, after ``-c``; pip has files there."""
_AS_CONDA_WRITES = re.compile(r"([A-Za-z0-9][\w.-]*)=(\d[\w.]*)(?:=\w+)?$")
_OPTION_WITHIN = re.compile(r"\s+--[a-z-]+[= ]\S+")
"""Of one line of a file of requirements, such as a hash."""
_ARCHIVE = re.compile(r"\.(whl|zip|tar\.gz|tgz|tar\.bz2|tar)$", re.IGNORECASE)
_MAX_FILES = 20


@dataclass
class Wanted:
    """What one ``pip install`` asks for."""

    requirements: list[str] = field(default_factory=list)
    """As PEP 508 writes them; not checked."""
    wheels: list[Path] = field(default_factory=list)
    """Files of the session."""
    needs_dependencies: bool = True


def arguments_of(words: Sequence[str]) -> list[str] | None:
    """What is said to pip by a command, or None if it says nothing to pip."""
    left = list(words)
    while left and (left[0] in {"sudo", "time"} or re.match(r"\w+=", left[0])):
        left.pop(0)
    if not left:
        return None
    program = os.path.basename(left[0])  # noqa: PTH119 -- a word, perhaps no path
    if _PIP.match(program):
        return left[1:]
    if program == "uv" and left[1:2] == ["pip"]:
        return left[2:]
    if program == "uv" and left[1:2] == ["add"]:
        return ["install", *left[2:]]
    if _PYTHON.match(program):
        for position, word in enumerate(left[1:], 1):
            if word == "-m":
                return (
                    left[position + 2 :] if left[position + 1 : position + 2] == ["pip"] else None
                )
            if not word.startswith("-"):
                return None
    return None


def wanted_of(
    arguments: Sequence[str], directory: Path | str, read: Callable[[Path], str]
) -> Wanted:
    """What the arguments of ``pip install`` ask for.

    Args:
        arguments: after the word ``install``.
        directory: which paths are relative to.
        read: gives the text of a file of requirements; what it raises is passed on.

    Raises:
        ValueError: one is an option that cannot be heeded, or a path to something else than a
            wheel.
    """
    wanted = Wanted(needs_dependencies="--no-deps" not in arguments)
    here = Path(directory)
    left = list(arguments)
    while left:
        word = left.pop(0)
        if (file := _file_of_requirements(word, left)) is not None:
            for entry in _entries(here / file, read, set()):
                _add(wanted, entry, (here / file).parent)
        elif _WITH_VALUE.match(word) or (word == "-c" and left and _CHANNEL.match(left[0])):
            left[:1] = []
        elif word.startswith("-") and not _IGNORED.match(word):
            raise ValueError(_refused(word))
        elif not word.startswith("-"):
            _add(wanted, word, here)
    return wanted


def _file_of_requirements(word: str, left: list[str]) -> str | None:
    """The file that an option names, by itself or in the word after it."""
    if word in {"-r", "--requirement"} and left:
        return left.pop(0)
    match = re.match(r"(?:-r|--requirement=)(.+)$", word)
    return match.group(1) if match is not None else None


def _entries(file: Path, read: Callable[[Path], str], seen: set[Path]) -> Iterator[str]:
    """The requirements of a file, and of those that it names."""
    if len(seen) >= _MAX_FILES or file in seen:
        return
    seen.add(file)
    text = read(file).replace("\\\n", " ")
    for line in text.splitlines():
        entry = re.sub(r"(^|\s)#.*", "", line).strip()
        words = entry.split()
        if not words:
            continue
        if (inner := _file_of_requirements(words[0], words[1:2])) is not None:
            yield from _entries(file.parent / inner, read, seen)
        elif entry.startswith("-"):
            raise ValueError(f"{file.name} has {_refused(words[0])}")
        else:
            # Hashes are the index's to say, and are checked by what it says.
            yield _OPTION_WITHIN.sub("", entry)


def _add(wanted: Wanted, entry: str, directory: Path) -> None:
    name = entry.removeprefix("file://")
    if (match := _AS_CONDA_WRITES.match(entry)) is not None:
        wanted.requirements.append(f"{match[1]}=={match[2]}.*")
    elif "://" in name or "@" in name or not _is_path(name):
        wanted.requirements.append(entry)
    elif name.lower().endswith(".whl"):
        wanted.wheels.append(directory / name)
    else:
        raise ValueError(
            f"{entry} is no wheel, and sources are not built here. To import modules of a "
            f"directory: import sys; sys.path.append({os.fspath((directory / name).parent)!r})"
        )


def _is_path(name: str) -> bool:
    return name.startswith((".", "~")) or "/" in name or _ARCHIVE.search(name) is not None


def _refused(option: str) -> str:
    return (
        f"the option {option}, which is not available here: packages come by name, from the index "
        "that the server is configured for, or as wheels that are files of the session."
    )
