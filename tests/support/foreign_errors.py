"""Errors that no layer of ours raises on purpose, and every operation of the port to meet them."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from aca_mcp.errors import SessionPoolError
from tests.support.streams import content

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    from aca_mcp.pool import SessionPool

IDENTIFIER = "session-1234"
SECRET = "/secret/path"


@contextmanager
def broken(place: object, name: str, error: BaseException) -> Generator[list[str]]:
    """Let something raise, for a while; what is yielded grows with each time that it did."""
    met: list[str] = []

    def fail(*_: object, **__: object) -> object:
        met.append(name)
        raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(place, name, fail)
        yield met


def foreign_errors() -> list[Exception]:
    """One of each kind, with something in its message that nobody may be told."""
    return [
        OSError(9, "Bad file descriptor", SECRET),
        KeyError(SECRET),
        json.JSONDecodeError(SECRET, "", 0),
        httpx.DecodingError(SECRET),
        RecursionError(SECRET),
        MemoryError(SECRET),
        ExceptionGroup(SECRET, [ValueError(SECRET)]),
    ]


async def _download(pool: SessionPool) -> object:
    async with pool.download_file(IDENTIFIER, "a") as download:
        return [chunk async for chunk in download.chunks]


OPERATIONS: dict[str, Callable[[SessionPool], Awaitable[object]]] = {
    "execute": lambda pool: pool.execute(IDENTIFIER, "1", timeout_seconds=5),
    "interrupt": lambda pool: pool.interrupt(IDENTIFIER),
    "list_files": lambda pool: pool.list_files(IDENTIFIER),
    "upload_file": lambda pool: pool.upload_file(IDENTIFIER, "a", content(b"x")),
    "download_file": _download,
    "delete_file": lambda pool: pool.delete_file(IDENTIFIER, "a"),
    "list_packages": lambda pool: pool.list_packages(IDENTIFIER),
    "install_packages": lambda pool: pool.install_packages(IDENTIFIER, ["a"]),
    "get_session": lambda pool: pool.get_session(IDENTIFIER),
    "keep_alive": lambda pool: pool.keep_alive(IDENTIFIER),
    "undo": lambda pool: pool.undo(IDENTIFIER),
    "stop_session": lambda pool: pool.stop_session(IDENTIFIER),
    "metadata": lambda pool: pool.metadata(),
}


async def told(pool: SessionPool, name: str) -> str:
    """What an operation says no with; empty if it does not. Other errors are not caught."""
    try:
        await OPERATIONS[name](pool)
    except SessionPoolError as error:
        return error.message
    return ""
