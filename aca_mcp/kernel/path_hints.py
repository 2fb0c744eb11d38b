"""What to know about a file that is not there: what there is instead. Standard library only."""

from __future__ import annotations

import difflib
import errno
import ntpath
import os
import re

_MAX_NAMES = 10
_MAX_LISTED = 1000
"""Names of a directory that are looked at."""
_MAX_CHARACTERS = 60
_LIKENESS = 0.7
_ELSEWHERE = re.compile(
    r"(?:[A-Za-z]:[\\/]|/(?:kaggle|content|gdrive|dbfs|Users|home|root|data|datasets|input|workspace)"
    r"(?:/|$)|~|.*[\\/](?:Downloads|Desktop|Documents)[\\/])"
)
"""How paths of other machines, and of other people's notebooks, begin."""


def about_path(error: BaseException) -> str:
    """What the work directory has, where code asked for something else; or nothing.

    Args:
        error: any; only those of files that are not there are looked at.
    """
    if type(error) is not FileNotFoundError or error.errno != errno.ENOENT:
        return ""
    given: object = error.filename
    if type(given) is not str or not given or "\0" in given:
        return ""
    names = _names_here()
    wanted = ntpath.basename(given.rstrip("/\\"))
    near = difflib.get_close_matches(wanted, names, n=3, cutoff=_LIKENESS) if wanted else []
    if near:
        return f"The work directory has {_listed(near)}."
    if _ELSEWHERE.match(given) is None:
        return ""
    there = f"has {_listed(names)}" if names else "is empty"
    return (
        "That is a path of another machine: files reach a session by being uploaded to its work "
        f"directory, which {there}."
    )


def _names_here() -> list[str]:
    try:
        with os.scandir() as entries:
            found = [entry.name for entry, _ in zip(entries, range(_MAX_LISTED), strict=False)]
    except OSError:
        return []
    return sorted(name for name in found if not name.startswith("."))


def _listed(names: list[str]) -> str:
    shown = [
        repr(each if len(each) <= _MAX_CHARACTERS else f"{each[:_MAX_CHARACTERS]}…")
        for each in names[:_MAX_NAMES]
    ]
    more = f" and {len(names) - _MAX_NAMES:,} more" if len(names) > _MAX_NAMES else ""
    return f"{', '.join(shown)}{more}"
