"""aca_mcp: a Model Context Protocol server that gives a language model a Python interpreter.

This module imports nothing: it is also loaded inside the sandbox.
"""

__version__ = "0.1.0"
