"""Faults on purpose: what networks, gateways and the service do to clients on bad days.

Each is asked for by name and used up request by request; without one, nothing here does anything.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, cast, get_args

from aca_mcp.errors import SettingsError

FaultKind = Literal[
    "latency",
    "429",
    "500",
    "503",
    "drop-before",
    "drop-after",
    "malformed",
    "expired-token",
    "session-loss",
]
_KINDS: tuple[FaultKind, ...] = get_args(FaultKind)
_TEXT = re.compile(r"([a-z0-9-]+):([0-9]+(?:\.[0-9]+)?)")


class ConnectionDroppedError(Exception):
    """The connection is to end without an answer."""


@dataclass(slots=True)
class Faults:
    """The faults that are still to come."""

    latency_seconds: float = 0.0
    """Before every answer."""
    left: Counter[FaultKind] = field(default_factory=Counter[FaultKind])

    def add(self, text: str) -> None:
        """Add a fault: ``latency:SECONDS``, or another kind with how many requests it befalls.

        Raises:
            SettingsError: there is no such fault.
        """
        found = _TEXT.fullmatch(text)
        if found is None or found[1] not in _KINDS or (found[1] != "latency" and "." in found[2]):
            kinds = ", ".join(kind for kind in _KINDS if kind != "latency")
            raise SettingsError(
                f"--fault must be latency:SECONDS or KIND:COUNT, where KIND is one of {kinds}."
            )
        if found[1] == "latency":
            self.latency_seconds = float(found[2])
        else:
            self.left[cast("FaultKind", found[1])] += int(found[2])

    def take(self, *kinds: FaultKind) -> FaultKind | None:
        """The first of these faults that is left, now used up."""
        for kind in kinds:
            if self.left[kind] > 0:
                self.left[kind] -= 1
                return kind
        return None
