"""Every refusal is one error of the tree, with a sentence that helps."""

from __future__ import annotations

import pytest

from aca_mcp.azure.responses import Fault
from aca_mcp.azure.service_errors import Subject, find_fault, refusal
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

SECRET = "identifier-that-is-secret"
FULL = "The request sessions count is '1'. There are already '5' active sessions."


@pytest.mark.parametrize(
    ("status", "code", "subject", "kind", "says"),
    [
        (429, "SessionsCountExceedsLimit", Subject.EXECUTION, PoolFullError, "cooldown"),
        (404, "SessionsCountExceedsLimit", Subject.EXECUTION, PoolFullError, "cooldown"),
        (429, "", Subject.EXECUTION, PoolUnavailableError, "too many requests"),
        (404, "FileNotFound", Subject.FILE, FileMissingError, "no such file"),
        (404, "", Subject.FILE, FileMissingError, "no such file"),
        (404, "", Subject.EXECUTION, PoolUnavailableError, "poolManagementEndpoint"),
        (404, "NoSessionFoundError", Subject.SESSION, SessionLostError, "no such session"),
        (404, "", Subject.SESSION, SessionLostError, "no such session"),
        (400, "FilePathInvalid", Subject.FILE, InvalidPathError, "path"),
        (400, "FileNameInvalid", Subject.FILE, InvalidPathError, "letters"),
        (400, "InvalidApiVersion", Subject.EXECUTION, PoolUnavailableError, "AZURE_API_VERSION"),
        (400, "InvalidLengthOfSessionIdentifier", Subject.EXECUTION, InvalidRequestError, "128"),
        (400, "ValidationFailed", Subject.EXECUTION, InvalidRequestError, "400"),
        (
            403,
            "DynamicApisNotAllowed",
            Subject.EXECUTION,
            PoolUnavailableError,
            "azurecontainerapps",
        ),
        (401, "Unauthorized", Subject.EXECUTION, AuthenticationFailedError, "audience"),
        (
            403,
            "",
            Subject.EXECUTION,
            AuthenticationFailedError,
            "Azure ContainerApps Session Executor",
        ),
        (405, "", Subject.POOL, NotSupportedError, "does not have"),
        (501, "NotImplemented", Subject.POOL, NotSupportedError, "does not have"),
        (413, "", Subject.EXECUTION, InvalidRequestError, "as files"),
        (413, "", Subject.FILE, FileTooLargeError, "134,217,728"),
        (507, "", Subject.FILE, StorageFullError, "no room"),
        (500, "", Subject.FILE, PoolUnavailableError, "500"),
        (302, "", Subject.FILE, PoolUnavailableError, "302"),
    ],
)
def test_each_refusal_is_its_error(
    status: int, code: str, subject: Subject, kind: type[SessionPoolError], says: str
) -> None:
    error = refusal(status, Fault(code=code, message=f"About '{SECRET}'.\x1b[31m"), subject, SECRET)
    assert type(error) is kind
    assert says in error.message
    assert SECRET not in error.message
    assert "\x1b" not in error.message


def test_the_services_words_are_quoted_in_part() -> None:
    error = refusal(400, Fault(code="X", message="y" * 1000), Subject.EXECUTION, SECRET)
    assert error.message.endswith("It says: " + "y" * 300 + "...")
    full = refusal(429, Fault(code="SessionsCountExceedsLimit", message=FULL), Subject.POOL, "")
    assert FULL in full.message


def test_a_code_is_found_in_the_header_too() -> None:
    assert find_fault(400, {"x-ms-error-code": "FileNameInvalid"}, b"").code == "FileNameInvalid"
    both = find_fault(400, {"x-ms-error-code": "A"}, b'{"error": {"code": "B"}}')
    assert both.code == "B"
