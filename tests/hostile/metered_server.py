"""Runs a command of aca-mcp, and writes down each pause of its event loop.

``python metered_server.py LOG ARGUMENTS...``

A pause is what the whole process used of a processor from one turn of the loop to the next, in
milliseconds: neither other programs nor waiting count, but what a thread does without letting go of
the interpreter does. ``LOG`` gets a line for each that is long.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

_BEAT_SECONDS = 0.002
_LONG_MILLISECONDS = 15


class Meter:
    """Notes pauses from the loop itself."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._last = time.process_time()

    def beat(self, loop: asyncio.AbstractEventLoop) -> None:
        """Be called again soon, and see what was used until then."""
        now = time.process_time()
        if (pause := (now - self._last) * 1000) > _LONG_MILLISECONDS:
            with self._log.open("a", encoding="ascii") as log:
                log.write(f"{pause:.1f}\n")
        self._last = time.process_time()
        loop.call_later(_BEAT_SECONDS, self.beat, loop)


def main() -> None:
    meter = Meter(Path(sys.argv[1]))
    run_forever = asyncio.BaseEventLoop.run_forever

    def metered(loop: asyncio.BaseEventLoop) -> None:
        meter.beat(loop)
        run_forever(loop)

    asyncio.BaseEventLoop.run_forever = metered  # pyright: ignore[reportAttributeAccessIssue] -- for this program
    from aca_mcp.cli import main as command

    sys.exit(command(sys.argv[2:]))


if __name__ == "__main__":
    main()
