"""What commands say to people and to logs: on stderr, because stdout belongs to the protocol."""

from __future__ import annotations

import logging
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_MINUTE = 60.0
_TIMES = 10
"""That the same is said in a minute."""


def configure_logging(level: str) -> None:
    """Log what this package says from this level on, and warnings of all others.

    Libraries keep to warnings because some of them log session identifiers below that.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(RepetitionFilter())
    handler.setFormatter(DiscreetFormatter("aca-mcp: %(levelname)s: %(message)s"))
    logging.basicConfig(handlers=[handler])
    logging.getLogger("aca_mcp").setLevel(level.upper())
    # It warns of what it then raises, and what it raises is said in a sentence.
    logging.getLogger("azure.identity").setLevel(logging.ERROR)


def note(text: str) -> None:
    """Say something to the person who runs a command."""
    sys.stderr.write(f"aca-mcp: {text}\n")


class RepetitionFilter(logging.Filter):
    """Lets the same be said ten times a minute: whoever can make a server log cannot fill disks.

    What a line of the program says is the same, whatever is put into it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Count by this clock, in seconds."""
        super().__init__()
        self._clock = clock
        self._minute = clock()
        self._said: dict[tuple[str, int], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is let through; the last one says that it is the last."""
        if (now := self._clock()) - self._minute >= _MINUTE:
            self._minute = now
            self._said.clear()
        line = record.pathname, record.lineno
        times = self._said[line] = self._said.get(line, 0) + 1
        if times == _TIMES:
            record.msg = f"{record.msg} (This is not said again for a minute.)"
        return times <= _TIMES


class DiscreetFormatter(logging.Formatter):
    """Leaves out what the MCP SDK puts into its logs of connections and messages.

    Its warnings, and the exceptions that it logs, have identifiers and contents in them. Where in
    the SDK something went wrong, and what kind of error it was, can be said.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line for one record."""
        if record.name != "mcp" and not record.name.startswith("mcp."):
            return super().format(record)
        error = record.exc_info[0] if record.exc_info else None
        said = logging.makeLogRecord(record.__dict__)
        said.msg = (
            f"The MCP SDK reports {error.__name__ if error else 'a fault'} "
            f"({record.name}, line {record.lineno})."
        )
        said.args, said.exc_info, said.exc_text = None, None, None
        return super().format(said)
