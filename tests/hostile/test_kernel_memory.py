"""Memory of the kernel's own that code can have it take, which no process is said to have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aca_mcp.local.exceeded_limits import MAX_MAPPINGS
from tests.hostile.arena import OUT_OF_MEMORY, ended_by, why

if TYPE_CHECKING:
    from tests.hostile.arena import Arena


async def test_sockets_and_pipes_cannot_be_filled_without_end(arena: Arena) -> None:
    """What lies in them is memory of the system's, which no process is said to have."""
    async with arena.attacker() as attacker:
        execution = await attacker.run(
            "import socket, time\nfor _ in range(20):\n"
            "    if os.fork() == 0:\n"
            "        kept = []\n"
            "        try:\n"
            "            while True:\n"
            "                pair = socket.socketpair()\n"
            "                for end in pair:\n"
            "                    end.setblocking(False)\n"
            "                    try:\n"
            "                        while True: end.send(bytes(65536))\n"
            "                    except BlockingIOError: pass\n"
            "                kept.append(pair)\n"
            "        except OSError: pass\n"
            "        time.sleep(30)\n"
            "time.sleep(20)"
        )
        assert "sockets and pipes open at once, more than the limit" in ended_by(execution) or why(
            execution, OUT_OF_MEMORY
        )


QUEUED = """
import socket, time
kept = []
while len(kept) < 30:
    listening = socket.socket({family})
    listening.bind({address})
    listening.listen(4096)
    kept.append(listening)
    for _ in range(100):
        client = socket.socket({family})
        client.setblocking(False)
        try:
            try: client.connect(listening.getsockname())
            except BlockingIOError: pass
            while True: client.send(bytes(65536))
        except OSError: pass
        client.close()
time.sleep(20)
"""


@pytest.mark.parametrize(
    ("family", "address"),
    [("socket.AF_INET", "('127.0.0.1', 0)"), ("socket.AF_UNIX", "f'{len(kept)}'")],
    ids=["tcp", "unix"],
)
async def test_connections_that_nobody_accepts_cannot_be_filled_either(
    arena: Arena, family: str, address: str
) -> None:
    """Nobody has them open. Of TCP a whole machine has so much memory, control groups or not."""
    async with arena.attacker() as attacker:
        execution = await attacker.run(QUEUED.format(family=family, address=address))
        if arena.in_namespaces:
            assert "sockets and pipes open at once, more than" in ended_by(execution) or why(
                execution, OUT_OF_MEMORY
            )
        else:
            assert execution.error is not None
            assert execution.error.name == "OSError"  # there are no such sockets


MANY_MAPPINGS = """
import mmap, time
for _ in range(20):
    if os.fork() == 0: break
kept = []
try:
    # Neighbouring ones of different rights are not joined.
    while True: kept.append(mmap.mmap(-1, 4096, prot=1 + len(kept) % 2 * 2))
except OSError: pass
time.sleep(30)
"""


async def test_memory_in_too_many_pieces_ends_the_session(arena: Arena) -> None:
    """What the kernel keeps of each is said to be no process's; a control group counts it."""
    async with arena.attacker() as attacker:
        execution = await attacker.run(MANY_MAPPINGS, timeout_seconds=60)
        assert ended_by(execution) == (
            f"its memory was in more than {MAX_MAPPINGS:,} mappings, which is the limit"
        ) or why(execution, OUT_OF_MEMORY)


COMPILED = """
import socket, struct
steps = struct.pack('=HBBI', 6, 0, 0, 0x7fff0000)  # allow
code = ctypes.create_string_buffer(steps)
program = struct.pack('HxxxxxxP', 1, ctypes.addressof(code))
a, b = socket.socketpair()
ctypes.set_errno(0)
refused = _libc.prctl(22, 2, ctypes.c_char_p(program), 0, 0)  # PR_SET_SECCOMP
say([refused, errno.errorcode[ctypes.get_errno()], refusal(a.setsockopt, 1, 26, program)])
"""


async def test_code_that_the_kernel_compiles_is_refused(arena: Arena) -> None:
    """Of room for it a machine has so much (``bpf_jit_limit``), and each sandbox takes some."""
    async with arena.attacker() as attacker:
        assert await attacker.ask(COMPILED) == [-1, "EPERM", "EPERM"]
