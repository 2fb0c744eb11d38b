"""Packages of a session, and what installing some gave, in plain values.

The port's vocabulary for packages; ``pool`` passes it on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Package(NamedTuple):
    """An installed distribution."""

    name: str
    version: str
    modules: tuple[str, ...] = ()
    """What it is imported by, as far as that is known and is not its own name."""


@dataclass(frozen=True, slots=True)
class Installation:
    """What installing packages gave."""

    installed: tuple[Package, ...]
    """What is new."""
    present: tuple[Package, ...]
    """What was asked for, and was there already."""
    size_bytes: int
    """Of what is new, unpacked."""
    duration_seconds: float
