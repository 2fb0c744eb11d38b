"""Logging for every command: to stderr, because stdout belongs to the protocol."""

from __future__ import annotations

import logging
import sys


def configure_logging(level: str) -> None:
    """Log what this package says from this level on, and warnings of all others.

    Libraries keep to warnings because some of them log session identifiers below that.
    """
    logging.basicConfig(stream=sys.stderr, format="aca-mcp: %(levelname)s: %(message)s")
    logging.getLogger("aca_mcp").setLevel(level.upper())
    # It warns of what it then raises, and what it raises is said in a sentence.
    logging.getLogger("azure.identity").setLevel(logging.ERROR)
