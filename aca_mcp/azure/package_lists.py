"""Which packages a session has, told by itself; while it cannot be asked, as far as is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import anyio

from aca_mcp.azure.session_packages import NotToldError, ask_session
from aca_mcp.errors import PoolUnavailableError
from aca_mcp.pool import Package
from aca_mcp.turn import Waited

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aca_mcp.azure.known_sessions import KnownSession
    from aca_mcp.azure.remote_interpreter import RemoteInterpreter
    from aca_mcp.azure.shell import Shell
_MAX_MODULES = 10


async def list_packages(
    identifier: str,
    known: KnownSession,
    of_pool: Callable[[], Awaitable[tuple[Package, ...]]],
    interpreter: RemoteInterpreter | Shell,
) -> tuple[Package, ...]:
    """What a session can import, sorted by name. Does not wait for code that runs.

    The session itself is asked: it alone knows by which names packages are imported.

    Args:
        identifier: the session's.
        known: of it.
        of_pool: tells what each new session has, as far as the service says.
        interpreter: asks the session.

    Raises:
        PoolUnavailableError: code runs, and nothing is known; or nobody tells.
    """
    if known.turn.is_taken:
        return known.packages or await _of_busy(of_pool)
    async with known.turn.take(anyio.current_time()) as waited:
        if waited is Waited.TOO_LATE:
            return known.packages or await _of_busy(of_pool)
        try:
            told = await ask_session(interpreter, identifier, "packages()")
            known.packages = _packages(told)
        except NotToldError:
            if found := await of_pool():
                return found
            raise
    return known.packages


async def _of_busy(of_pool: Callable[[], Awaitable[tuple[Package, ...]]]) -> tuple[Package, ...]:
    if found := await of_pool():
        return found
    raise PoolUnavailableError(
        "Code of this session runs, and the pool itself does not tell which packages there are. "
        "Ask again when it has ended, or import what you need and see."
    )


def _packages(told: object) -> tuple[Package, ...]:
    try:
        found = [
            Package(str(name), str(version), tuple(map(str, modules[:_MAX_MODULES])))
            for name, version, modules in cast("list[tuple[object, object, list[object]]]", told)
        ]
    except (ValueError, TypeError) as error:
        raise NotToldError from error
    return tuple(sorted(found, key=lambda package: package.name.lower()))
