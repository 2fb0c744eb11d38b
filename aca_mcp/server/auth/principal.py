"""Who a token stands for, as text that is unique over every kind of token. Pure.

A static token stands for ``token:NAME``, with the name it has in the settings. A token of an
issuer stands for ``oidc:ISSUER#SUBJECT``, with its ``iss`` and ``sub``. The issuer is one of those
that the settings name, so it is a URL without a fragment, and the first ``#`` ends it. Entra's
issuers have the tenant in them. ``oid`` is not used: other issuers let users choose claims of that
name, while ``sub`` is the issuer's own, and never becomes somebody else's.
"""

from __future__ import annotations

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken

_ISSUER = "iss"
_NOT_KEPT = ""
"""In the place of a token's own text."""


def static_caller(name: str) -> AccessToken:
    """The holder of a static token, whom no scope limits."""
    return AccessToken(token=_NOT_KEPT, client_id=name, scopes=[], subject=name)


def issued_caller(
    *, issuer: str, subject: str, client: str, scopes: list[str], expires_at: int
) -> AccessToken:
    """The holder of an issuer's token that was checked.

    Args:
        issuer: the URL, exactly as configured.
        subject: unique for this issuer alone.
        client: the program that asked for the token; empty if the token does not say.
        scopes: what the token allows.
        expires_at: in seconds since the epoch.
    """
    return AccessToken(
        token=_NOT_KEPT,
        client_id=client,
        scopes=scopes,
        expires_at=expires_at,
        subject=subject,
        claims={_ISSUER: issuer},
    )


def principal() -> str:
    """Who makes the request that is being served; empty where nobody had to say.

    It does not change when the same caller comes with a newer token, or by another program.
    """
    caller = get_access_token()
    return "" if caller is None else principal_of(caller)


def principal_of(caller: AccessToken) -> str:
    """Who a caller is."""
    issuer = (caller.claims or {}).get(_ISSUER)
    return f"token:{caller.subject}" if issuer is None else f"oidc:{issuer}#{caller.subject}"
