"""The checkpoints of one session, as the supervisor holds them.

Whatever comes over the channel may come from code: it is bounded, checked, and believed only so far
that a session is asked to go on from a process of its own. Nothing outside it is ever signalled by
a number that it told.
"""

from __future__ import annotations

import json
import os
import socket
from collections import deque
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple, cast

import anyio

from aca_mcp.embedded.session_process import NOTHING_RAN, TOO_OLD
from aca_mcp.errors import PoolUnavailableError
from aca_mcp.execution import LastExecutions
from aca_mcp.local.checkpoint_copies import KEEPER, Checkpoint, Leaving
from aca_mcp.local.descriptor_passing import receive
from aca_mcp.local.session_readiness import receive_running

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

_MAX_PACKET_BYTES = 4096
_MAX_NOTICES = 64
"""Taken at once; a session that sends more is not believed any more."""
_MAX_HELPERS = 3
"""Of one copy: the kinds that there are."""
_CLEAR_SECONDS = 15
"""For a keeper, which gives up sooner, to end what runs on a machine that has much else to do."""
_OBEY_SECONDS = 0.5
"""For which what runs may take more memory when its keeper has been told to end it."""
_OBEY_AT_LAST_SECONDS = 15
"""For which it may be there without taking more."""
_GROWTH_BYTES = 32 * 2**20
"""So little more may be what ending it takes."""
_KEEPER_SECONDS = 5.0
"""For a keeper to tell that what it kept has ended."""
_REASONS = {
    "threads": "threads of it were running, as those of polars, duckdb and pyarrow go on doing",
    "tasks": "asyncio tasks of it were under way",
    "programs": "programs that it had started were running",
    "ended": "programs that it had started had ended, and it had not waited for them",
    "connections": "it had open connections",
    "pipes": "it had open pipes",
    "locks": "it held a lock on a file",
    "files": "it had as many files open as it may have",
    "room": "there was no room for another process",
}
"""Why a session made no checkpoint, by what it says: clauses."""
NONE_YET = "it had made none yet"
_USED = "it has just gone back to the only one there was"
FOR_MEMORY = "its memory was needed by the code"


def processes_beside(steps: int) -> int:
    """Processes of a session that are not its code's, where so many executions can be undone."""
    # The keeper, the copies, and for a moment one more and the one that makes it.
    return steps + 4 if steps else 0


class _End(NamedTuple):
    """What runs in a session was told to end."""

    why: str
    since: float
    memory: int
    """Bytes that the session had then."""


class Checkpoints:
    """What the keeper of a session and its checkpoints tell, and are told.

    Args:
        channel: to the keeper.
        most: kept at once, the newest ones.
    """

    def __init__(self, channel: socket.socket, most: int) -> None:
        self._channel = channel
        self._most = most
        self._kept = deque([KEEPER])
        self._leaving = Leaving()
        self._is_closed = False
        """The keeper has ended, and the session with it."""
        self._end: _End | None = None
        """That what runs is to end."""
        self._clears = 0
        self._cleared = 0
        self.status: int | None = None
        """How the process that ran code has ended, if it has: exit code or minus a signal."""
        self.had_used_its_time = False
        """It was killed when it had used all the processor time that it might."""
        self.why_none = NONE_YET
        self.executions = LastExecutions()

    @property
    def leaving(self) -> list[int]:
        """Numbers, as of ``pids``, of those let go that have not given back their memory."""
        return self._leaving.pids(anyio.current_time())

    @property
    def is_ending(self) -> bool:
        """Whether what runs was told to end, and no copy goes on yet."""
        return self._end is not None

    @property
    def clears(self) -> int:
        """How often what ran was to end, for something else to take its place."""
        return self._clears

    @property
    def processes(self) -> int:
        """How many there are of the session that are not its code's: the keeper, and copies."""
        return 1 + len(self.pids)

    def fileno(self) -> int:
        """Of the channel, to wait for."""
        return self._channel.fileno()

    def __len__(self) -> int:
        return min(len(self._kept), self._most)

    @property
    def pids(self) -> list[int]:
        """Of the copies, as the session counts."""
        return [each.pid for each in self._kept if each is not KEEPER]

    def newest(self) -> Checkpoint | None:
        """The last one that was made, if there is one."""
        return self._kept[-1] if self._kept else None

    def forget_ended(self) -> None:
        """Forget the newest ones that are there no more: an older one is better than none."""
        while self._kept and not self._kept[-1].is_there:
            self._let_go(self._kept.pop())
            self.why_none = "the one there was had ended"

    def take_notices(self) -> bool:
        """Take what was told. True if the process that ran code has ended."""
        for _ in range(_MAX_NOTICES):
            try:
                packet, descriptors = receive(self._channel, _MAX_PACKET_BYTES, 4)
            except BlockingIOError:
                return self.status is not None
            except OSError:
                packet, descriptors = b"", []
            connections = [each for each in map(_socket_of, descriptors) if each is not None]
            if not packet or not self._take(_parse(packet), connections):
                for connection in connections:
                    connection.close()
            if not packet:
                self._is_closed = True
                break
        self.drop("its messages could not be understood")
        return True

    def _take(self, message: Mapping[str, object], connections: list[socket.socket]) -> bool:
        match message:
            case {"checkpoint": int(pid), "after": int(after)} if len(connections) == 1 and pid > 0:
                connections[0].setblocking(False)
                helpers = _numbers(message.get("helpers"))
                if self._kept and self._kept[-1].pid and self._kept[-1].after == after:
                    self._let_go(self._kept.pop())  # the same again, which shares more
                self._kept.append(Checkpoint(pid, after, connections[0], helpers))
                self.let_surplus_go(but=1)  # that one when nobody waits: it takes a while to end
                return True
            case {"none": str(reason), "after": int()}:
                # An older one is further back than anybody would expect.
                self.drop(_REASONS.get(reason, "it said none that is known"))
            case {"ended": int(status)}:
                self.status = max(-64, min(status, 255))
                self.had_used_its_time = message.get("used_up") is True
            case {"cleared": int(number)}:
                self._cleared = number
            case _:
                pass
        return False

    async def how_code_ended(self) -> int | None:
        """Exit code or minus a signal's number of what ran; None if it goes on."""
        with anyio.move_on_after(_KEEPER_SECONDS):
            while not self.take_notices():
                await anyio.wait_readable(self._channel)
        return self.status

    def keep_those_before_the_last_execution(self) -> bool:
        """Let newer ones go. False if there is none, for the reason that ``why_none`` says."""
        self.take_notices()
        self.let_surplus_go()
        if (newest := self.executions.newest) is None:
            self.why_none = NOTHING_RAN
            return False
        while self._kept and self._kept[-1].after >= newest:
            self._let_go(self._kept.pop())
            self.why_none = TOO_OLD
        return bool(self._kept)

    def let_surplus_go(self, but: int = 0) -> None:
        """Let older ones go that are more than are to be kept, ``but`` so many."""
        while len(self._kept) > self._most + but:
            self._let_go(self._kept.popleft())

    def drop_one(self, why: str) -> None:
        """Let the oldest copy go, and what is older still: it would be further back."""
        if self.pids:
            self.why_none = why
            if self._kept[0] is KEEPER:
                self._kept.popleft()
            self._let_go(self._kept.popleft())

    def drop(self, why: str) -> None:
        """Let all of them go."""
        self.why_none = why
        while self._kept:
            self._let_go(self._kept.pop())

    def _let_go(self, checkpoint: Checkpoint) -> None:
        self._leaving.add(checkpoint, anyio.current_time())

    def clear(self) -> None:
        """Have all in the session ended but the copies; ``take_notices`` hears of it."""
        self._clears += 1
        newest = self.newest()
        helpers = newest.helpers if newest else ()
        self._send({"clear": self._clears, "spare": [*self.pids, *helpers]})

    def end_code(self, why: str, memory: int) -> bool:
        """Have what runs ended, so that a copy can go on.

        Args:
            why: a clause.
            memory: that the session has now, in bytes.

        Returns:
            False if it was told to, and has not: for long, or it goes on to take memory.
        """
        now = anyio.current_time()
        if self._end is None:
            self._end = _End(why, now, memory)
            self.clear()
        waited = now - self._end.since
        grows = memory > self._end.memory + _GROWTH_BYTES
        return waited < (_OBEY_SECONDS if grows else _OBEY_AT_LAST_SECONDS)

    def note_end(self, why: str) -> str:
        """Why what ran is ending; what was said first holds."""
        if self._end is None:
            self._end = _End(why, anyio.current_time(), 0)
        return self._end.why

    def none_for(self, why: str) -> str:
        """Why a session ended, and nothing of it is left: a clause."""
        return f"{why}, and it had no checkpoint, because {self.why_none}"

    async def resume(self) -> socket.socket | None:
        """Let the newest checkpoint go on, in the place of what ran; its control connection.

        Where the caller is cancelled it is done all the same: nobody else could have what goes on.

        Returns:
            None if it does not, for whatever reason; then there is none any more.
        """
        with anyio.CancelScope(shield=True):
            return await self._resume()

    async def _resume(self) -> socket.socket | None:
        checkpoint = self.newest()
        if checkpoint is None:
            return None
        self.clear()
        if checkpoint is not KEEPER:
            self._kept.pop()
        older = list(self._kept)
        with anyio.move_on_after(_CLEAR_SECONDS):
            while self._cleared != self._clears and not self._is_closed:
                await anyio.wait_readable(self._channel)
                self.take_notices()
        for late in self._kept:
            if late not in older:  # made by what was just ended, which has ended it, too
                self._let_go(late)
        self._kept = deque(each for each in self._kept if each in older)
        if self._cleared != self._clears:
            self._let_go(checkpoint)
            self.drop("it could not be cleared up for the one there was")
            return None
        self.status = self._end = None
        self.why_none = _USED
        with suppress(OSError, PoolUnavailableError):
            if checkpoint.connection is None:
                return await self.begin()
            connection = checkpoint.connection
            with _closed_unless_running(connection):
                self._send({"kernel": checkpoint.pid})
                connection.send(b"\0", socket.MSG_DONTWAIT)
                await receive_running(connection)
            return connection
        self.drop("the one there was did not go on")
        return None

    async def begin(self) -> socket.socket:
        """Have the keeper fork a process that runs code; its control connection.

        Raises:
            PoolUnavailableError: there is none.
            OSError: there are no descriptors left.
        """
        connection, theirs = socket.socketpair()
        with _closed_unless_running(connection):
            connection.setblocking(False)
            with theirs:
                self._send({"begin": True}, theirs.fileno())
            await receive_running(connection)
        return connection

    def close(self) -> None:
        """Let them go, and the keeper, which ends the session."""
        self.drop("it has ended")
        self._leaving.close()

    def _send(self, message: dict[str, object], *descriptors: int) -> None:
        with suppress(OSError):  # who does not hear it does not answer it
            socket.send_fds(self._channel, [json.dumps(message).encode()], descriptors)


@contextmanager
def _closed_unless_running(connection: socket.socket) -> Generator[None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise


def _socket_of(descriptor: int) -> socket.socket | None:
    try:
        return socket.socket(fileno=descriptor)
    except OSError:
        os.close(descriptor)
        return None


def _parse(packet: bytes) -> Mapping[str, object]:
    try:
        message: object = json.loads(packet)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, object]", message) if isinstance(message, dict) else {}


def _numbers(told: object) -> tuple[int, ...]:
    """Of the first few processes that a session tells of."""
    numbers = cast("list[object]", told)[:_MAX_HELPERS] if isinstance(told, list) else []
    return tuple(each for each in numbers if isinstance(each, int) and each > 0)
