"""Files that keep what a result cannot show as it is: pages, drawings, sounds, large pictures.

Standard library only.
"""

from __future__ import annotations

import os
import stat

DIRECTORY = "outputs"
"""Below the work directory."""
MAX_FILES = 50
MAX_BYTES = 64 * 2**20
"""Of the files of one execution together."""

_SUFFIXES = {
    "text/html": ".html",
    "image/svg+xml": ".svg",
    "image/jpeg": ".jpg",
    "audio/wav": ".wav",
    "audio/x-wav": ".wav",
    "audio/mpeg": ".mp3",
    "application/pdf": ".pdf",
    "application/json": ".json",
    "application/geo+json": ".geojson",
}


class DisplayFiles:
    """The files of one execution.

    Args:
        root: the work directory.
        name: how their names begin, such as ``cell-3``.
    """

    def __init__(self, root: str, name: str) -> None:
        self._root = root
        self._name = name
        self._count = 0
        self._bytes = 0
        self._paths: dict[str, str] = {}
        """Of displays that are updated: each has one file."""

    def keep(self, content: bytes | str, mime: str, display_id: str = "") -> str | None:
        """Write a file; its path relative to the work directory, or None if it was not written.

        Args:
            content: text is written as UTF-8.
            mime: chooses the suffix.
            display_id: of a display that may be updated; the next state replaces the file.
        """
        data = content if isinstance(content, bytes) else content.encode("utf-8", "replace")
        if self._count >= MAX_FILES or self._bytes + len(data) > MAX_BYTES:
            return None
        suffix = _SUFFIXES.get(mime) or "." + "".join(
            filter(str.isalnum, mime.partition("/")[2].partition("+")[0])
        )
        key = f"{display_id}{suffix}" if display_id else ""
        try:
            path = self._paths.get(key) or self._new(suffix)
            with open(self._at(path), "wb") as file:  # noqa: PTH123 -- as the other names here
                file.write(data)
        except OSError:
            return None  # no room, or code made something else of the directory
        if key:
            self._paths[key] = path
        self._bytes += len(data)
        return path

    def read(self, path: str) -> bytes | None:
        """A file; None if there is none, or it is too large to be shown.

        Args:
            path: relative to the work directory, or absolute: what code may read, it may show.
        """
        try:
            # Not to wait for whoever would write to a pipe of that name.
            descriptor = os.open(self._at(path), os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        except (OSError, ValueError):  # it is gone, or no name that a file can have
            return None
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
                return None
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                return file.read(MAX_BYTES)
        except OSError:
            return None
        finally:
            os.close(descriptor)

    def _at(self, path: str) -> str:
        return os.path.join(self._root, path)  # noqa: PTH118 -- text is what is wanted

    def _new(self, suffix: str) -> str:
        os.makedirs(self._at(DIRECTORY), exist_ok=True)  # noqa: PTH103 -- see above
        while True:
            self._count += 1
            path = f"{DIRECTORY}/{self._name}-{self._count}{suffix}"
            if not os.path.lexists(self._at(path)):
                return path
            if self._count >= MAX_FILES:
                raise FileExistsError
