"""Patterns over paths, and which names are close to one that is not there. Pure."""

from __future__ import annotations

import difflib
import fnmatch
import re
import unicodedata
from typing import TYPE_CHECKING

from aca_mcp.server.results.text import show_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SIGNS = frozenset("*?[")
_CLOSEST = 5
_CUTOFF = 0.6
_SPACES = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
"""Of every width but the usual one."""


def is_pattern(path: str) -> bool:
    """Whether a path stands for several by ``*``, ``?`` or ``[``."""
    return bool(_SIGNS & set(path))


def matches(path: str, pattern: str) -> bool:
    """Whether a relative path has a pattern's form.

    A pattern without ``/`` is about the name alone, wherever it is; ``**`` stands for any number
    of directories. Case does not count, and letters with marks are the same however they are
    encoded.
    """
    parts, wanted = (composed(each).casefold().split("/") for each in (path, pattern))
    if len(wanted) == 1:
        return fnmatch.fnmatchcase(parts[-1], wanted[0])
    return _matches(parts, wanted)


def _matches(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    # Which positions of the pattern are reached after each name: linear in both, whatever the
    # pattern, where backtracking is not.
    reached = _past_stars({0}, wanted)
    for part in parts:
        reached = _past_stars(
            {
                position if wanted[position] == "**" else position + 1
                for position in reached
                if position < len(wanted)
                and (wanted[position] == "**" or fnmatch.fnmatchcase(part, wanted[position]))
            },
            wanted,
        )
    return len(wanted) in reached


def _past_stars(positions: set[int], wanted: Sequence[str]) -> set[int]:
    found = set(positions)
    for position in sorted(positions):
        while position < len(wanted) and wanted[position] == "**":
            position += 1
            found.add(position)
    return found


def named(path: str, files: Iterable[str]) -> list[str]:
    """The files that a relative path stands for.

    That is the one of this name, or those below the directory of this name; where there are none,
    the same for letters that are encoded otherwise; and else those that have a pattern's form.
    An empty path stands for all.
    """
    known = list(files)
    path = "/".join(part for part in path.split("/") if part not in ("", "."))
    for form in (str, composed):
        wanted = form(path)
        if found := [file for file in known if form(file) == wanted]:
            return found
        if found := [file for file in known if not wanted or form(file).startswith(f"{wanted}/")]:
            return found
    return [file for file in known if is_pattern(path) and matches(file, path)]


def composed(text: str) -> str:
    """Text as most systems and all models write it: ä is one character, and a space a space.

    Some systems make names with spaces of other widths, which look the same.
    """
    return _SPACES.sub(" ", unicodedata.normalize("NFC", text))


def closest(path: str, known: Iterable[str]) -> list[str]:
    """The paths that somebody may have meant, the likeliest first; none where nothing is close.

    Case, accents, spaces and punctuation count for little, and so does the directory.
    """
    wanted, name = _key(path), _key(path.rpartition("/")[2])
    scored: list[tuple[float, str]] = []
    for candidate in known:
        its_name = _key(candidate.rpartition("/")[2])
        likeness = max(_likeness(wanted, _key(candidate)), 0.99 * _likeness(name, its_name))
        if likeness >= _CUTOFF:
            scored.append((-likeness, candidate))
    return [candidate for _, candidate in sorted(scored)[:_CLOSEST]]


def close_to(names: Sequence[str]) -> str:
    """A sentence with names that are close to one that is not there; empty for none."""
    return f"Close to it: {', '.join(map(show_name, names))}." if names else ""


def _likeness(one: str, other: str) -> float:
    if one == other:
        return 1
    matcher = difflib.SequenceMatcher(None, one, other, autojunk=False)
    if matcher.real_quick_ratio() < _CUTOFF or matcher.quick_ratio() < _CUTOFF:
        return 0
    return matcher.ratio()


def _key(text: str) -> str:
    # ß and ligatures fall apart too; ä is a with a mark, which goes, and is also written ae.
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    letters = (mark for mark in decomposed if not unicodedata.combining(mark))
    return "".join(mark for mark in letters if mark.isalnum() or mark == "/")
