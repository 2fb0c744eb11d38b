"""A Python 3.10 lives in an environment of its own: ``scripts/oldest_python`` makes it."""

from __future__ import annotations

from tests.oldest_python.environment import PYTHON

collect_ignore = [] if PYTHON.exists() else ["test_sent_modules.py"]
