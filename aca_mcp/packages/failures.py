"""What an installer says, as a sentence for a model. Pure."""

from __future__ import annotations

import re

_MAX_CHARACTERS = 1200
_MAX_LINES = 8
_ADDRESS = re.compile(r"\b[a-z+]+://\S+|\(from [^)]*\)", re.IGNORECASE)
_HOME = re.compile(r"(/[\w.@-]+){2,}/?")
_MISSING = (
    re.compile(r"Because ([\w.-]+) was not found in the package registry"),
    re.compile(r"No matching distribution found for ([\w.-]+)"),
)
_UNREACHABLE = (
    "error sending request",
    "Connection refused",
    "dns error",
    "Temporary failure in name resolution",
    "NewConnectionError",
    "Could not connect",
    "Max retries exceeded",
    "operation timed out",
    "Failed to fetch",
    "Network is unreachable",
)
_NO_WHEEL = (
    "no wheels",
    "no usable wheels",
    "only-binary",
    "No wheels are available",
    "is not supported",
)
_TOO_LARGE = ("File too large", "os error 27")
_FULL = ("No space left on device", "os error 28")
_SPOILED = (
    "hash mismatch",
    "Hash mismatch",
    "DO NOT MATCH THE HASHES",
    "BadZipFile",
    "invalid wheel",
    "Failed to read",
    "Failed to extract",
    "bad zip",
    "zip archive",
    "outside",
    "has an invalid wheel",
    "Invalid Wheel",
    "is invalid",
)
_NOTHING = "Nothing was installed."


def sentence_for(said: str, requirements: str, *, names: tuple[str, ...] = ()) -> str:
    """What happened, and what to do.

    Args:
        said: by uv or pip.
        requirements: what was asked for.
        names: known names of packages, to find the nearest of one that does not exist.
    """
    if _has(said, _TOO_LARGE):
        return f"A file of {requirements} is too large to be installed. {_NOTHING}"
    if _has(said, _FULL):
        return f"The server's disk is full. {_NOTHING} Tell the user."
    if "took longer than" in said:
        return f"Fetching {requirements} took too long. {_NOTHING} Try again, or do without."
    if _has(said, _SPOILED):
        return (
            f"A wheel of {requirements} is damaged or is not what the index says it is. {_NOTHING} "
            f"{_shortened(said)}"
        )
    for pattern in _MISSING:
        if (match := pattern.search(said)) is not None and not _has(said, _NO_WHEEL[:2]):
            name = match.group(1)
            return f"The index has no package {name!r} that fits.{_near(name, names)} {_NOTHING}"
    if _has(said, _UNREACHABLE):
        return (
            f"The package index cannot be reached. {_NOTHING} A person can install it where there "
            f"is a network: aca-mcp env create NAME {requirements}"
        )
    if _has(said, _NO_WHEEL):
        return (
            f"There is no wheel of {requirements} for this interpreter, and sources are not "
            f"built. {_NOTHING} {_shortened(said)}"
        )
    return f"{requirements} could not be installed. {_NOTHING} {_shortened(said)}"


def _near(name: str, names: tuple[str, ...]) -> str:
    import difflib

    found = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.75)
    return f" Names like it: {', '.join(found)}." if found else ""


def _has(said: str, words: tuple[str, ...]) -> bool:
    return any(word in said for word in words)


def _shortened(said: str) -> str:
    """What the installer said, without addresses and paths of this machine."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    text = " ".join(lines[:_MAX_LINES])
    text = _HOME.sub("(a path)", _ADDRESS.sub("(an address)", text))
    return f"The installer says: {text[:_MAX_CHARACTERS]}"
