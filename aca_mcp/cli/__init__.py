"""The command line: arguments become settings, and settings a running command."""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name and return its exit code.

    0 is success, 1 a command that failed, 2 arguments or settings that cannot be used, and 130
    a command that a person interrupted. ``exec`` passes on what the code exits with.
    """
    # Imports make objects that stay: collecting meanwhile costs a tenth of the start-up.
    gc.disable()
    _open_closed_streams()
    try:
        from aca_mcp.cli.dispatch import dispatch

        return dispatch(list(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt:  # before a command that means something by it has begun
        return 130
    finally:
        gc.enable()


def _open_closed_streams() -> None:
    """Have nobody read and write where a standard stream is closed (``aca-mcp ... <&-``).

    Python then has None in its place, and the next file or connection would have its number.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 -- it stays open
