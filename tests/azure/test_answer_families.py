"""Every operation against every kind of odd answer: one sentence, or what the answer says."""

from __future__ import annotations

import gzip
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest

from aca_mcp.errors import PoolUnavailableError, SessionPoolError
from tests.azure.service import ENDPOINT, IDENTIFIER, Service, answer, fault, run, succeeded
from tests.support.emulators import azure_pool_at
from tests.support.foreign_errors import OPERATIONS, told

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from aca_mcp.pool import Execution

MAX_SENTENCE_CHARACTERS = 1000
NOT_SENT = {"interrupt", "undo", "install_packages"}
SENT = sorted(set(OPERATIONS) - NOT_SENT)
HTML = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
TWICE_COMPRESSED = gzip.compress(gzip.compress(bytes(64 * 2**20)))
"""Some kilobytes, of which a client that does as headers say makes as much as there are."""
PROBLEM = {"type": "x", "title": "Bad", "status": 400, "errors": {"Code": ["Too bad."]}}
NULLS = {
    "id": None,
    "identifier": None,
    "status": None,
    "result": None,
    "error": None,
    "value": None,
    "nextLink": None,
    "name": None,
    "sizeInBytes": None,
    "lastModifiedAt": None,
    "runtimes": None,
    "preInstalledPackages": None,
    "properties": None,
    "etag": None,
}


class Chunked(httpx.AsyncByteStream):
    """A body without a length, perhaps not to its end."""

    def __init__(self, *chunks: bytes, breaks: bool = False) -> None:
        self._chunks = chunks
        self._breaks = breaks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk
        if self._breaks:
            raise httpx.RemoteProtocolError("peer closed connection")


def streamed(*chunks: bytes, breaks: bool = False, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(200, stream=Chunked(*chunks, breaks=breaks), headers=named)


def nested(depth: int) -> dict[str, Any]:
    made: dict[str, Any] = {"code": "Deep", "message": "far down"}
    for _ in range(depth):
        made = {"error": made}
    return made


ANSWERS: dict[str, Callable[[], httpx.Response]] = {
    "204": lambda: answer(204),
    "empty": lambda: answer(200, b""),
    "a page": lambda: answer(200, HTML),
    "null": lambda: answer(200, b"null"),
    "true": lambda: answer(200, b"true"),
    "a number": lambda: answer(200, b"7"),
    "a text": lambda: answer(200, b'"a text"'),
    "an array": lambda: answer(200, b"[]"),
    "an array of texts": lambda: answer(200, b'["a"]'),
    "an array of nulls": lambda: answer(200, b"[null]"),
    "an empty object": lambda: answer(200, b"{}"),
    "nulls everywhere": lambda: answer(200, NULLS),
    "nulls within": lambda: answer(200, {"properties": NULLS, "value": [NULLS, None]}),
    "a byte order mark": lambda: answer(200, b"\xef\xbb\xbf{}"),
    "another encoding": lambda: answer(200, json.dumps({"status": "ä"}).encode("utf-16")),
    "no text at all": lambda: answer(200, b"\xff\xfe\x00\x01" * 100),
    "half an object": lambda: answer(200, b'{"value": [{"na'),
    "not a number": lambda: answer(200, b'{"sizeInBytes": NaN, "status": Infinity}'),
    "long numbers": lambda: answer(200, b'{"sizeInBytes": ' + b"9" * 5000 + b"}"),
    "much nesting": lambda: answer(200, b'{"result":' * 5000 + b"1" + b"}" * 5000),
    "names in capitals": lambda: answer(200, {"STATUS": "Succeeded", "VALUE": []}),
    "broken gzip": lambda: streamed(b"not gzip", Content_Encoding="gzip"),
    "half of gzip": lambda: streamed(gzip.compress(b"{}" * 999)[:40], Content_Encoding="gzip"),
    "twice compressed": lambda: streamed(TWICE_COMPRESSED, Content_Encoding="gzip, gzip"),
    "compressed a hundred times": lambda: streamed(b"x", Content_Encoding=", ".join(["gzip"] * 99)),
    "an encoding that nobody asked for": lambda: streamed(b"\x0b\x00", Content_Encoding="br"),
    "lists without end": lambda: answer(200, b'{"value":[' + b"[]," * 2_500_000 + b"[]]}"),
    "files without end": lambda: answer(200, b"[" + b'{"name":"a"},' * 600_000 + b"{}]"),
    "half of a body": lambda: streamed(b'{"value": [', breaks=True),
    "chunks": lambda: streamed(b'{"sta', b'tus": "Succeeded"', b', "value": []}'),
    "another coding": lambda: streamed(b"\x00\x01", Content_Encoding="br, x-odd"),
    "to itself": lambda: answer(302, None, Location=ENDPOINT),
    "to nowhere": lambda: answer(307, None, Location="http://[bad"),
    "no location": lambda: answer(308),
    "400 text": lambda: answer(400, b'"Session is busy."'),
    "400 page": lambda: answer(400, HTML),
    "400 list": lambda: answer(400, b'["a", "b"]'),
    "400 problem": lambda: answer(400, PROBLEM),
    "400 deep": lambda: answer(400, nested(3)),
    "400 deeper": lambda: answer(400, nested(500)),
    "400 nulls": lambda: answer(400, {"error": {"code": None, "message": None, "details": None}}),
    "400 lists": lambda: answer(400, {"error": ["a"], "errors": ["b"], "details": "c"}),
    "401 bare": lambda: answer(401),
    "402": lambda: answer(402),
    "403 page": lambda: answer(403, HTML),
    "404 page": lambda: answer(404, HTML),
    "405": lambda: answer(405),
    "407": lambda: answer(407, HTML),
    "408": lambda: answer(408),
    "409": lambda: fault(409, "Conflict", "Busy."),
    "410": lambda: answer(410),
    "411": lambda: answer(411),
    "413": lambda: answer(413, HTML),
    "414": lambda: answer(414),
    "415": lambda: answer(415),
    "418": lambda: answer(418, b"short and stout"),
    "421": lambda: answer(421),
    "425": lambda: answer(425),
    "429": lambda: answer(429, b'"slow down"', Retry_After="7"),
    "431": lambda: answer(431),
    "500 text": lambda: answer(500, b'"Something broke."'),
    "500 trace": lambda: answer(500, b"Traceback (most recent call last):\n  File x\n" * 500),
    "501": lambda: answer(501),
    "502": lambda: answer(502, HTML),
    "503": lambda: answer(503, HTML, retry_after="Wed, 21 Oct 2015 07:28:00 GMT"),
    "504": lambda: answer(504),
    "507": lambda: answer(507),
    "511": lambda: answer(511, b"<title>Log in to the network</title>"),
    "599": lambda: answer(599),
    "999": lambda: answer(999),
}


@pytest.mark.parametrize("kind", ANSWERS)
async def test_an_operation_gives_what_it_can_or_one_sentence(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    asked = 0

    async def service(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        await request.aread()
        asked += 1
        return ANSWERS[kind]()

    transport = httpx.MockTransport(service)
    for rich in (True, False):
        async with azure_pool_at(
            ENDPOINT, transport=transport, rich_results=rich, retry_seconds=0
        ) as pool:
            for name in SENT:
                asked = 0
                with anyio.fail_after(20):
                    message = await told(pool, name)
                assert message.isprintable(), name
                assert len(message) < MAX_SENTENCE_CHARACTERS, name
                for secret in (IDENTIFIER, "Bearer"):
                    assert secret not in message, name
                assert asked <= 40, name
    # The outermost boundary, which logs what it meets, was not needed.
    assert "unexpected" not in caplog.text


@pytest.mark.parametrize("kind", sorted(set(ANSWERS) - {"chunks"}))
async def test_code_is_sent_once_whatever_is_answered(kind: str) -> None:
    sent: list[str] = []

    async def service(request: httpx.Request) -> httpx.Response:
        content = await request.aread()
        if b"the_users_code" in content:
            sent.append(request.method)
            return ANSWERS[kind]()
        return succeeded()

    transport = httpx.MockTransport(service)
    async with azure_pool_at(
        ENDPOINT, transport=transport, rich_results=False, retry_seconds=0
    ) as pool:
        with suppress(SessionPoolError):
            await pool.execute(IDENTIFIER, "the_users_code()", timeout_seconds=5)
    assert len(sent) == (2 if kind == "401 bare" else 1)  # once more with a fresh token


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("120", "in 120 s"),
        (" 7 ", "in 7 s"),
        ("1.5", "in 2 s"),
        ("0", "later"),
        ("-5", "later"),
        ("soon", "later"),
        ("", "later"),
        ("120, 60", "in 120 s"),
        ("Wed, 21 Oct 2015 07:28:00 GMT", "later"),
        ("9" * 100, "in 999999 s"),
        ("inf", "later"),
        ("\N{FULLWIDTH DIGIT ONE}", "later"),
    ],
)
@pytest.mark.parametrize("name", ["Retry-After", "retry-after", "RETRY-AFTER"])
async def test_when_to_try_again_is_read_in_every_form(given: str, says: str, name: str) -> None:
    headers = [(name.encode(), given.encode())]
    service = Service(httpx.Response(429, headers=headers))
    async with service.pool(rich_results=True, retry_seconds=0) as pool:
        with pytest.raises(PoolUnavailableError, match=says):
            await run(pool)


async def test_a_date_to_try_again_at_is_read() -> None:
    service = Service(answer(503, None, Retry_After="Wed, 21 Oct 2099 07:28:00 GMT"))
    async with service.pool(rich_results=True, retry_seconds=0) as pool:
        with pytest.raises(PoolUnavailableError, match=r"in \d{9,} s"):
            await run(pool)


@pytest.mark.parametrize("status", [407, 511])
async def test_a_proxy_that_wants_a_login_is_named(status: int) -> None:
    service = Service(answer(status, HTML))
    async with service.pool(rich_results=True, retry_seconds=0) as pool:
        with pytest.raises(PoolUnavailableError, match="HTTPS_PROXY"):
            await run(pool)


async def of_result(**result: object) -> Execution:
    service = Service()
    async with service.pool() as pool:
        service.answers += [succeeded(), succeeded(**result)]
        return await run(pool)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
async def test_a_number_that_json_has_not_is_shown_as_text(value: float) -> None:
    text = json.dumps({"status": "Succeeded", "result": {"executionResult": value}})
    service = Service(succeeded(), answer(200, text.encode()))
    async with service.pool() as pool:
        (output,) = (await run(pool)).outputs
    assert set(output.data) == {"text/plain"}


async def test_a_stream_that_is_longer_than_was_asked_for_is_cut() -> None:
    execution = await of_result(stdout="x" * (3 * 2**20), stderr="y" * (3 * 2**20))
    for stream in (execution.stdout, execution.stderr):
        assert len(stream.head) == 2**20
        assert stream.cut


async def test_an_answer_of_100_mb_is_cut_or_not_read_to_its_end() -> None:
    size = 100 * 2**20
    head = b'{"status": "Succeeded", "result": {"executionResult": "", "stdout": "'
    chunk = b"x" * 2**20

    def large() -> httpx.Response:
        return streamed(head, *[chunk] * (size // len(chunk)), b'"}}')

    async def service(request: httpx.Request) -> httpx.Response:
        return succeeded() if b"chdir" in await request.aread() else large()

    transport = httpx.MockTransport(service)
    async with azure_pool_at(
        ENDPOINT, transport=transport, rich_results=False, retry_seconds=0
    ) as pool:
        execution = await run(pool)
        assert execution.stdout.cut
        for name in ("get_session", "list_files", "upload_file", "metadata"):
            with pytest.raises(SessionPoolError, match=r"more than|answer to an upload was lost"):
                await OPERATIONS[name](pool)
