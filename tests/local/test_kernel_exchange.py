"""One request and its reply, where the other end is whatever the code of a session makes of it."""

from __future__ import annotations

import os
import select
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
import pytest

from aca_mcp.embedded.request_output import RequestOutput
from aca_mcp.kernel.message_framing import Frame, encode
from aca_mcp.local.kernel_exchange import Exchange, KernelDied

if TYPE_CHECKING:
    from collections.abc import Iterator

INTERFERED = "its code interfered with the interpreter's own connection"


@dataclass
class Ends:
    """An exchange, and the other ends of its descriptors."""

    exchange: Exchange
    control: socket.socket
    stdout: int
    stderr: int
    process: int
    """Of a pipe: what is written to it stands for the end of the process."""


@pytest.fixture
def ends() -> Iterator[Ends]:
    with ExitStack() as stack:
        ours, theirs = socket.socketpair()
        stack.enter_context(ours)
        stack.enter_context(theirs)
        ours.setblocking(False)
        pipes = [os.pipe2(os.O_NONBLOCK) for _ in range(3)]
        events = stack.enter_context(select.epoll())
        for reader, _ in pipes:
            stack.callback(os.close, reader)
        for descriptor in (ours.fileno(), *(reader for reader, _ in pipes)):
            events.register(descriptor, select.EPOLLIN)
        exchange = Exchange(
            events=events,
            control=ours,
            stdout=pipes[0][0],
            stderr=pipes[1][0],
            output=RequestOutput(b"\0" + bytes(12), 1000, None),
            number=7,
        )
        yield Ends(exchange, theirs, *(writer for _, writer in pipes))
        for _, writer in pipes:
            os.close(writer)


async def reply(ends: Ends, seconds: float = 10) -> Frame | None:
    with anyio.fail_after(20):
        return await ends.exchange.wait(anyio.current_time() + seconds)


async def death(ends: Ends) -> str:
    with pytest.raises(KernelDied) as died:
        await reply(ends)
    return str(died.value)


async def test_the_reply_to_this_request_ends_it_with_all_that_was_printed(ends: Ends) -> None:
    os.write(ends.stdout, b"out")
    os.write(ends.stderr, b"err")
    ends.control.sendall(encode(Frame({"id": 7})))
    assert await reply(ends) == Frame({"id": 7})
    assert ends.exchange.output.stdout.kept.text().text == "out"
    assert ends.exchange.output.stderr.kept.text().text == "err"


async def test_a_reply_that_has_not_come_in_time_is_none_and_may_come_later(ends: Ends) -> None:
    data = encode(Frame({"id": 7}))
    ends.control.sendall(data[:5])
    assert await reply(ends, 0.05) is None
    ends.control.sendall(data[5:])
    assert await reply(ends) is not None


@pytest.mark.parametrize(
    "data",
    [
        encode(Frame({"id": 6})),
        encode(Frame({"id": "7"})),
        encode(Frame({})),
        encode(Frame({"id": 7})) * 2,
        b"\xff" * 8,
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
async def test_anything_else_on_the_connection_ends_the_session(ends: Ends, data: bytes) -> None:
    os.write(ends.stdout, b"before")
    ends.control.sendall(data)
    assert await death(ends) == INTERFERED
    assert ends.exchange.output.stdout.kept.text().text == "before"


async def test_a_connection_that_closes_leaves_the_reason_to_the_process(ends: Ends) -> None:
    os.write(ends.stdout, b"before")
    ends.control.close()
    assert await death(ends) == ""
    assert ends.exchange.output.stdout.kept.text().text == "before"


async def test_what_is_printed_after_code_has_closed_its_connection_comes_until_it_ends(
    ends: Ends,
) -> None:
    """Closing with something unread resets a connection. So does another program in its place."""
    header: dict[str, object] = {"op": "execute"}
    with anyio.move_on_after(0.05):
        await ends.exchange.send_and_wait(header, anyio.current_time() + 0.02)
    ends.control.close()
    assert await reply(ends, 0.05) is None
    os.write(ends.stdout, b"after")
    assert await reply(ends, 0.05) is None
    os.write(ends.stdout, b" all")
    os.write(ends.process, b"x")
    assert await death(ends) == ""
    assert ends.exchange.output.stdout.kept.text().text == "after all"


async def test_a_request_to_a_connection_that_is_closed_leaves_the_reason_to_the_process(
    ends: Ends,
) -> None:
    os.write(ends.stderr, b"last words")
    ends.control.close()
    with pytest.raises(KernelDied):
        await ends.exchange.send_and_wait({}, anyio.current_time() + 5)
    assert ends.exchange.output.stderr.kept.text().text == "last words"


async def test_a_request_that_nobody_reads_ends_at_its_time(ends: Ends) -> None:
    header: dict[str, object] = {"code": "x" * 7_000_000}
    with anyio.fail_after(20):
        assert await ends.exchange.send_and_wait(header, anyio.current_time() + 0.05) is None


async def test_the_request_is_a_frame_with_its_number(ends: Ends) -> None:
    ends.control.sendall(encode(Frame({"id": 7})))
    with anyio.fail_after(20):
        assert await ends.exchange.send_and_wait({"op": "x"}, anyio.current_time() + 10)
    assert ends.control.recv(1000) == encode(Frame({"op": "x", "id": 7}))
