"""What an Azure pool is told about itself: plain values, whoever they come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aca_mcp.azure.api_versions import MAX_FILE_BYTES
from aca_mcp.azure.credentials import credential_factory, describe
from aca_mcp.execution import MAX_IMAGE_SIDE

if TYPE_CHECKING:
    from collections.abc import Callable

    from aca_mcp.azure.tokens import TokenCredential
    from aca_mcp.settings import ApiVersion

SCOPE = "https://dynamicsessions.io/.default"


@dataclass(frozen=True, slots=True)
class Pacing:
    """How long the service is waited for, and how soon it is asked again. In seconds."""

    first_retry_seconds: float = 0.2
    """About how long after a request was turned away it is sent again; then longer each time."""
    longest_retry_seconds: float = 5
    first_poll_seconds: float = 0.1
    """How long after an execution was said to run it is asked for; then longer each time."""
    longest_poll_seconds: float = 2
    grace_seconds: float = 30
    """How much longer than its time an execution may take to answer."""
    look_again_seconds: float = 0.5
    """After a look at what a timeout left that the service dropped unseen."""
    head_start_seconds: float = 1
    """Where a pool is verified: how long code runs before what is to wait for it is sent."""


@dataclass(frozen=True, slots=True)
class AzurePoolConfiguration:
    """Which pool, and how to speak to it."""

    endpoint: str
    """The pool management endpoint."""
    make_credential: Callable[[], TokenCredential] = field(
        default_factory=lambda: credential_factory("default")
    )
    """Called once, in a worker thread, when the first token is needed."""
    credential_description: str = field(default_factory=lambda: describe("default"))
    """For messages: the credential, and what it needs."""
    api_version: ApiVersion = "2025-10-02-preview"
    scope: str = SCOPE
    rich_results: bool = True
    """Run code by our module in the session. Else it is sent as it is: one figure comes back."""
    max_image_side: int = MAX_IMAGE_SIDE
    """Pixels of the longer side of an image that an execution shows."""
    connect_seconds: float = 10
    retry_seconds: float = 30
    """How long a request that was turned away is tried again."""
    pacing: Pacing = Pacing()
    max_stream_characters: int = 2**20
    """How much to ask for of stdout and of stderr."""
    max_answer_bytes: int = 128 * 2**20
    """Of an execution: more than one can have, with every bound used up."""
    max_file_bytes: int = MAX_FILE_BYTES
