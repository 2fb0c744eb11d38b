"""The embedded session pool: sandboxed processes forked from one warm template."""
