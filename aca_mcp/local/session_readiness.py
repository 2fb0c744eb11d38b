"""What a session says first: that it is contained, and then that a process of it runs code."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import anyio

from aca_mcp.errors import PoolUnavailableError
from aca_mcp.kernel.message_framing import FrameDecoder, FrameError
from aca_mcp.kernel.streams import TOKEN_BYTES
from aca_mcp.local.descriptor_passing import receive

if TYPE_CHECKING:
    from collections.abc import Mapping

_FIRST_FRAME_BYTES = 64 * 1024
_START_SECONDS = 30
_RUNNING_BYTES = 4096
_RUNNING_SECONDS = 20


class Readiness(NamedTuple):
    """What a session that is contained has told."""

    base_directory: int
    """A descriptor of the directory that holds its ``data`` and ``incoming``."""
    work_directory: str
    token: bytes
    """What marks in its streams begin with."""


async def receive_readiness(connection: socket.socket) -> Readiness:
    """Wait until a session is contained.

    Raises:
        PoolUnavailableError: a step of the containment failed; no code has run.
        TimeoutError: it took too long.
        OSError: there are no descriptors left.
    """
    with anyio.fail_after(_START_SECONDS):
        await anyio.wait_readable(connection)
    try:
        data, descriptors = receive(connection, _FIRST_FRAME_BYTES, 1)
    except ConnectionResetError:
        data, descriptors = b"", []
    frames = list(FrameDecoder().feed(data))
    header: Mapping[str, object] = frames[0].header if frames else {}
    if len(descriptors) != 1 or "ready" not in header:
        raise _not_started(header)
    token = bytes.fromhex(str(header.get("token", "")))[:TOKEN_BYTES]
    return Readiness(descriptors[0], f"{header['ready']}/data", token)


async def receive_running(control: socket.socket) -> None:
    """Wait until a process says that it runs a session's code from now on.

    It may be code by now that says something else, or nothing.

    Raises:
        PoolUnavailableError: it does not.
    """
    header: Mapping[str, object] = {}
    decoder = FrameDecoder(_RUNNING_BYTES)
    with anyio.move_on_after(_RUNNING_SECONDS), suppress(OSError, FrameError):
        while not header:
            await anyio.wait_readable(control)
            # Code may hold this end as well, and have made it one that waits.
            data = control.recv(_RUNNING_BYTES, socket.MSG_DONTWAIT)
            if not data:
                break
            header = next((frame.header for frame in decoder.feed(data)), header)
    if header.get("running") is not True:
        raise _not_started(header)


def _not_started(header: Mapping[str, object]) -> PoolUnavailableError:
    reason = header.get("refused", "it ended at once")
    return PoolUnavailableError(
        f"A local session could not be isolated, so it was not started: {reason}."
    )
