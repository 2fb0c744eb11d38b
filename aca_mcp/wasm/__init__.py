"""A session pool of CPython compiled to WebAssembly, for systems where the local pool cannot be.

Each session is a process that runs one WebAssembly instance. What code in it can reach is what
WASI gives it: two directories of its own and read-only files of the interpreter.
"""
