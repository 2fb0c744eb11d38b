"""Published clients live in an environment of their own: ``scripts/clients`` makes it."""

from __future__ import annotations

from tests.clients.environment import PYTHON

collect_ignore = [] if PYTHON.exists() else ["test_clients.py"]
