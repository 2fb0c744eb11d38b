"""Only errors of the tree leave a pool, whatever is raised inside, and callers keep their own."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import anyio
import anyio.lowlevel
import pytest

from aca_mcp.error_boundary import ErrorBoundary
from aca_mcp.errors import (
    ExecutionOutcomeUnknownError,
    PoolFullError,
    PoolUnavailableError,
    SessionPoolError,
)
from aca_mcp.pool import OutputChunk, SessionPool
from tests.support.foreign_errors import IDENTIFIER, OPERATIONS, SECRET, foreign_errors
from tests.support.odd_pools import BreakingPool
from tests.support.streams import content
from tests.support.toy_pool import ToyPool

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from aca_mcp.pool import OutputCallback

PORT = {name for name in vars(SessionPool) if not name.startswith("_")}


class Raising:
    """A pool whose every operation raises the same error."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def pool(self) -> ErrorBoundary:
        return ErrorBoundary(cast("SessionPool", self))

    def __getattr__(self, name: str) -> Any:
        async def operation(*_: object, **__: object) -> None:
            raise self.error

        @asynccontextmanager
        async def opened(*_: object) -> AsyncGenerator[None]:
            raise self.error
            yield

        return opened if name == "download_file" else operation


def test_the_boundary_and_these_tests_know_every_operation_of_the_port() -> None:
    assert set(OPERATIONS) == PORT
    assert {name for name in dir(ErrorBoundary) if not name.startswith("_")} == PORT


@pytest.mark.parametrize("error", foreign_errors(), ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("name", sorted(PORT))
async def test_a_foreign_error_becomes_a_sentence_and_its_kind_is_logged(
    name: str, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = ExecutionOutcomeUnknownError if name == "execute" else PoolUnavailableError
    with caplog.at_level(logging.INFO), pytest.raises(wanted) as raised:
        await OPERATIONS[name](Raising(error).pool())
    assert type(error).__name__ in raised.value.message
    assert type(error).__name__ in caplog.text
    assert SECRET not in raised.value.message + caplog.text


@pytest.mark.parametrize("name", sorted(PORT))
async def test_errors_of_the_tree_and_cancellation_pass(name: str) -> None:
    known = PoolFullError("full")
    for error in (known, ExceptionGroup("", [ExceptionGroup("", [ValueError(), known])])):
        with pytest.raises(PoolFullError) as raised:
            await OPERATIONS[name](Raising(error).pool())
        assert raised.value is known
    with anyio.CancelScope() as scope:
        scope.cancel()
        with pytest.raises(anyio.get_cancelled_exc_class()) as cancelled:
            await anyio.lowlevel.checkpoint()
        with pytest.raises(anyio.get_cancelled_exc_class()) as passed:
            await OPERATIONS[name](Raising(cancelled.value).pool())
        assert passed.value is cancelled.value


async def test_what_the_content_of_an_upload_raises_is_its_callers() -> None:
    async def broken(error: Exception) -> AsyncIterator[bytes]:
        yield b"abc"
        raise error

    pool = ErrorBoundary(ToyPool())
    for error in (OSError("cannot be read"), PoolFullError("x"), ValueError()):
        with pytest.raises(type(error)) as raised:
            await pool.upload_file(IDENTIFIER, "a", broken(error))
        assert raised.value is error


async def test_what_hears_the_output_of_code_may_raise_its_own() -> None:
    class Printing:
        async def execute(self, *_: object, on_output: OutputCallback, **__: object) -> None:
            on_output(OutputChunk("stdout", "1"))

    def leave(_: OutputChunk) -> None:
        raise BrokenPipeError

    pool = ErrorBoundary(cast("SessionPool", Printing()))
    with pytest.raises(BrokenPipeError):
        await pool.execute(IDENTIFIER, "print(1)", timeout_seconds=1, on_output=leave)


async def test_what_the_reader_of_a_download_raises_is_its_own() -> None:
    pool = ErrorBoundary(ToyPool())
    await pool.upload_file(IDENTIFIER, "a", content(b"abc"))
    own = OSError("disk full")

    async def read() -> None:
        async with pool.download_file(IDENTIFIER, "a") as download:
            assert [chunk async for chunk in download.chunks] == [b"abc"]
            raise own

    with pytest.raises(OSError, match="disk full") as raised:
        await read()
    assert raised.value is own


async def test_chunks_that_break_are_told_in_a_sentence() -> None:
    pool = ErrorBoundary(BreakingPool(OSError(SECRET)))
    await pool.upload_file(IDENTIFIER, "a", content(b"abc"))
    with pytest.raises(SessionPoolError, match="OSError"):
        await OPERATIONS["download_file"](pool)
