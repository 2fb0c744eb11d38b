"""The data plane's address book: API versions, what each has, and the URLs of its operations.

Pure. Knows nothing of how requests are sent.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlencode, urljoin, urlsplit

if TYPE_CHECKING:
    from aca_mcp.settings import ApiVersion

MAX_TIMEOUT_SECONDS = 220
"""The longest execution that the service allows."""
MAX_FILE_BYTES = 128 * 2**20
"""The largest file that the service takes."""
DEFAULT_STREAM_CHARACTERS = 4096
"""What the service keeps of stdout and of stderr when a request does not say."""


class Feature(enum.Enum):
    """What not every API version, or not every kind of pool, has."""

    SESSIONS = enum.auto()
    """Reading and ending a session: ``/session``."""
    STOP_SESSION = enum.auto()
    """Ending a session of a custom-container pool: ``/.management/stopSession``."""
    MANAGED_SESSIONS = enum.auto()
    """Reading a session of a custom-container pool: ``/.management/getSession``."""
    METADATA = enum.auto()
    """What the pool's sessions have: ``/metadata``."""
    RECURSIVE_LISTING = enum.auto()
    OUTPUT_LENGTH = enum.auto()
    """A request may say how much of its output it wants."""


_SINCE: dict[Feature, ApiVersion] = {
    Feature.SESSIONS: "2025-02-02-preview",
    Feature.METADATA: "2025-02-02-preview",
    Feature.STOP_SESSION: "2025-02-02-preview",
    Feature.MANAGED_SESSIONS: "2024-10-02-preview",
    Feature.RECURSIVE_LISTING: "2025-10-02-preview",
    Feature.OUTPUT_LENGTH: "2025-10-02-preview",
}
_BUILT_IN_ONLY = frozenset({Feature.SESSIONS, Feature.METADATA})
_CUSTOM_ONLY = frozenset({Feature.STOP_SESSION, Feature.MANAGED_SESSIONS})
_CUSTOM_CONTAINER_DOMAIN = ".azurecontainerapps.io"
_BUILT_IN_DOMAIN = ".dynamicsessions.io"


@dataclass(frozen=True, slots=True)
class Api:
    """One pool's data plane in one API version."""

    endpoint: str
    """The pool management endpoint, without a slash at its end."""
    version: ApiVersion = "2025-10-02-preview"

    @property
    def is_custom_container(self) -> bool:
        """The pool runs containers of its user, who see every request but serve only some."""
        return (urlsplit(self.endpoint).hostname or "").endswith(_CUSTOM_CONTAINER_DOMAIN)

    @property
    def is_azures(self) -> bool:
        """The endpoint is one of Azure's own, and not an emulator's."""
        host = urlsplit(self.endpoint).hostname or ""
        return host.endswith((_BUILT_IN_DOMAIN, _CUSTOM_CONTAINER_DOMAIN))

    def has(self, feature: Feature) -> bool:
        """Whether this version and this kind of pool have a feature."""
        foreign = _BUILT_IN_ONLY if self.is_custom_container else _CUSTOM_ONLY
        return feature not in foreign and self.version >= _SINCE[feature]

    def url(self, operation: str, identifier: str | None = None, **query: str) -> str:
        """The URL of an operation.

        Args:
            operation: the path after the endpoint, each part of it quoted: see ``file_path``.
            identifier: the session's, for operations on a session.
            query: further parameters; empty ones are left out.
        """
        parameters = {"api-version": self.version}
        if identifier is not None:
            parameters["identifier"] = identifier
        parameters.update((name, value) for name, value in query.items() if value)
        return f"{self.endpoint}{operation}?{urlencode(parameters, quote_via=quote, safe='')}"

    def next_page(self, link: str, page: str) -> str | None:
        """The URL of a list's next page, or None if it is not below this endpoint.

        Our token may go nowhere else.

        Args:
            link: as the service gives it: whole, or relative to the page, the host or the endpoint.
            page: the URL of the page that has it.
        """
        try:
            candidates = [urljoin(page, link)]
        except ValueError:
            return None
        if link.startswith("/") and not link.startswith("//"):
            candidates.append(f"{self.endpoint}{link}")
        return next(filter(self._is_below, candidates), None)

    def _is_below(self, url: str) -> bool:
        try:
            there, here = urlsplit(url), urlsplit(self.endpoint)
            same_place = (there.scheme, there.hostname, there.port) == (
                here.scheme,
                here.hostname,
                here.port,
            )
        except ValueError:
            return False
        below = there.path.lower().startswith(f"{here.path.lower()}/")
        plain = "\\" not in there.path and ".." not in unquote(there.path).split("/")
        return same_place and below and plain and there.username is None


def file_path(name: str, suffix: str = "") -> str:
    """The path of a file's operations. Every name is a single segment, whatever it contains."""
    return f"/files/{quote(name, safe='')}{suffix}"


def complaint_about(endpoint: str) -> str | None:
    """What is wrong with the shape of an endpoint of Azure's own, or None.

    Endpoints of other hosts, such as an emulator's, have no shape to keep to.
    """
    parts = urlsplit(endpoint)
    host = parts.hostname or ""
    if parts.query or parts.fragment:
        return "has a query or a fragment; end it with the pool's name"
    if host.endswith(_BUILT_IN_DOMAIN):
        names = [part.lower() for part in parts.path.strip("/").split("/")]
        if len(names) != 6 or names[::2] != ["subscriptions", "resourcegroups", "sessionpools"]:
            return (
                "must look like https://REGION.dynamicsessions.io/subscriptions/SUBSCRIPTION"
                "/resourceGroups/GROUP/sessionPools/POOL, as the pool's property "
                "poolManagementEndpoint does"
            )
    elif host.endswith(_CUSTOM_CONTAINER_DOMAIN) and host.count(".") < 4:
        return "must look like https://POOL.ENVIRONMENT.REGION.azurecontainerapps.io"
    return None
