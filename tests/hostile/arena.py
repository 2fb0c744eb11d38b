"""An attacker, a neighbour and a pool that must survive each other."""

from __future__ import annotations

import itertools
import json
import os
import re
import uuid
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import anyio

from aca_mcp.pools import open_session_pool
from aca_mcp.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from aca_mcp.pool import Execution, SessionPool

MEMORY_MIB = 384
DISK_MIB = 32
MAX_PROCESSES = 64
MAX_THREADS = 512
GRACE_SECONDS = 0.5
COPIES = 2
"""Of a session that was idle for a moment: from before and after what ran last."""
INTERFERED = "its code interfered with the interpreter's own connection"
WOULD_NOT_STOP = "the code would not stop when it was interrupted"
OUT_OF_MEMORY = re.compile(
    rf"it used ([\d,]+) MiB of memory, more than its limit of {MEMORY_MIB} MiB "
    r"\(ACA_MCP_LOCAL_MEMORY_MIB\)|"
    rf"it used more than its limit of {MEMORY_MIB} MiB of memory \(ACA_MCP_LOCAL_MEMORY_MIB\)"
)
OUT_OF_DISK = re.compile(
    rf"it used ([\d,]+ MiB of disk|too many files), more than its limit of {DISK_MIB} MiB of disk "
    r"\(ACA_MCP_LOCAL_DISK_MIB\)"
)
TOO_MANY_PROCESSES = re.compile(
    rf"it had ([\d,]+) processes at once, more than its limit of {MAX_PROCESSES} "
    r"\(ACA_MCP_LOCAL_MAX_PROCESSES\)"
)

NO_CHECKPOINT = ", and it had no checkpoint, because "

SECRET = f"secret-{uuid.uuid4().hex}"
"""What no session may ever see: in the server's environment, memory and files."""

PRELUDE = """
import ctypes, errno, json, os
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long

def refusal(action, *args):
    try:
        action(*args)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "allowed"

def syscall(number, *args):
    words = [a if isinstance(a, bytes | type(None)) else ctypes.c_long(a) for a in args]
    if _libc.syscall(ctypes.c_long(number), *words) == -1:
        raise OSError(ctypes.get_errno(), "refused")

def say(value):
    print(json.dumps(value))
"""
"""What attacks use: ``refusal`` is the name of the error that an action met, and ``NUMBER`` that of
their own request."""

_numbers = itertools.count()


def settings_for(tier: str) -> dict[str, str]:
    """A pool that is quick to fill."""
    return {
        "pool": "local",
        "local_isolation": tier,
        "local_preimport": "numpy",
        "local_memory_mib": str(MEMORY_MIB),
        "local_disk_mib": str(DISK_MIB),
        "local_max_processes": str(MAX_PROCESSES),
        "local_max_threads": str(MAX_THREADS),
        "local_interrupt_grace_seconds": str(GRACE_SECONDS),
        "local_max_output_kib": "64",
    }


def ended_by(execution: Execution) -> str:
    """Why an execution was ended, which cost its session where it had no checkpoint; a clause."""
    if execution.rollback is not None:
        assert execution.session_lost is None
        return execution.rollback.reason
    return (execution.session_lost or "").partition(NO_CHECKPOINT)[0]


def why(execution: Execution, kind: re.Pattern[str]) -> bool:
    """Whether an execution was ended for a reason of a kind."""
    return bool(kind.fullmatch(ended_by(execution)))


@dataclass(slots=True)
class Attacker:
    """One session with hostile code in it."""

    pool: SessionPool
    identifier: str
    lost: str | None = None
    """Why the last execution ended the session, if it did."""
    has_witness: bool = False
    """Whether the session has the variable that it was given at first."""
    executions: int = 0
    """In the session that it has now."""

    async def run(self, code: str, *, timeout_seconds: float = 20) -> Execution:
        """Run code; that it comes back at all, and soon after the timeout, is checked."""
        with anyio.fail_after(timeout_seconds + GRACE_SECONDS + 5):
            execution = await self.pool.execute(
                self.identifier,
                f"NUMBER = {self.executions + 1}{PRELUDE}{code}",
                timeout_seconds=timeout_seconds,
            )
        self.executions = 1 if execution.started_session else self.executions + 1
        assert execution.lost_before == self.lost
        self.lost = execution.session_lost
        self.has_witness &= self.lost is None
        return execution

    async def ask(self, code: str) -> object:
        """Run code that ends well, and return what it ``say``s."""
        execution = await self.run(code)
        assert execution.error is None, execution.error.traceback
        assert execution.session_lost is None
        return json.loads(execution.stdout.text)

    async def ask_list(self, code: str) -> list[str]:
        """The same, for a list of names."""
        answer = await self.ask(code)
        assert isinstance(answer, list)
        return [str(item) for item in cast("list[object]", answer)]

    async def ask_table(self, code: str) -> dict[str, str]:
        """The same, for names by name."""
        answer = await self.ask(code)
        assert isinstance(answer, dict)
        return {str(key): str(value) for key, value in cast("dict[object, object]", answer).items()}


@dataclass(slots=True)
class Arena:
    """A pool with a neighbour in it, whose state every attack must leave unharmed."""

    pool: SessionPool
    tier: str
    _next: Attacker | None = None
    """That makes its checkpoints while the one before it attacks."""

    @property
    def in_namespaces(self) -> bool:
        """Whether sessions have namespaces; what differs otherwise is in the tests' tables."""
        return self.tier == "namespaces"

    @property
    def shares_identity(self) -> bool:
        """Whether a session is, to the host, the user who runs the server."""
        return os.geteuid() != 0 and not self.in_namespaces

    @asynccontextmanager
    async def attacker(self) -> AsyncGenerator[Attacker]:
        """A session to attack from. At the end, it, a neighbour and the pool must answer."""
        attacker = self._next or await self._new_attacker()
        self._next = None
        await self._have_checkpoints(attacker)
        self._next = await self._new_attacker()
        yield attacker
        with anyio.fail_after(30):
            await self._attacker_answers(attacker)
            await self._neighbour_is_unharmed()
            await self._pool_answers()

    async def _new_attacker(self) -> Attacker:
        attacker = Attacker(self.pool, f"attacker-{next(_numbers)}")
        await attacker.run("witness = 'was here before'")
        attacker.has_witness = True
        return attacker

    async def _have_checkpoints(self, attacker: Attacker) -> None:
        """Wait for a copy that has the witness: two are kept, and the first may be an older one."""
        with anyio.fail_after(60):
            while (info := await self.pool.get_session(attacker.identifier)) is not None:
                if info.checkpoints == COPIES:
                    return
                await attacker.run("0")
                await anyio.sleep(0.25)

    async def settle(self) -> None:
        """Let the neighbour have something to lose."""
        with anyio.fail_after(60):
            execution = await self.pool.execute(
                "neighbour", "import os; treasure = 41; os.getpid()", timeout_seconds=30
            )
        assert execution.error is None
        await self.pool.upload_file("neighbour", "treasure.txt", chunks(SECRET.encode()))

    async def _attacker_answers(self, attacker: Attacker) -> None:
        execution = await self.pool.execute(attacker.identifier, "6 * 7", timeout_seconds=20)
        assert execution.outputs, execution
        assert execution.outputs[0].data["text/plain"] == "42"
        assert execution.lost_before == attacker.lost
        assert execution.started_session is (attacker.lost is not None)
        witness = await self.pool.execute(
            attacker.identifier, "'witness' in globals()", timeout_seconds=20
        )
        assert witness.outputs[0].data["text/plain"] == str(attacker.has_witness)
        assert await self.pool.stop_session(attacker.identifier)

    async def _neighbour_is_unharmed(self) -> None:
        execution = await self.pool.execute(
            "neighbour", "treasure + len(open('treasure.txt').read())", timeout_seconds=20
        )
        assert not execution.started_session
        assert execution.outputs[0].data["text/plain"] == str(41 + len(SECRET))
        assert await download(self.pool, "neighbour", "treasure.txt") == SECRET.encode()

    async def _pool_answers(self) -> None:
        execution = await self.pool.execute("newcomer", "print('hello')", timeout_seconds=20)
        assert execution.stdout.text == "hello\n"
        assert (await self.pool.metadata()).isolation == self.tier
        assert await self.pool.stop_session("newcomer")


@asynccontextmanager
async def open_arena(tier: str) -> AsyncGenerator[Arena]:
    """Open a pool of a tier."""
    async with open_session_pool(load_settings(settings_for(tier))) as pool:
        with anyio.fail_after(60):
            await pool.metadata()
        arena = Arena(pool, tier)
        await arena.settle()
        yield arena


async def chunks(content: bytes) -> AsyncIterator[bytes]:
    """Content of a file to upload."""
    yield content


async def download(pool: SessionPool, identifier: str, path: str) -> bytes:
    """The whole of a file."""
    async with pool.download_file(identifier, path) as file:
        return b"".join([chunk async for chunk in file.chunks])
