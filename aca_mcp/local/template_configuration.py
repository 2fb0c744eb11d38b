"""What a template is told before it does anything.

Apart from the template itself, because the supervisor needs it, and not what a template imports.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from aca_mcp.sandbox.policy import SandboxPolicy

MAX_PACKET_BYTES = 160 * 1024
"""Of one message between the supervisor and its template."""


@dataclass(frozen=True, slots=True)
class TemplateConfiguration:
    """What a template is told before it does anything."""

    isolation: str
    """``auto``, or the name of an ``Isolation``."""
    policy: SandboxPolicy
    """Without its isolation and readable paths, which the template finds out itself."""
    preimport: tuple[str, ...]
    temporary: str
    """The directory in which sessions without a file system of their own have theirs."""

    def to_packet(self) -> bytes:
        """As the first packet."""
        return json.dumps({**asdict(self), "policy": self.policy.to_json()}).encode()

    @classmethod
    def from_packet(cls, packet: bytes) -> TemplateConfiguration:
        """Read the first packet. It comes from the supervisor and is trusted."""
        data = json.loads(packet)
        policy = SandboxPolicy.from_json(data["policy"])
        return cls(data["isolation"], policy, tuple(data["preimport"]), data["temporary"])
