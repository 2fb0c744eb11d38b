"""The first thing that a session says, once it is contained: where its files are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from aca_mcp.errors import PoolUnavailableError
from aca_mcp.kernel.frames import FrameDecoder
from aca_mcp.kernel.streams import TOKEN_BYTES
from aca_mcp.local.passing import receive

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

_FIRST_FRAME_BYTES = 64 * 1024
_START_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Readiness:
    """What a session that is ready has told."""

    base_directory: int
    """A descriptor of the directory that holds its ``data`` and ``incoming``."""
    work_directory: str
    token: bytes
    """What marks in its streams begin with."""


async def receive_readiness(control: socket.socket) -> Readiness:
    """Wait until a session is contained.

    Raises:
        PoolUnavailableError: a step of the containment failed; no code has run.
        TimeoutError: it took too long.
        OSError: there are no descriptors left.
    """
    with anyio.fail_after(_START_SECONDS):
        await anyio.wait_readable(control)
    try:
        data, descriptors = receive(control, _FIRST_FRAME_BYTES, 1)
    except ConnectionResetError:
        data, descriptors = b"", []
    frames = list(FrameDecoder().feed(data))
    header: Mapping[str, object] = frames[0].header if frames else {}
    if len(descriptors) != 1 or "ready" not in header:
        reason = header.get("refused", "it ended at once")
        raise PoolUnavailableError(
            f"A local session could not be isolated, so it was not started: {reason}."
        )
    token = bytes.fromhex(str(header.get("token", "")))[:TOKEN_BYTES]
    return Readiness(descriptors[0], str(header["ready"]), token)
