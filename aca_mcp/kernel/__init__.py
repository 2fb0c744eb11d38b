"""The Python interpreter of a session, run inside the sandbox. Imports nothing else of us."""
