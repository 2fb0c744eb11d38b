"""What the service would say for each error of a pool."""

from __future__ import annotations

import json

import pytest

from aca_mcp.emulator.service_errors import of_pool, respond
from aca_mcp.errors import (
    ExecutionOutcomeUnknownError,
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


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (PoolFullError, 429, "SessionsCountExceedsLimit"),
        (FileMissingError, 404, "FileNotFound"),
        (InvalidPathError, 400, "FilePathInvalid"),
        (FileTooLargeError, 413, "RequestEntityTooLarge"),
        (StorageFullError, 507, "InsufficientStorage"),
        (InvalidRequestError, 400, "BadRequest"),
        (SessionLostError, 404, "NoSessionFoundError"),
        (NotSupportedError, 400, "SessionRequestNotSupported"),
        (PoolUnavailableError, 503, "ServiceUnavailable"),
        (ExecutionOutcomeUnknownError, 503, "ServiceUnavailable"),
    ],
)
def test_each_error_has_its_answer(error: type[SessionPoolError], status: int, code: str) -> None:
    answer = respond(of_pool(error("words"), 5, 5))
    assert answer.status_code == status
    assert answer.headers["x-ms-error-code"] == code
    body = json.loads(bytes(answer.body))
    assert body.get("error", body)["code"] == code


def test_a_full_pool_is_told_without_an_object_around_it() -> None:
    body = json.loads(bytes(respond(of_pool(PoolFullError("full"), 4, 5)).body))
    assert set(body) == {"code", "message"}
    assert "already '4' active sessions" in body["message"]
    assert "count is '5'." in body["message"]
