"""A program: ``pip`` for what a session starts. It asks the session's own process, and prints.

Standard library alone, and nothing of this package: it is run by its path, from the directory that
``pip_commands`` makes. There, ``requests`` is a FIFO that the session reads while code runs.
"""

from __future__ import annotations

import json
import os
import select
import sys

_NOBODY = (
    "ERROR: packages are installed while code of the session runs, and none runs that waits for "
    "this. Say %pip install in a cell.\n"
)
_MAX_BYTES = 4096
"""A pipe takes what is not longer in one piece (``PIPE_BUF``)."""


def main(directory: str, words: list[str]) -> int:
    """Ask, print what came of it, and return the exit code."""
    name = f"answer-{os.getpid()}"
    request = json.dumps({"words": words, "cwd": os.getcwd(), "answer": name}) + "\n"  # noqa: PTH109
    if len(request.encode()) > _MAX_BYTES:
        sys.stderr.write("ERROR: too long; name the packages in a file, and say -r FILE.\n")
        return 1
    path = f"{directory}/{name}"
    os.mkfifo(path, 0o600)
    try:
        answer = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            requests = os.open(f"{directory}/requests", os.O_WRONLY | os.O_NONBLOCK)
            os.write(requests, request.encode())
        except OSError:
            sys.stderr.write(_NOBODY)
            return 1
        return _print(_wait(answer, requests))
    finally:
        os.unlink(path)  # noqa: PTH108 -- as little as can be is imported


def _wait(answer: int, requests: int) -> bytes:
    poll = select.poll()
    poll.register(answer, select.POLLIN)
    poll.register(requests, 0)  # that its reader is gone is told all the same
    data = b""
    while not data.endswith(b"\n"):
        ready = dict(poll.poll())
        if ready.get(answer, 0) & select.POLLIN:
            data += os.read(answer, 65536)
        elif ready:
            return b""
    return data


def _print(data: bytes) -> int:
    if not data:
        sys.stderr.write(_NOBODY)
        return 1
    text, code = json.loads(data)
    (sys.stderr if code else sys.stdout).write(text)
    return int(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
