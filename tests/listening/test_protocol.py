"""What a client can hold a connection with, and for how long: raw bytes over real sockets."""

from __future__ import annotations

import os
import resource
import socket
import ssl
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import pytest

from aca_mcp.listening.connections import IN_BETWEEN, SPARE
from aca_mcp.listening.server import HttpServer, Listener
from tests.support.certificates import server_tls
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from anyio.abc import SocketStream
    from starlette.types import Receive, Scope, Send

SOON = 0.2
GET = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n"


class App:
    """Answers at once, but for ``/hold``, which waits, and ``/body``, which reads."""

    def __init__(self) -> None:
        self.release = anyio.Event()
        self.held = 0
        self.left = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b"served"
        if scope["path"] == "/hold":
            self.held += 1
            await self.release.wait()
        if scope["path"] == "/large":
            body = b"x" * (32 << 20)
        if scope["method"] == "POST":
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    self.left += 1
                    return
                more = message.get("more_body", False)
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class Served:
    """A listener, and whoever connects to it."""

    def __init__(self, app: App, server: HttpServer) -> None:
        self.app = app
        self.server = server
        self.port = server.port

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[SocketStream]:
        async with await anyio.connect_tcp("127.0.0.1", self.port) as stream:
            yield stream

    async def connected(self, number: int) -> None:
        """So many connections have been seen."""
        await until(lambda: len(self.server.server_state.connections) == number)


@asynccontextmanager
async def listening(
    *, most: int = 10, seconds: float = 20, served: str = "", certificate: Path | None = None
) -> AsyncGenerator[Served]:
    app = App()
    listener = Listener(
        port=0, max_connections=most, request_seconds=seconds, certificate=certificate
    )
    server = HttpServer(
        app, listener, title="a test at", drain_seconds=1, always_served=frozenset({served})
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve_until_told)
        await until(lambda: server.started)
        try:
            yield Served(app, server)
        finally:
            app.release.set()
            server.should_exit = True


async def test_no_part_of_an_answer_waits_for_the_one_before_to_be_acknowledged() -> None:
    async with listening() as served, served.connection():
        await served.connected(1)
        (connection,) = served.server.server_state.connections
        sock = connection.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def everything(stream: SocketStream) -> bytes:
    """What comes until the server ends the connection."""
    got = b""
    with anyio.fail_after(20):
        try:
            while True:
                got += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return got


async def drip(stream: SocketStream) -> None:
    """Send a byte now and then, until the server has had enough."""
    with (
        anyio.fail_after(20),
        suppress(anyio.EndOfStream, anyio.BrokenResourceError),
    ):
        while True:
            await stream.send(b"x")
            with anyio.move_on_after(SOON / 10):
                await stream.receive()


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"G",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: ",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n",
        GET % b"" + b"GET / HT",
    ],
)
async def test_a_request_that_does_not_arrive_is_given_up(sent: bytes) -> None:
    async with listening(seconds=SOON) as served, served.connection() as stream:
        if sent:
            await stream.send(sent)
        assert b"HTTP/1.1 408" in await everything(stream) or not sent or sent.startswith(b"GET /")
        await served.connected(0)
        assert served.app.left == sent.startswith(b"POST")


async def test_dripping_does_not_make_a_head_later() -> None:
    async with listening(seconds=SOON) as served, served.connection() as stream:
        await drip(stream)


async def test_a_refused_body_is_not_waited_for_either() -> None:
    """The answer was given; the client goes on with a body that nobody reads."""
    async with listening(seconds=SOON) as served, served.connection() as stream:
        await stream.send(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        assert (await stream.receive()).startswith(b"HTTP/1.1 200")
        await drip(stream)


async def test_a_body_that_keeps_coming_has_no_deadline() -> None:
    async with listening(seconds=SOON) as served, served.connection() as stream:
        await stream.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n")
        for _ in range(20):
            await stream.send(b"x" * 1000)
            await anyio.sleep(SOON / 10)
        assert (await stream.receive()).startswith(b"HTTP/1.1 200")


async def test_code_that_runs_for_long_is_no_slow_request() -> None:
    async with listening(seconds=SOON) as served, served.connection() as stream:
        await stream.send(GET % b"hold")
        await anyio.sleep(3 * SOON)
        served.app.release.set()
        assert (await stream.receive()).endswith(b"served")


async def test_half_requests_give_way_to_whoever_comes() -> None:
    async with listening(most=2) as served, AsyncExitStack() as half:
        for _ in range(100):
            stream = await half.enter_async_context(served.connection())
            await stream.send(b"GET / HT")
        async with served.connection() as stream:
            await stream.send(GET % b"")
            assert (await stream.receive()).endswith(b"served")
        assert len(served.server.server_state.connections) <= 2 + 32


async def test_no_burst_has_more_sockets_than_there_may_be() -> None:
    """Those who come at once are taken one after another, each in the place of another one."""
    async with listening(most=2) as served, AsyncExitStack() as half:
        clients = [socket.create_connection(("127.0.0.1", served.port), 30) for _ in range(100)]
        for client in clients:
            half.enter_context(client)
        most = 0
        async with served.connection() as stream:
            await stream.send(GET % b"")
            with anyio.fail_after(30):
                answer = b""
                while not answer:
                    most = max(most, len(served.server.server_state.connections))
                    with anyio.move_on_after(SOON / 100):
                        answer = await stream.receive()
        assert answer.startswith(b"HTTP/1.1 200")
        assert most <= 2 + SPARE + IN_BETWEEN


async def test_half_handshakes_give_way_and_have_a_deadline(tmp_path: Path) -> None:
    server_tls(tmp_path)
    trusted = ssl.create_default_context(cafile=tmp_path / "authority.pem")
    async with (
        listening(most=2, seconds=5, certificate=tmp_path / "server.pem") as served,
        AsyncExitStack() as half,
    ):
        clients: list[SocketStream] = []
        for number in range(100):
            clients.append(await half.enter_async_context(served.connection()))
            with suppress(anyio.BrokenResourceError):
                await clients[-1].send(b"\x16\x03\x01"[: number % 3 + 1])
        async with await anyio.connect_tcp(
            "127.0.0.1", served.port, ssl_context=trusted, tls_standard_compatible=False
        ) as stream:
            await stream.send(GET % b"")
            assert (await stream.receive()).startswith(b"HTTP/1.1 200")
        for client in clients:
            await everything(client)


async def test_what_the_system_refuses_is_said_once_and_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with listening(most=50) as served, AsyncExitStack() as clients:
        waiting = await clients.enter_async_context(served.connection())
        await served.connected(1)
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        news = [socket.socket() for _ in range(20)]
        for one in news:
            clients.enter_context(one)
            one.settimeout(30)
        taken = [os.dup(0)]
        clients.callback(lambda: [os.close(descriptor) for descriptor in taken])
        resource.setrlimit(resource.RLIMIT_NOFILE, (taken[0] + 1, limits[1]))
        try:
            with suppress(OSError):
                while True:
                    taken.append(os.dup(0))
            for one in news:
                one.connect(("127.0.0.1", served.port))
            with anyio.fail_after(30):
                await everything(waiting)  # which gave way
            await until(lambda: "cannot be accepted" in caplog.text)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        news[-1].sendall(GET % b"")
        answer = await anyio.to_thread.run_sync(news[-1].recv, 1000)
        assert answer.startswith(b"HTTP/1.1 200")
    assert caplog.text.count("cannot be accepted") == 1


async def test_where_all_are_busy_probes_are_served_and_others_told_to_come_back() -> None:
    async with (
        listening(most=2, served="/healthz") as served,
        served.connection() as first,
        served.connection() as second,
    ):
        await first.send(GET % b"hold")
        await second.send(GET % b"hold")
        await until(lambda: served.app.held == 2)
        async with served.connection() as probe:
            await probe.send(GET % b"healthz")
            assert (await probe.receive()).endswith(b"served")
        async with served.connection() as third:
            await third.send(GET % b"")
            refused = await everything(third)
            assert refused.startswith(b"HTTP/1.1 503")
            assert b"ACA_MCP_MAX_CONNECTIONS" in refused
        served.app.release.set()
        assert (await first.receive()).endswith(b"served")
        async with served.connection() as fourth:
            await fourth.send(GET % b"")
            assert (await fourth.receive()).endswith(b"served")


async def test_whoever_does_not_take_the_answer_gives_way_too() -> None:
    async with listening(most=1, served="/healthz") as served, served.connection() as lazy:
        await lazy.send(GET % b"large")
        await lazy.receive()
        async with served.connection() as stream:
            await stream.send(GET % b"")
            assert (await stream.receive()).endswith(b"served")
