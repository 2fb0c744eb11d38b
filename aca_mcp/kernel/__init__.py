"""The Python interpreter of a session. It runs inside the sandbox and imports nothing else of us."""
