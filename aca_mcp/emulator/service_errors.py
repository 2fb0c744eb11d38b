"""The errors of the service: status, code and words of each, and how they look on the wire."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from aca_mcp.errors import (
    FileMissingError,
    FileTooLargeError,
    InvalidPathError,
    InvalidRequestError,
    NotSupportedError,
    PoolFullError,
    SessionLostError,
    SessionPoolError,
    StorageFullError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_logger = logging.getLogger(__name__)

MAX_FILE_BYTES = 128 * 2**20
MAX_TIMEOUT_SECONDS = 220


@dataclass(eq=False)
class ServiceError(Exception):
    """An answer that is not a success."""

    status: int
    code: str
    message: str
    flat: bool = False
    """Without the ``error`` object around it, as the service answers when a pool is full."""
    invalid_fields: Mapping[str, str] | None = None
    """What is wrong with a body, by field: answered as a problem report."""


def unauthorized() -> ServiceError:
    """No token, or one that is not accepted."""
    return ServiceError(401, "Unauthorized", "The access token is missing, expired or not valid.")


def forbidden() -> ServiceError:
    """A token whose owner lacks the role."""
    return ServiceError(
        403, "Forbidden", "The caller lacks the role 'Azure ContainerApps Session Executor'."
    )


def invalid_api_version(given: str, known: tuple[str, ...]) -> ServiceError:
    """An API version that is missing or unknown."""
    return ServiceError(
        400,
        "InvalidApiVersion",
        f"The api-version '{given}' is invalid. The supported versions are {', '.join(known)}.",
    )


def invalid_identifier_length() -> ServiceError:
    """An identifier that is missing, too short or too long."""
    return ServiceError(
        400,
        "InvalidLengthOfSessionIdentifier",
        "The length of the session identifier must be between 4 and 128 characters.",
    )


def invalid_identifier() -> ServiceError:
    """An identifier with a character that is not allowed."""
    return ServiceError(
        400, "InvalidSessionIdentifier", "The session identifier has invalid characters."
    )


def no_session(identifier: str) -> ServiceError:
    """A session that is not there."""
    return ServiceError(
        404, "NoSessionFoundError", f"Could not find session with name '{identifier}'."
    )


def no_session_to_manage(identifier: str) -> ServiceError:
    """The same, as the management operations say it."""
    return ServiceError(
        400,
        "SessionWithIdentifierNotFound",
        f"Session with identifier '{identifier}' was not found.",
    )


def no_execution(execution_id: str) -> ServiceError:
    """An execution that is not there."""
    return ServiceError(
        404, "ExecutionNotFound", f"Could not find execution with id '{execution_id}'."
    )


def invalid_file_name(name: str) -> ServiceError:
    """A file name that the service does not take."""
    return ServiceError(400, "FileNameInvalid", f"File name '{name}' is invalid.")


def invalid_file_path(path: str) -> ServiceError:
    """A directory that the service does not take."""
    return ServiceError(
        400,
        "FilePathInvalid",
        f"File Path '{path}' is invalid because 'path cannot contain any reserved file path "
        "characters'.",
    )


def too_large(what: str = "The file is larger than 128 MB.") -> ServiceError:
    """A file or a request beyond the limit."""
    return ServiceError(413, "RequestEntityTooLarge", what)


def invalid_body(**fields: str) -> ServiceError:
    """A body that does not fit its contract."""
    return ServiceError(400, "", "", invalid_fields=fields)


def missing_property(name: str) -> ServiceError:
    """A body without what the operation needs, or with it where another API version has it."""
    return ServiceError(
        400, "SessionPropertiesMissing", f"Property '{name}' is required but not provided."
    )


def not_supported(what: str) -> ServiceError:
    """An operation that the service, its API version or the emulator does not have."""
    return ServiceError(400, "SessionRequestNotSupported", what)


def internal_error(error: Exception) -> ServiceError:
    """A fault of the emulator or of what is below it; logged by its kind alone."""
    kind = type(error).__name__
    _logger.error("The emulator met an error of an unexpected kind: %s", kind)
    return ServiceError(
        500,
        "InternalServerError",
        f"An error of an unexpected kind occurred in the emulator: {kind}.",
    )


def of_pool(error: SessionPoolError, active: int, most: int) -> ServiceError:
    """What the service would say for an error of the pool.

    Args:
        error: the pool's.
        active: how many sessions there are.
        most: how many there may be.
    """
    match error:
        case PoolFullError():
            return ServiceError(
                429,
                "SessionsCountExceedsLimit",
                f"The request sessions count is '1'. There are already '{active}' active sessions "
                f"and the maximum active sessions count is '{most}'.",
                flat=True,
            )
        case FileMissingError():
            return ServiceError(404, "FileNotFound", "Could not find the file.")
        case InvalidPathError():
            return ServiceError(400, "FilePathInvalid", str(error))
        case FileTooLargeError():
            return too_large()
        case StorageFullError():
            return ServiceError(507, "InsufficientStorage", str(error))
        case InvalidRequestError():
            return ServiceError(400, "BadRequest", str(error))
        case SessionLostError():
            return ServiceError(404, "NoSessionFoundError", str(error))
        case NotSupportedError():
            return not_supported(str(error))
        case _:
            return ServiceError(503, "ServiceUnavailable", str(error))


def respond(error: ServiceError) -> Response:
    """An error on the wire."""
    trace_id = secrets.token_hex(16)
    headers = {"x-ms-error-code": error.code} if error.code else {}
    if error.invalid_fields is not None:
        body: dict[str, object] = {
            "type": "https://tools.ietf.org/html/rfc9110#section-15.5.1",
            "title": "One or more validation errors occurred.",
            "status": error.status,
            "errors": {name: [text] for name, text in error.invalid_fields.items()},
            "traceId": trace_id,
        }
        return JSONResponse(body, error.status, media_type="application/problem+json")
    told: dict[str, object] = {"code": error.code, "message": error.message}
    if error.flat:
        return JSONResponse(told, error.status, headers)
    return JSONResponse({"error": {**told, "traceId": trace_id}}, error.status, headers)
