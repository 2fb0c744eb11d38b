"""How a request that may not come in is answered: 400, 401, 403 or 503, each with its next step.

The forms are those of RFC 6750 (bearer tokens) and RFC 9728 (where the metadata is). What a client
sent is never repeated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.responses import Response


class RefusedError(Exception):
    """A request may not come in.

    Args:
        sentence: for a person; without quotation marks and line breaks.
    """

    status = 401
    error = "invalid_token"

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class NoTokenError(RefusedError):
    """There is no bearer token. Not an error yet: so a client learns how to get one."""

    error = ""

    def __init__(self) -> None:
        super().__init__("A bearer token is needed.")


class MalformedError(RefusedError):
    """The request cannot be understood."""

    status = 400
    error = "invalid_request"


class NotAllowedError(RefusedError):
    """The token is good, and does not allow this."""

    status = 403
    error = "insufficient_scope"


class IssuerUnavailableError(RefusedError):
    """The token cannot be checked at the moment. It may be good."""

    status = 503
    error = "temporarily_unavailable"
    retry_after_seconds = 5

    def __init__(self) -> None:
        super().__init__("The keys of the token's issuer cannot be fetched. Try again later.")


def answer(refusal: RefusedError, *, scopes: tuple[str, ...], metadata_url: str) -> Response:
    """The answer to a request that was refused.

    Args:
        refusal: why.
        scopes: what a client should ask the issuer for.
        metadata_url: where it learns who the issuer is; empty if there is none.
    """
    body = {
        "error": refusal.error or "unauthorized",
        "error_description": refusal.sentence,
    }
    if isinstance(refusal, IssuerUnavailableError):
        headers = {"Retry-After": str(refusal.retry_after_seconds)}
    else:
        headers = {"WWW-Authenticate": _challenge(refusal, scopes, metadata_url)}
    return JSONResponse(body, refusal.status, {**headers, "Cache-Control": "no-store"})


def _challenge(refusal: RefusedError, scopes: tuple[str, ...], metadata_url: str) -> str:
    parameters = {"realm": "aca-mcp"}
    if refusal.error:
        parameters |= {"error": refusal.error, "error_description": refusal.sentence}
    if scopes:
        parameters["scope"] = " ".join(scopes)
    if metadata_url:
        parameters["resource_metadata"] = metadata_url
    return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in parameters.items())
