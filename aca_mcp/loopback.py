"""The names by which a machine calls itself."""

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
LOOPBACK_IN_URLS = frozenset({"127.0.0.1", "localhost", "[::1]"})
"""The same as URLs and ``Host`` headers write them."""
