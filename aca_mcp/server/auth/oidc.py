"""Checks the tokens of an OIDC issuer: JSON Web Tokens, as Microsoft Entra ID and others make them.

PyJWT checks the signature and the times; what is asked for beyond that is decided here. Which
issuers there are is a closed set: the token chooses one of them, and can name no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
import jwt
from pydantic import BaseModel, Field

from aca_mcp.server.auth.errors import NotAllowedError, RefusedError
from aca_mcp.server.auth.keys import ALGORITHMS, SigningKeys
from aca_mcp.server.auth.principal import issued_caller

if TYPE_CHECKING:
    from mcp.server.auth.provider import AccessToken

LEEWAY_SECONDS = 30
"""For clocks that disagree."""
_TENANT = "{tenantid}"
_SENTENCES = (
    (jwt.ExpiredSignatureError, "The token has expired."),
    (jwt.ImmatureSignatureError, "The token is not valid yet."),
    (jwt.InvalidAudienceError, "The token was issued for another audience."),
    (jwt.InvalidAlgorithmError, "The token is signed with an algorithm that is not accepted."),
)


@dataclass(frozen=True, slots=True)
class IssuerPolicy:
    """Whose tokens are taken, and what they must have."""

    issuer: str
    """Its URL; ``{tenantid}`` in it stands for each of the tenants."""
    audience: str
    tenants: tuple[str, ...] = ()
    """Entra's, by id. Empty for whichever the issuer has."""
    required_scopes: tuple[str, ...] = ()
    """All are needed. Entra's are written in full, as ``api://APP/NAME`` or ``RESOURCE/NAME``."""
    required_roles: tuple[str, ...] = ()
    """All are needed."""
    resource: str = ""
    """The URL that clients know this server by."""

    def issuers(self) -> dict[str, tuple[str, ...]]:
        """Each issuer by its URL, and the tenants that it may speak for."""
        if _TENANT in self.issuer:
            return {self.issuer.replace(_TENANT, tenant): (tenant,) for tenant in self.tenants}
        return {self.issuer: self.tenants}


class _Claims(BaseModel):
    iss: str
    sub: str = Field(min_length=1, max_length=255)
    exp: float
    tid: str = ""
    azp: str = ""
    appid: str = ""
    client_id: str = ""
    scp: str | list[str] = ""
    scope: str | list[str] = ""
    roles: list[str] = []

    @property
    def scopes(self) -> set[str]:
        return {*_words(self.scp), *_words(self.scope)}


class IssuedTokens:
    """Tokens of the trusted issuers: whose are taken, and what they must have, says the policy."""

    def __init__(self, policy: IssuerPolicy) -> None:
        self._policy = policy
        self._tenants = policy.issuers()
        self._keys = {issuer: SigningKeys(issuer) for issuer in self._tenants}

    async def warm_up(self) -> None:
        """Fetch the keys of every issuer ahead of the first token; takes some seconds at most."""
        async with anyio.create_task_group() as tasks:
            for keys in self._keys.values():
                tasks.start_soon(keys.warm_up)

    async def check(self, token: str) -> AccessToken:
        """Who holds a token.

        Raises:
            RefusedError: the token is not good, does not allow this, or cannot be checked now.
        """
        try:
            issuer, key_id = self._origin(token)
            key = await self._keys[issuer].find(key_id)
            if key is None:
                raise RefusedError("The token is signed with a key that its issuer does not have.")
            claims = _Claims.model_validate(
                jwt.decode(
                    token,
                    key,
                    algorithms=ALGORITHMS,
                    audience=self._policy.audience,
                    issuer=issuer,
                    leeway=LEEWAY_SECONDS,
                    options={
                        "require": ["iss", "sub", "aud", "exp"],
                        "enforce_minimum_key_length": True,
                    },
                )
            )
        except RefusedError:
            raise
        except Exception as error:  # whatever a token makes a parser do: it is hostile, and refused
            raise RefusedError(_sentence(error)) from None
        self._allow(claims)
        return issued_caller(
            issuer=issuer,
            subject=claims.sub,
            client=claims.azp or claims.appid or claims.client_id,
            scopes=sorted(claims.scopes),
            expires_at=int(claims.exp),
        )

    def _origin(self, token: str) -> tuple[str, str]:
        """Who a token says has signed it, with which key. Nothing of it is proven yet."""
        unproven = jwt.decode_complete(token, options={"verify_signature": False})
        algorithm, key_id = unproven["header"].get("alg"), unproven["header"].get("kid")
        issuer = unproven["payload"].get("iss")
        if algorithm not in ALGORITHMS:
            raise jwt.InvalidAlgorithmError
        if not isinstance(issuer, str) or issuer not in self._keys:
            raise RefusedError("The token is of an issuer that is not accepted.")
        if not isinstance(key_id, str):
            raise RefusedError("The token does not name the key that it is signed with.")
        return issuer, key_id

    def _allow(self, claims: _Claims) -> None:
        tenants = self._tenants[claims.iss]
        if tenants and claims.tid not in tenants:
            raise RefusedError("The token is of a tenant that is not accepted.")
        for scope in self._policy.required_scopes:
            if not has_scope(claims.scopes, scope, self._policy.resource):
                raise NotAllowedError(f"The token lacks the scope {scope}.")
        for role in self._policy.required_roles:
            if role not in claims.roles:
                raise NotAllowedError(f"The caller lacks the app role {role}.")


def has_scope(granted: set[str], required: str, resource: str) -> bool:
    """Whether a scope was granted.

    A client asks Entra for ``api://APP/NAME``, or ``RESOURCE/NAME`` where the app's id is the
    resource's URL, and the token then has ``NAME``.
    """
    owner, _, name = required.rpartition("/")
    is_of_an_app = owner.startswith("api://") or owner == resource
    return required in granted or (is_of_an_app and name in granted)


def _words(value: str | list[str]) -> list[str]:
    return value.split() if isinstance(value, str) else value


def _sentence(error: Exception) -> str:
    for kind, sentence in _SENTENCES:
        if isinstance(error, kind):
            return sentence
    return "The token is not valid."
