"""What the service refuses, as the errors of the port: one sentence each, with what to do. Pure."""

from __future__ import annotations

import enum
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from aca_mcp.azure.api_versions import MAX_FILE_BYTES
from aca_mcp.azure.responses import Fault
from aca_mcp.errors import (
    AuthenticationFailedError,
    FileMissingError,
    FileTooLargeError,
    InvalidPathError,
    InvalidRequestError,
    NotSupportedError,
    PoolFullError,
    PoolUnavailableError,
    SessionLostError,
    SessionPoolError,
    StorageFullError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MAX_CHARACTERS = 300
_PAGE_CHARACTERS = 120
_PAGE_BYTES = 8192
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]+")
_MARKUP = re.compile(
    r"<(script|style)\b[^>]*>.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)|<[^>]*(?:>|\Z)",
    re.DOTALL | re.IGNORECASE,
)
ROLE = "Azure ContainerApps Session Executor"
POOL_FULL = "sessionscountexceedslimit"


class Subject(enum.Enum):
    """What a request was about, where that makes a difference to what its refusal means."""

    EXECUTION = enum.auto()
    FILE = enum.auto()
    SESSION = enum.auto()
    MANAGED_SESSION = enum.auto()
    """A session, by an operation that a container of the pool answers if the pool has it not."""
    POOL = enum.auto()


def find_fault(status: int, headers: Mapping[str, str], body: bytes) -> Fault:
    """Read the error of an answer, from its body or its header."""
    fault = Fault.find(body)
    if not fault.code:
        return Fault(code=headers.get("x-ms-error-code", ""), message=fault.message)
    return fault


def refusal(
    status: int,
    fault: Fault,
    subject: Subject,
    identifier: str,
    *,
    retry_after_seconds: float = 0,
    location: str = "",
) -> SessionPoolError:
    """The error for an answer that is not a success.

    Args:
        status: the HTTP status.
        fault: what the body says.
        subject: what the request was about.
        identifier: the session's, which never appears in a message.
        retry_after_seconds: what the answer asks to wait; 0 if nothing.
        location: where a redirection leads.
    """
    words = _quoted(fault.message, identifier)
    said = f" It says: {words}" if words else ""
    when = f"in {retry_after_seconds:.0f} s" if retry_after_seconds else "later"
    if make := _BY_CODE.get(fault.code.lower()):
        return make(said)
    if status == 413 and subject is Subject.EXECUTION:
        return InvalidRequestError(
            "The code is larger than the session pool takes. Nothing was executed. Upload data and "
            f"long code as files, and run those.{said}"
        )
    if make := _BY_STATUS.get(status):
        return make(said)
    if status == 404:
        return _not_found(subject, said)
    if status == 429:
        return PoolUnavailableError(
            "The session pool has too many requests at the moment. Nothing was executed. Try again "
            f"{when}.{said}"
        )
    if 300 <= status < 400:
        return PoolUnavailableError(
            f"The session pool's endpoint answered with a redirection (HTTP status {status}) to "
            f"{_address(location)}, where our token must not go. Nothing was executed. Set "
            "ACA_MCP_POOL_MANAGEMENT_ENDPOINT to the pool's property poolManagementEndpoint; a "
            f"proxy or a sign-in page can answer this too.{said}"
        )
    if status < 500:
        return InvalidRequestError(
            f"The session pool refused the request with HTTP status {status}. Nothing was executed."
            f"{said}"
        )
    return PoolUnavailableError(
        f"The session pool failed with HTTP status {status}. Try again {when}.{said}"
    )


def describe_page(status: int, body: bytes, identifier: str) -> str:
    """An answer that is none of the API's, by its status and its first words: a clause.

    Args:
        status: the HTTP status.
        body: anything: mostly the page of a gateway or a proxy.
        identifier: the session's, which a page may repeat.
    """
    page = body[:_PAGE_BYTES].decode("utf-8", "replace")
    words = _quoted(_MARKUP.sub(" ", page), identifier, _PAGE_CHARACTERS)
    return f"HTTP status {status}: {words}" if words else f"HTTP status {status} without a word"


def not_understood(status: int, body: bytes, identifier: str) -> PoolUnavailableError:
    """The error for an answer that is a success, and none of the API's."""
    return PoolUnavailableError(
        "The session pool's answer is not one of its API: something between may have given it "
        f"({describe_page(status, body, identifier)}). Try again, and check "
        "ACA_MCP_POOL_MANAGEMENT_ENDPOINT if it stays."
    )


def _quoted(text: str, identifier: str, most: int = _MAX_CHARACTERS) -> str:
    text = " ".join(_UNPRINTABLE.sub(" ", text).split())
    if identifier:
        text = text.replace(identifier, "...").replace(quote(identifier, safe=""), "...")
    return f"{text[:most]}..." if len(text) > most else text


def _address(location: str) -> str:
    """Where a redirection leads, without its query, which may hold the identifier."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return "another address"
    place = f"{parts.scheme}://{parts.hostname}" if parts.hostname else ""
    return _quoted(place + parts.path, "", _PAGE_CHARACTERS) or "another address"


def _not_found(subject: Subject, said: str) -> SessionPoolError:
    if subject is Subject.FILE:
        return _no_file(said)
    if subject is Subject.SESSION:
        return _no_session(said)
    if subject is Subject.MANAGED_SESSION:
        return NotSupportedError(f"This session pool does not tell of its sessions.{said}")
    return PoolUnavailableError(
        "The session pool's endpoint answered that there is nothing there (HTTP status 404). "
        "Compare ACA_MCP_POOL_MANAGEMENT_ENDPOINT with the pool's property poolManagementEndpoint; "
        f"a pool that has all the sessions it may have can answer this too.{said}"
    )


def _no_file(_: str) -> SessionPoolError:
    return FileMissingError("There is no such file or directory in the session.")


def _no_session(_: str) -> SessionPoolError:
    return SessionLostError("There is no such session any more.")


def _no_such_operation(said: str) -> SessionPoolError:
    return NotSupportedError(f"This session pool does not have the operation.{said}")


def _way_is_closed(status: int, said: str) -> SessionPoolError:
    return PoolUnavailableError(
        "A proxy or the network between here and the session pool wants a login (HTTP status "
        f"{status}). Nothing was executed. Put user and password into HTTPS_PROXY, as "
        f"http://USER:PASSWORD@HOST:PORT, or sign in to the network.{said}"
    )


_BY_CODE: dict[str, Callable[[str], SessionPoolError]] = {
    POOL_FULL: lambda said: PoolFullError(
        "The Azure session pool has as many sessions as it may have, and idle ones count until "
        "their cooldown ends. Nothing was executed. End a session that is not needed, wait, or "
        f"raise the pool's maximum of concurrent sessions.{said}"
    ),
    "filenotfound": _no_file,
    "filepathinvalid": lambda said: InvalidPathError(f"Azure does not take this path.{said}"),
    "filenameinvalid": lambda said: InvalidPathError(
        "Azure does not take this file name: use letters, digits, spaces and - _ . @ $ & = ; , # "
        f"% ^ ( ).{said}"
    ),
    "nosessionfounderror": _no_session,
    "sessionwithidentifiernotfound": _no_session,
    "invalidapiversion": lambda said: PoolUnavailableError(
        "The session pool does not know the API version. Set ACA_MCP_AZURE_API_VERSION to another "
        f"one.{said}"
    ),
    "dynamicapisnotallowed": lambda _: PoolUnavailableError(
        "This is a custom-container pool, which is reached by a URL of its own. Set "
        "ACA_MCP_POOL_MANAGEMENT_ENDPOINT to https://POOL.ENVIRONMENT.REGION.azurecontainerapps.io."
    ),
    "invalidlengthofsessionidentifier": lambda _: InvalidRequestError(
        "The session pool takes identifiers of 4 to 128 characters. Nothing was executed."
    ),
}

_BY_STATUS: dict[int, Callable[[str], SessionPoolError]] = {
    401: lambda said: AuthenticationFailedError(
        "The session pool does not accept our token. Nothing was executed. It must be for the "
        "audience https://dynamicsessions.io and of the pool's tenant: see ACA_MCP_AZURE_SCOPE and "
        "ACA_MCP_AZURE_CREDENTIAL. "
        + (
            said.strip()
            or "Without a word this can also mean that its owner lacks the role "
            f"'{ROLE}' on the pool, that the role has not reached the pool yet, or that the pool "
            "does not know the API version (ACA_MCP_AZURE_API_VERSION)."
        )
    ),
    403: lambda said: AuthenticationFailedError(
        f"The token was accepted, but its owner may not use this session pool. Nothing was "
        f"executed. Give it the role '{ROLE}' on the pool; a new role takes some minutes to "
        f"reach it. A wrong endpoint can answer this too.{said}"
    ),
    405: _no_such_operation,
    407: lambda said: _way_is_closed(407, said),
    511: lambda said: _way_is_closed(511, said),
    413: lambda _: FileTooLargeError(
        f"The file has more than {MAX_FILE_BYTES:,} bytes, the most that Azure takes. Compress or "
        "split it."
    ),
    507: lambda _: StorageFullError(
        "The session has no room for the file. Delete files in it. What was there is unchanged."
    ),
    501: _no_such_operation,
}
