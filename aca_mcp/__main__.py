"""``python -m aca_mcp``: the same as the ``aca-mcp`` command."""

import sys

from aca_mcp.cli import main

if __name__ == "__main__":
    sys.exit(main())
