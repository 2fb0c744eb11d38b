"""Which packages a session has, told by itself; while it cannot be asked, as far as is known."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

import anyio

from aca_mcp.errors import PoolUnavailableError
from aca_mcp.pool import Package
from aca_mcp.turn import Waited

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aca_mcp.azure.interpreter import Interpreter
    from aca_mcp.azure.known_sessions import KnownSession
    from aca_mcp.azure.shell import Shell

_LIST_PACKAGES = (
    '__import__("json").dumps(sorted({(d.metadata["Name"] or "", d.version or "") '
    'for d in __import__("importlib.metadata").metadata.distributions()}))'
)


async def list_packages(
    identifier: str,
    known: KnownSession,
    of_pool: Callable[[], Awaitable[tuple[Package, ...]]],
    interpreter: Interpreter | Shell,
) -> tuple[Package, ...]:
    """What a session can import, sorted by name. Does not wait for code that runs.

    Args:
        identifier: the session's.
        known: of it.
        of_pool: tells what each new session has, as far as the service says.
        interpreter: asks the session.

    Raises:
        PoolUnavailableError: code runs, and nothing is known; or it did not tell.
    """
    if known.turn.is_taken and known.packages:
        return known.packages
    # Nothing can have been installed in one that has run no code, and it need not be allocated.
    if (known.turn.is_taken or not known.has_module) and (found := await of_pool()):
        return found
    async with known.turn.take(anyio.current_time()) as waited:
        if waited is Waited.TOO_LATE:
            raise PoolUnavailableError(
                "Code of this session runs, and the pool itself does not tell which packages there "
                "are. Ask again when it has ended, or import what you need and see."
            )
        known.packages = _packages(await interpreter.evaluate(identifier, _LIST_PACKAGES))
    return known.packages


def _packages(value: object) -> tuple[Package, ...]:
    try:
        # Pools give text as text, and some give what it looks like.
        items: object = json.loads(value.strip("'")) if isinstance(value, str) else value
        pairs = [(str(name), str(version)) for name, version in cast("list[list[object]]", items)]
    except (ValueError, TypeError) as error:
        raise PoolUnavailableError(
            "The session did not tell its packages. Ask it with code: importlib.metadata."
        ) from error
    packages = {name.lower(): Package(name, version) for name, version in pairs if name}
    return tuple(packages[key] for key in sorted(packages))
