"""Makes the authentication of HTTP clients from what the user chose."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mcp.server.auth.routes import build_resource_metadata_url, create_protected_resource_routes
from pydantic import AnyHttpUrl, ConfigDict, TypeAdapter
from starlette.middleware import Middleware

from aca_mcp.server.auth.bearer import BearerMiddleware, TokenVerifier
from aca_mcp.server.auth.static import StaticTokens

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.routing import Route

# Clients compare these character by character; no slash may be added to one without a path.
_URL = TypeAdapter(AnyHttpUrl, config=ConfigDict(url_preserve_empty_path=True))


@dataclass(frozen=True, slots=True)
class AuthenticationOptions:
    """What a user can choose about who may call."""

    tokens: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Name to static bearer token."""
    issuer: str = ""
    """Of OIDC, whose tokens are taken too; ``{tenantid}`` in it stands for each of the tenants."""
    audience: str = ""
    """What the issuer's tokens must be for; empty for the public URL."""
    tenants: tuple[str, ...] = ()
    """Entra's, whose tokens are taken; empty for whichever the issuer has."""
    required_scopes: tuple[str, ...] = ()
    """What the issuer's tokens must all have."""
    required_roles: tuple[str, ...] = ()
    """App roles that they must all have."""
    public_url: str = ""
    """This server's, as clients know it; the resource of RFC 8707 and RFC 9728."""


@dataclass(frozen=True, slots=True)
class Authentication:
    """What stands between HTTP clients and the server."""

    verifier: TokenVerifier
    routes: tuple[Route, ...] = ()
    """The metadata of RFC 9728, for everybody. None where there is no issuer to be told of."""
    scopes: tuple[str, ...] = ()
    metadata_url: str = ""

    def middleware(self, *, open_paths: frozenset[str] = frozenset()) -> Middleware:
        """What lets callers with a good bearer token through, and sets their principal.

        Args:
            open_paths: which everybody reaches, beside the metadata.
        """
        return Middleware(
            BearerMiddleware,
            self.verifier,
            open_paths=open_paths | {route.path for route in self.routes},
            scopes=self.scopes,
            metadata_url=self.metadata_url,
        )


def authentication(options: AuthenticationOptions) -> Authentication | None:
    """Make the authentication of clients; None if anybody may call.

    Args:
        options: what the user chose. An issuer needs the public URL.
    """
    static = StaticTokens(options.tokens)
    if not options.issuer:
        return Authentication(TokenVerifier(static, None)) if options.tokens else None

    from aca_mcp.server.auth.oidc import IssuedTokens, IssuerPolicy  # only where it was asked for

    policy = IssuerPolicy(
        issuer=options.issuer,
        audience=options.audience or options.public_url,
        tenants=options.tenants,
        required_scopes=options.required_scopes,
        required_roles=options.required_roles,
        resource=options.public_url.rstrip("/"),
    )
    resource = _URL.validate_python(options.public_url)
    routes = create_protected_resource_routes(
        resource,
        [_URL.validate_python(issuer) for issuer in policy.issuers()],
        list(options.required_scopes) or None,
        resource_name="aca-mcp",
    )
    return Authentication(
        TokenVerifier(static, IssuedTokens(policy)),
        tuple(routes),
        options.required_scopes,
        str(build_resource_metadata_url(resource)),
    )
