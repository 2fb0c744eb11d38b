"""Session handles, and the identifiers that are derived from them. Pure.

A handle names a session to the model. It carries its own authentication tag, so that a forged,
mistyped or foreign one is refused without any store. An identifier names a session to the pool;
it is derived from the handle by a secret, so that a model can neither choose one nor learn it.
"""

from __future__ import annotations

import hmac
import secrets

from aca_mcp import base64url
from aca_mcp.errors import InvalidRequestError
from aca_mcp.pool import identifier_in

HANDLE_PREFIX = "ses_"
_RANDOM_BYTES = 16
_TAG_BYTES = 16


def new_handle(secret: bytes, principal: str, environment: str = "") -> str:
    """A handle with 128 random bits, for this principal alone.

    Args:
        secret: the server's. Whoever has it can make handles.
        principal: who may use the handle; empty where clients are not told apart.
        environment: of its session; empty for the pool's default one.
    """
    key = secrets.token_bytes(_RANDOM_BYTES)
    return _written(environment, key + _tag(secret, principal, key, environment))


def check_handle(secret: bytes, principal: str, handle: str) -> str:
    """Return the handle if this server made it for this principal.

    Raises:
        InvalidRequestError: it did not.
    """
    environment, _, text = handle.removeprefix(HANDLE_PREFIX).rpartition(".")
    try:
        token = base64url.decode(text)
    except ValueError:
        token = b""
    key, tag = token[:_RANDOM_BYTES], token[_RANDOM_BYTES:]
    # The text is compared as well: another could have the same token.
    if not hmac.compare_digest(
        tag, _tag(secret, principal, key, environment)
    ) or handle != _written(environment, token):
        raise InvalidRequestError(
            "`session` is not a session handle of this server and client. Pass exactly what "
            "start_session returned, call start_session for a new one, or leave `session` out. "
            "Nothing was executed."
        )
    return handle


def derive_identifier(secret: bytes, principal: str, key: str) -> str:
    """The identifier of the session that a handle, or a connection's own key, stands for."""
    environment = key.removeprefix(HANDLE_PREFIX).rpartition(".")[0]
    derived = base64url.encode(_digest(secret, "identifier", principal.encode(), key.encode()))
    return identifier_in(environment, derived)


def name_in_links(secret: bytes, identifier: str) -> str:
    """What transfer links call a session that has no handle. Tells nothing of its identifier."""
    return base64url.encode(_digest(secret, "name in links", identifier.encode()))


def derive_key(secret: bytes, purpose: str) -> bytes:
    """A key of 32 bytes for another purpose than handles, from which the secret is not learnt."""
    return _digest(secret, f"key: {purpose}")


def _written(environment: str, token: bytes) -> str:
    return HANDLE_PREFIX + (f"{environment}." if environment else "") + base64url.encode(token)


def _tag(secret: bytes, principal: str, key: bytes, environment: str) -> bytes:
    fields = (principal.encode(), key, *((environment.encode(),) if environment else ()))
    return _digest(secret, "handle", *fields)[:_TAG_BYTES]


def _digest(secret: bytes, purpose: str, *fields: bytes) -> bytes:
    # Lengths keep ("ab", "c") and ("a", "bc") apart.
    message = b"".join(
        len(field).to_bytes(4, "big") + field for field in (purpose.encode(), *fields)
    )
    return hmac.digest(secret, message, "sha256")
