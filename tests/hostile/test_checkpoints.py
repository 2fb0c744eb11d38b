"""Code that goes for the checkpoints of its session: its neighbours, the pool and the machine gain
and lose nothing by it, whether the session goes on or is lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from aca_mcp.local.pool import LocalSessionPool, open_local_pool
from tests.hostile.arena import MAX_PROCESSES, MEMORY_MIB, PRELUDE
from tests.hostile.conftest import TIERS
from tests.local.pools import MEBIBYTE, configuration, copied
from tests.support.processes import descendants
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

TELL = """
import array, socket
def tell(message, *files):
    channel = socket.socket(fileno=os.dup(4))
    channel.sendmsg(
        [message if isinstance(message, bytes) else json.dumps(message).encode()],
        [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', files))] if files else [],
    )
"""
PROGRAMS = {
    "forges a copy whose end it holds": """
a, b = socket.socketpair()
tell({'checkpoint': os.getpid(), 'after': 10**6}, a.fileno())
if os.fork():
    os._exit(1)
while b.recv(1):
    text = b'{"running":true,"blobs":[]}'
    b.sendall(len(text).to_bytes(4, 'big') + bytes(4) + text)
""",
    "forges a copy that is a file": """
tell({'checkpoint': 1, 'after': 10**6}, os.open('/dev/null', os.O_RDWR)); os._exit(1)
""",
    "forges a copy that never answers": """
a, b = socket.socketpair(); tell({'checkpoint': -1, 'after': 1}, a.fileno())
if os.fork():
    os._exit(1)
while True: pass
""",
    "tells of ends that were not": """
tell({'ended': 0}); tell({'ended': 10**30}); tell({'cleared': 1})
""",
    "tells of what is no message": """
for message in (b'[' * 3000, b'\\xff', b'{}', b'{"checkpoint": null}', b'9' * 4000):
    tell(message)
""",
    "tells without end": """
for number in range(100_000):
    tell({'none': 'x' * 3000, 'after': number})
""",
    "sends descriptors without end": """
for number in range(500):
    tell({'checkpoint': number, 'after': number}, os.dup(1))
""",
    "listens in the keeper's place": """
channel = socket.socket(fileno=os.dup(4))
if os.fork():
    os._exit(1)
while True: channel.recv(4096)
""",
    "begins anew in the keeper's place": """
channel = socket.socket(fileno=os.dup(4))
if os.fork():
    os._exit(1)
for number in range(1000): tell({'cleared': number})
while True:
    message, others, *_ = channel.recvmsg(4096, 1024)
    tell({'cleared': 1}); tell({'ended': 0})
    for _, _, numbers in others:
        control = socket.socket(fileno=array.array('i', numbers)[0])
        text = b'{"running":true,"blobs":[]}'
        control.sendall(len(text).to_bytes(4, 'big') + bytes(4) + text + b'9' * 100)
""",
    "kills whatever it can": """
for pid in [int(name) for name in os.listdir('/proc') if name.isdigit()]:
    if pid != os.getpid():
        with contextlib.suppress(OSError):
            if os.stat(f'/proc/{pid}').st_uid == os.getuid(): os.kill(pid, 9)
os._exit(1)
""",
    "stops whatever it can": """
for pid in [int(name) for name in os.listdir('/proc') if name.isdigit()]:
    if pid != os.getpid():
        with contextlib.suppress(OSError):
            if os.stat(f'/proc/{pid}').st_uid == os.getuid(): os.kill(pid, 19)
os._exit(1)
""",
    "forks until it may not": """
while True:
    with contextlib.suppress(OSError): os.fork()
""",
    "leaves a program behind and ends": """
if os.fork() == 0:
    os.setsid()
    while True: time.sleep(1)
os._exit(1)
""",
    "ends whenever it goes on": "os.register_at_fork(after_in_child=lambda: os._exit(1)); os.abort",
    "hides in a copy": """
def stay():
    import threading
    threading.Thread(target=lambda: [time.sleep(0.01) for _ in iter(int, 1)]).start()
os.register_at_fork(after_in_child=stay)
""",
}


@pytest.fixture(scope="module", params=TIERS)
async def pool(
    request: pytest.FixtureRequest, anyio_backend: str
) -> AsyncGenerator[LocalSessionPool]:
    """With checkpoints."""
    del anyio_backend
    chosen = configuration(
        isolation=request.param,
        checkpoints=1,
        memory_bytes=MEMORY_MIB * MEBIBYTE,
        max_processes=MAX_PROCESSES,
    )
    async with open_local_pool(chosen) as pool:
        await pool.execute("neighbour", "treasure = 41", timeout_seconds=30)
        yield pool


@pytest.mark.parametrize("what", PROGRAMS)
async def test_going_for_checkpoints_harms_nobody_else(pool: LocalSessionPool, what: str) -> None:
    await copied(pool, "neighbour")
    before = descendants()
    attacker = f"attacker-{what.replace(' ', '-').replace(chr(39), '')}"
    code = f"{PRELUDE}\nimport contextlib, json, os, time\n{TELL}\n{PROGRAMS[what]}"
    with anyio.fail_after(50):
        await pool.execute(attacker, "x = 1", timeout_seconds=20)
        await pool.execute(attacker, code, timeout_seconds=3)
        crashed = await pool.execute(attacker, "import os; os._exit(1)", timeout_seconds=5)
        assert crashed.rollback is not None or crashed.session_lost is not None
        # Whatever it is now, it is a session.
        answer = await pool.execute(attacker, "6 * 7", timeout_seconds=10)
        assert answer.outputs or answer.session_lost or answer.rollback or answer.error
        neighbour = await pool.execute("neighbour", "treasure + 1", timeout_seconds=20)
        assert neighbour.outputs[0].data["text/plain"] == "42"
        await pool.stop_session(attacker)
        await copied(pool, "neighbour")
        # The neighbour's new copy is all there is.
        await until(lambda: len(descendants(without=before)) <= 1, 20)
