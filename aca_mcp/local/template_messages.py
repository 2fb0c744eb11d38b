"""What the supervisor tells a template.

Apart from the template itself, because the supervisor needs it, and not what a template imports.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from aca_mcp.sandbox.policy import SandboxPolicy

MAX_PACKET_BYTES = 160 * 1024
"""Of one message between the supervisor and its template."""


class TemplateConfiguration(NamedTuple):
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
        return json.dumps({**self._asdict(), "policy": self.policy.to_json()}).encode()

    @classmethod
    def from_packet(cls, packet: bytes) -> TemplateConfiguration:
        """Read the first packet. It comes from the supervisor and is trusted."""
        data = json.loads(packet)
        policy = SandboxPolicy.from_json(data["policy"])
        return cls(data["isolation"], policy, tuple(data["preimport"]), data["temporary"])


class SessionRequest(NamedTuple):
    """A session to be forked."""

    storage: str
    """Its directory, where there are no namespaces."""
    identity: int | None
    """The user that it becomes, as the template counts, where root started the server."""
    one_share: bool = False
    """It must not have more shares of processor time than one, by having terminal sessions."""
    checkpoints: bool = False
    """It makes them, and has a keeper: the first descriptor is the connection to that."""
    groups: int = 0
    """Descriptors that come last: entrances of its control group, to be taken first of all."""

    def to_message(self) -> dict[str, object]:
        """As the request to the template."""
        return {"op": "fork", **self._asdict()}

    @classmethod
    def from_message(cls, message: dict[str, object]) -> SessionRequest:
        """Read what ``to_message`` made. It comes from the supervisor and is trusted."""
        identity = message["identity"]
        return cls(
            storage=str(message["storage"]),
            identity=identity if isinstance(identity, int) else None,
            one_share=message["one_share"] is True,
            checkpoints=message["checkpoints"] is True,
            groups=int(str(message["groups"])),
        )
