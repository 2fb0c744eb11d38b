"""Code that looks for a way out: sockets of every family. And what loopback is there for."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.hostile.arena import Arena

INTERNET = {"AF_INET": 2, "AF_INET6": 10}
FAMILIES = {
    "AF_AX25": 3,
    "AF_NETLINK": 16,
    "AF_PACKET": 17,
    "AF_RDS": 21,
    "AF_CAN": 29,
    "AF_TIPC": 30,
    "AF_BLUETOOTH": 31,
    "AF_ALG": 38,
    "AF_VSOCK": 40,
    "AF_QIPCRTR": 42,
    "AF_XDP": 44,
}


async def test_no_family_but_the_sessions_own_makes_a_socket(arena: Arena) -> None:
    async with arena.attacker() as attacker:
        answer = await attacker.ask(
            f"import socket\nfound = {{}}\nfor name, family in {FAMILIES!r}.items():\n"
            "    for kind in (1, 2, 3, 5):\n"
            "        found[name] = refusal(socket.socket, family, kind)\n"
            "        if found[name] == 'allowed': break\nsay(found)"
        )
        none = "EAFNOSUPPORT" if arena.in_namespaces else "ENETUNREACH"
        assert answer == dict.fromkeys(FAMILIES, none)
        answer = await attacker.ask(
            f"say([refusal(socket.socket, family, kind, protocol)"
            f" for family in {list(INTERNET.values())}"
            f" for kind, protocol in ((3, 1), (3, 255), (1, 132), (1, 262), (5, 132), (2, 136))])"
        )
        none = "EPROTONOSUPPORT" if arena.in_namespaces else "ENETUNREACH"
        assert answer == [none] * 12
        answer = await attacker.ask(
            "import socket\n"
            "say([refusal(socket.socketpair, family) for family in (1, 2, 16, 30, 40)])"
        )
        assert answer == ["allowed"] + ["EAFNOSUPPORT"] * 4


async def test_no_pair_of_sockets_can_send_to_a_path_of_the_host(
    arena: Arena, canary: Path
) -> None:
    """One for datagrams can be told where to send each, with descriptors in it."""
    path = canary.parent / "datagrams"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        listener.setblocking(False)
        path.chmod(0o777)
        async with arena.attacker() as attacker:
            answer = await attacker.ask(
                "import socket\n"
                "def reach(kind):\n"
                f"    one, other = socket.socketpair(socket.AF_UNIX, kind)\n"
                f"    with one, other: one.sendto(b'out', {str(path)!r})\n"
                "def connect(kind):\n"
                f"    one, other = socket.socketpair(socket.AF_UNIX, kind)\n"
                f"    with one, other: one.connect({str(path)!r})\n"
                "say([refusal(act, kind) for act in (reach, connect) for kind in (2, 3, 1)])"
            )
            if arena.in_namespaces:
                assert answer == ["ENOENT", "ENOENT", "EISCONN", "ENOENT", "ENOENT", "ENOENT"]
            else:
                none = errno.errorcode[errno.EOPNOTSUPP]
                assert answer == [none, none, "EISCONN", none, none, "EPROTOTYPE"]
            with pytest.raises(BlockingIOError):
                listener.recv(100)
        path.unlink()


async def test_listeners_of_the_host_are_out_of_reach(arena: Arena, canary: Path) -> None:
    """Unix sockets by path and by abstract name, TCP and UDP on the loopback."""
    abstract = f"\0hostile-test-{os.getpid()}"
    path = canary.parent / "listener"
    with ExitStack() as stack:
        listeners: dict[str, socket.socket] = {}
        for name, family, kind, address in (
            ("abstract", socket.AF_UNIX, socket.SOCK_STREAM, abstract),
            ("path", socket.AF_UNIX, socket.SOCK_STREAM, str(path)),
            ("tcp", socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            ("udp", socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
        ):
            listener = stack.enter_context(socket.socket(family, kind))
            listener.bind(address)
            listener.setblocking(False)
            if kind == socket.SOCK_STREAM:
                listener.listen()
            listeners[name] = listener
        path.chmod(0o777)
        tcp, udp = (listeners[name].getsockname() for name in ("tcp", "udp"))
        async with arena.attacker() as attacker:
            answer = await attacker.ask(
                "import socket\n"
                "def reach(family, kind, address):\n"
                "    with socket.socket(family, kind) as s: s.connect(address); s.send(b'out')\n"
                f"say([refusal(reach, 1, 1, {abstract!r}), refusal(reach, 1, 1, {str(path)!r}),\n"
                f"     refusal(reach, 2, 1, {tcp!r}), refusal(reach, 2, 2, {udp!r})])"
            )
            none = "ENETUNREACH"
            unix = ["ECONNREFUSED", "ENOENT"] if arena.in_namespaces else [none, none]
            loopback = ["ECONNREFUSED", "allowed"] if arena.in_namespaces else [none, none]
            assert answer == [*unix, *loopback]
            execution = await attacker.run(
                "import urllib.request\nurllib.request.urlopen('http://192.0.2.1/', timeout=5)"
            )
            assert execution.error is not None
            assert execution.error.name == "URLError"
        for name in ("abstract", "path", "tcp"):
            with pytest.raises(BlockingIOError):
                listeners[name].accept()
        with pytest.raises(BlockingIOError):
            listeners["udp"].recv(100)
        path.unlink()


ECHO = """
import asyncio, socket
async def echo(reader, writer):
    writer.write(await reader.readline())
    await writer.drain()
    writer.close()

async def main(host):
    server = await asyncio.start_server(echo, host, 0)
    async with server:
        address = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(*address[:2])
        writer.write(b'hello\\n')
        return (await reader.readline()).decode()

found = [await main(host) for host in ('127.0.0.1', '::1', 'localhost', socket.gethostname())]
say(found)
"""


async def test_code_can_talk_to_itself_on_loopback_and_to_nobody_else(arena: Arena) -> None:
    """Two sessions can have the same port; and what is no loopback address is unreachable."""
    if not arena.in_namespaces:
        return  # its loopback would be the host's, so there is none
    async with arena.attacker() as attacker, arena.attacker() as other:
        assert await attacker.ask(ECHO) == ["hello\n"] * 4
        listen = "import socket\nserver = socket.create_server(('127.0.0.1', 8765))\nsay(1)"
        assert await attacker.ask(listen) == await other.ask(listen) == 1
        answer = await attacker.ask(
            "def reach(address): socket.create_connection((address, 80), 5).close()\n"
            "def ask(name): socket.getaddrinfo(name, 80)\n"
            "say([refusal(reach, address) for address in"
            " ('192.0.2.1', '8.8.8.8', '169.254.169.254', '10.0.0.1', '2001:db8::1')])"
        )
        assert answer == ["ENETUNREACH"] * 5
        execution = await attacker.run("socket.getaddrinfo('example.org', 80)")
        assert execution.error is not None
        assert execution.error.name == "gaierror"
        await attacker.run("server.close()")
