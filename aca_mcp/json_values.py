"""Whether JSON from outside would take long to read, and much memory. Standard library only.

A list without anything in it has three bytes of JSON and some eighty of memory, and whatever reads
it lets nobody else have a turn. A long text is as large as it looks, and is read at once.
"""

from __future__ import annotations

import re

READ_AT_ONCE_BYTES = 2**20
"""However many values so short a text has, they are read soon."""
_MAX_TEXTS = 100_000
_MAX_OTHER_BYTES = 2 * 2**20
"""Of JSON beside its texts."""
_TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)


def has_too_many_values(json: bytes) -> bool:
    """Whether it has more than are read. Of what is no JSON, whatever comes of that."""
    if len(json) <= READ_AT_ONCE_BYTES:
        return False
    others = end = 0
    for count, text in enumerate(_TEXT.finditer(json), 1):
        others += text.start() - end
        end = text.end()
        if count > _MAX_TEXTS or others > _MAX_OTHER_BYTES:
            return True
    return others + len(json) - end > _MAX_OTHER_BYTES
