"""What sessions of tests have, wherever a process of ours is started."""

from __future__ import annotations

import os
import sys

SESSION_SETTINGS = {
    # Else it would be what the machine has: an environment that somebody made there once.
    "ACA_MCP_LOCAL_PYTHON": sys.executable,
    # Else each process that is started would be two seconds about libraries that few tests use.
    # Those in WebAssembly have them in the copy of an instance that is made once on a machine.
    **({} if "WASM" in os.environ else {"ACA_MCP_LOCAL_PREIMPORT": "json"}),
}


def plain_environment() -> dict[str, str]:
    """This process's, without settings of ours but what sessions of tests have."""
    plain = {name: text for name, text in os.environ.items() if not name.startswith("ACA_MCP_")}
    return {**plain, **SESSION_SETTINGS}
