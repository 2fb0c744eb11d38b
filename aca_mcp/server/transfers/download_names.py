"""Names that a session's file gets on the machine of whoever downloads it. Pure.

Code in the session chose the file's name, and it is hostile: it may try to be another command, a
hidden file, another directory, or to look like what it is not.
"""

from __future__ import annotations

import re
from urllib.parse import quote

_UNWANTED = re.compile(r'[<>:"|?*\\]')
"""What some file system or shell makes something else of."""
_MAX_CHARACTERS = 100
_ATTRIBUTE_CHARACTERS = "!#$&+-.^_`|~"
"""Beside letters and digits, what stands for itself in RFC 8187."""


def local_name(path: str) -> str:
    """A harmless file name that looks like the last part of a session's path."""
    name = path.rpartition("/")[2]
    printable = "".join(letter if letter.isprintable() else "_" for letter in name)
    # The end is kept, where the extension is.
    return _UNWANTED.sub("_", printable)[-_MAX_CHARACTERS:].lstrip(". -").rstrip() or "file"


def content_disposition(path: str) -> str:
    """The header that makes a browser save a download, whatever it is, under a harmless name."""
    name = local_name(path)
    # Some take percent signs in the plain form for escapes.
    plain = name.encode("ascii", "replace").decode().replace("?", "_").replace("%", "_")
    extended = quote(name, safe=_ATTRIBUTE_CHARACTERS)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{extended}"
