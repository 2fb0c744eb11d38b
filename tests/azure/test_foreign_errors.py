"""Nothing but errors of the tree leaves the Azure pool, whichever layer below it breaks."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, cast

import anyio
import httpx
import pytest

from aca_mcp.azure import client, executions, files, known_sessions, tokens
from aca_mcp.azure import pool as azure_pool
from aca_mcp.azure.connection_errors import FOREIGN
from aca_mcp.errors import ExecutionOutcomeUnknownError, PoolUnavailableError
from tests.azure.service import ENDPOINT, IDENTIFIER, Service, answer, fault, run, succeeded
from tests.support.emulators import azure_pool_at
from tests.support.foreign_errors import OPERATIONS, SECRET, foreign_errors, told

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

NOT_SENT = {"interrupt", "undo", "install_packages"}
"""Of two the service knows nothing, and this pool may install no packages."""
SENT = sorted(set(OPERATIONS) - NOT_SENT)


def subclasses(kind: type[BaseException]) -> set[type[BaseException]]:
    return {kind}.union(*map(subclasses, kind.__subclasses__()))


RAISED_BY_HTTPX = [
    kind
    for kind in vars(httpx).values()
    if isinstance(kind, type) and issubclass(kind, Exception) and kind is not httpx.HTTPStatusError
]


def made(kind: type[Exception]) -> Exception:
    if issubclass(kind, httpx.StreamError) and kind is not httpx.StreamError:
        return cast("Callable[[], Exception]", kind)()
    return kind(SECRET)


def test_every_error_of_httpx_is_known() -> None:
    assert len(RAISED_BY_HTTPX) > 20
    assert all(issubclass(kind, FOREIGN) for kind in RAISED_BY_HTTPX)
    assert set(RAISED_BY_HTTPX) >= {
        kind for kind in subclasses(httpx.RequestError) if kind.__module__.startswith("httpx")
    }


@pytest.mark.parametrize("kind", RAISED_BY_HTTPX, ids=lambda kind: kind.__name__)
async def test_an_error_of_httpx_is_mapped_where_it_enters(
    kind: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"{"
            raise made(kind)

    async def raising(request: httpx.Request) -> httpx.Response:
        raise made(kind)

    async def breaking(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=Broken())

    for service in (raising, breaking):
        transport = httpx.MockTransport(service)
        async with azure_pool_at(ENDPOINT, transport=transport, retry_seconds=0) as pool:
            for name in SENT:
                with anyio.fail_after(5):
                    sentence = await told(pool, name)
                assert sentence
                assert (SECRET in sentence) == (kind is httpx.ProxyError and service is raising)
    # The outermost boundary, which logs what it meets, was not needed.
    assert caplog.text == ""


@pytest.mark.parametrize("error", foreign_errors(), ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    ("owner", "layer"),
    [
        (client.DataPlane, "send"),
        (client.DataPlane, "_open"),
        (client, "_read"),
        (executions.Executions, "run"),
        (files.Files, "list"),
        (known_sessions.KnownSessions, "get"),
        (known_sessions.KnownSessions, "note"),
        (azure_pool, "check_identifier"),
    ],
)
async def test_an_error_out_of_any_layer_becomes_a_sentence(
    error: Exception, owner: object, layer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raising(*_: object, **__: object) -> object:
        raise error

    async def service(request: httpx.Request) -> httpx.Response:
        return answer(200, {})

    transport = httpx.MockTransport(service)
    async with azure_pool_at(ENDPOINT, transport=transport, rich_results=False) as pool:
        monkeypatch.setattr(owner, layer, raising)
        assert any([await told(pool, name) for name in SENT])
        assert not any([SECRET in await told(pool, name) for name in SENT])
        monkeypatch.undo()


async def test_a_credential_that_breaks_in_any_way_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in foreign_errors():

        def raising(self: object, broken: Exception = error) -> object:
            raise broken

        monkeypatch.setattr(tokens.TokenSource, "_fetch", raising)
        async with Service().pool() as pool:
            for name in SENT:
                assert await told(pool, name)


def odd_answers() -> dict[str, httpx.Response]:
    """Answers with status 200 that are none of the API's."""
    gzipped = {"content-encoding": "gzip"}
    return {
        "html": answer(200, b"<html><head><title>Sign in</title></head></html>"),
        "nothing": answer(200),
        "an array": answer(200, b"[1]"),
        "a deep one": answer(200, b"[" * 100_000),
        "broken gzip": httpx.Response(200, stream=httpx.ByteStream(b"\x1f\x8bno"), headers=gzipped),
        "no gzip": httpx.Response(200, stream=httpx.ByteStream(b"{}"), headers=gzipped),
        "half a gzip": httpx.Response(
            200, stream=httpx.ByteStream(gzip.compress(b"{" * 1000)[:30]), headers=gzipped
        ),
        "another encoding": httpx.Response(
            200, stream=httpx.ByteStream(b"\xff\xfe{\x00"), headers={"content-encoding": "zstd"}
        ),
    }


@pytest.mark.parametrize("odd", odd_answers(), ids=str)
@pytest.mark.parametrize("name", SENT)
async def test_an_odd_answer_is_told_to_its_caller_alone(name: str, odd: str) -> None:
    async def service(request: httpx.Request) -> httpx.Response:
        return odd_answers()[odd]

    transport = httpx.MockTransport(service)
    async with azure_pool_at(ENDPOINT, transport=transport, retry_seconds=0) as pool:
        sentence = await told(pool, name)
        assert "unexpected" not in sentence


async def test_upkeep_that_meets_an_odd_answer_says_so() -> None:
    there = answer(200, {"identifier": IDENTIFIER, "etag": "1"})
    service = Service(there, odd_answers()["html"], there, odd_answers()["no gzip"])
    async with service.pool() as pool:
        with pytest.raises(PoolUnavailableError, match=r"HTTP status 200: Sign in"):
            await pool.keep_alive(IDENTIFIER)
        with pytest.raises(PoolUnavailableError, match="encoding"):
            await pool.keep_alive(IDENTIFIER)


async def test_a_rejection_of_any_length_is_not_read() -> None:
    bomb = gzip.compress(bytes(64 * 2**20))
    rejected = httpx.Response(
        401, stream=httpx.ByteStream(bomb), headers={"content-encoding": "gzip"}
    )
    service = Service(rejected, succeeded(), succeeded(1))
    async with service.pool() as pool:
        await run(pool)
    assert rejected.num_bytes_downloaded == 0


@pytest.mark.parametrize(
    ("odd", "says"),
    [
        (answer(500, b"<html><h1>Internal</h1>\n<p>Server error</p>"), "HTTP status 500: Internal"),
        (answer(502, b"\x1b[31mBad \xe2\x80\xaeGateway"), r"HTTP status 502: \[31mBad Gateway"),
        (
            fault(504, "GatewayTimeout", f"no answer for {IDENTIFIER}"),
            r"504: .*no answer for \.\.\.",
        ),
        (answer(200, b"<script>x()</script><title>Sign in</title>"), "HTTP status 200: Sign in"),
        (answer(204), "HTTP status 204 without a word"),
    ],
)
async def test_an_unknown_outcome_tells_the_status_and_the_first_words(
    odd: httpx.Response, says: str
) -> None:
    lost = [answer(404)] if odd.status_code >= 500 else []
    service = Service(odd, *lost)
    async with service.pool() as pool:
        with pytest.raises(ExecutionOutcomeUnknownError, match=says):
            await run(pool)


async def test_closing_goes_on_where_a_connection_cannot_be_closed() -> None:
    class Stuck(httpx.MockTransport):
        async def aclose(self) -> None:
            raise OSError(SECRET)

    service = Service(succeeded(), succeeded(1))
    with anyio.fail_after(10):
        async with azure_pool_at(ENDPOINT, transport=Stuck(service), rich_results=False) as pool:
            await run(pool)
