"""Code that looks for a way out: sockets of every family."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.hostile.arena import Arena

FAMILIES = {
    "AF_INET": 2,
    "AF_AX25": 3,
    "AF_INET6": 10,
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


@pytest.mark.key_attack
async def test_no_family_but_the_sessions_own_makes_a_socket(arena: Arena) -> None:
    async with arena.attacker() as attacker:
        answer = await attacker.ask(
            f"import socket\nfound = {{}}\nfor name, family in {FAMILIES!r}.items():\n"
            "    for kind in (1, 2, 3, 5):\n"
            "        found[name] = refusal(socket.socket, family, kind)\n"
            "        if found[name] != 'ENETUNREACH': break\nsay(found)"
        )
        assert answer == dict.fromkeys(FAMILIES, "ENETUNREACH")
        answer = await attacker.ask(
            "import socket\n"
            "say([refusal(socket.socketpair, family) for family in (1, 2, 16, 30, 40)])"
        )
        assert answer == ["allowed"] + ["EAFNOSUPPORT"] * 4


@pytest.mark.key_attack
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
            assert answer == [*unix, none, none]
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
